// The holders of named cursors, and what they commit.
#pragma once

#include <algorithm>
#include <cstring>

#include "explore/protocols/attached.h"
#include "explore/trace.h"
#include "log/cursors.h"

namespace ringfence::explore::durable {

constexpr uint64_t shortNanos = 1'000'000;
constexpr uint64_t expiresMillis = 60'000;
inline const char* const theName = "billing";

inline bool is(const Status& status, const char* fault) { return !status.ok() && std::strcmp(status.fault, fault) == 0; }
inline std::string faultOf(const Status& status) { return status.ok() ? "none" : status.fault; }

inline void pauses() { Scheduler::now().giveWay(shortNanos); }

// What a cursor has said, as far as its holders were told.
struct Said {
  uint64_t committed = 0;  // the greatest position whose commit has returned
  uint64_t seen = 0;       // the greatest that a look has seen
};

inline CursorRequest request(const std::string& name = theName, bool takeOver = false, uint64_t nowMillis = 1000) {
  return {name, expiresMillis, nowMillis, takeOver};
}

// The cursors of that name.
inline std::vector<CursorView> named(const Region& at, const std::string& name = theName) {
  uint32_t damaged = 0;
  std::vector<CursorView> found;
  for (const CursorView& view : cursorsOf(at, &damaged)) {
    if (view.name == name) found.push_back(view);
  }
  expect(damaged == 0, "a cursor counts as damaged");
  expect(found.size() <= 1, "two cursors have one name");
  return found;
}

inline uint64_t positionIn(const CursorView& view) { return view.committed ? view.position : 0; }

// One process that asks for a cursor and commits.
class Holder {
 public:
  Holder(std::shared_ptr<Region> region, TopicPlace topic, std::shared_ptr<Said> said)
      : region_(std::move(region)), topic_(topic), said_(std::move(said)) {}

  // Tries until it has the cursor, or is refused for good. It gets what was committed, all of it.
  Status hold(const CursorRequest& wanted, bool waits = true) {
    Patience patience;
    for (;;) {
      const uint64_t before = said_->committed;
      CursorView view;
      const Status status = holdCursor(*region_, topic_, wanted, hold_, view);
      if (status.ok()) {
        Trace::say("holds the cursor at " + std::to_string(positionIn(view)));
        expect(positionIn(view) >= before, "a holder gets the cursor ahead of a commit");
        position_ = positionIn(view);
        return status;
      }
      const bool later = is(status, "busy") || (waits && is(status, "held"));
      if (!later || !patience.lasts()) return status;
    }
  }

  // Once it is told that another has the cursor, and from then on, it commits nothing.
  Status commit(uint64_t position, bool wanted = false) {
    Patience patience;
    Status status;
    do {
      status = commitCursor(*region_, hold_, {position, 1000, wanted}, micros_);
    } while (is(status, "busy") && patience.lasts());
    if (status.ok()) {
      position_ = std::max(position_, position);
      Trace::say("has committed " + std::to_string(position_));
      said_->committed = std::max(said_->committed, position_);
    }
    return status;
  }

  Status leave() {
    Patience patience;
    Status status = leaveCursor(*region_, hold_, 1000);
    while (is(status, "busy") && patience.lasts()) status = leaveCursor(*region_, hold_, 1000);
    return status;
  }

  const CursorHold& held() const { return hold_; }
  uint64_t position() const { return position_; }
  uint64_t micros() const { return micros_; }

 private:
  std::shared_ptr<Region> region_;
  TopicPlace topic_;
  std::shared_ptr<Said> said_;
  CursorHold hold_{};
  uint64_t position_ = 0;
  uint64_t micros_ = 0;
};

}  // namespace ringfence::explore::durable
