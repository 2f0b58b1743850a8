// A subscriber of a topic of order `none` that checks what it takes: contents, and that each lane comes whole and in its
// order.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "log/lane_reader.h"
#include "log_fixture.h"

namespace ringfence::test {

class LaneFollowing {
 public:
  LaneFollowing(std::shared_ptr<Region> region, std::unique_ptr<LaneReader> reader)
      : region_(std::move(region)), reader_(std::move(reader)) {}

  // Null when the reader is refused.
  static std::unique_ptr<LaneFollowing> attached(const std::shared_ptr<Region>& region, TopicPlace topic, From from) {
    Claim claim;
    if (!claimReader(*region, topic, "reader", claim).ok()) return nullptr;
    auto reader = std::make_unique<LaneReader>(region, topic.index, claim, 2);
    if (!reader->attach(from, 0).ok()) return nullptr;
    return std::make_unique<LaneFollowing>(region, std::move(reader));
  }

  LaneReader& reader() { return *reader_; }
  // Takes up to `max` batches, and releases them unless `keep`. Returns their number, or -1 as the reader does.
  int32_t take(uint32_t max, bool keep = false);
  void giveBack() {
    lent_.clear();
    reader_->release(reader_->next());
  }
  // Releases all but the last `count`.
  void giveBackBut(uint64_t count) {
    if (lent_.size() <= count) return;
    lent_.erase(lent_.begin(), lent_.end() - static_cast<std::ptrdiff_t>(count));
    reader_->release(lent_.front().index);
  }
  // The sequences that it took of the lane of that session and broker.
  const std::vector<uint64_t>& taken(uint64_t session, uint32_t broker) { return taken_[{session, broker}]; }
  uint64_t count() const { return count_; }
  // Why what it took is wrong, if it is.
  const char* wrong = nullptr;

 private:
  void check(const BatchView& view, const char* what);

  std::shared_ptr<Region> region_;
  std::unique_ptr<LaneReader> reader_;
  std::vector<BatchView> lent_;
  std::map<std::pair<uint64_t, uint32_t>, std::vector<uint64_t>> taken_;
  uint64_t count_ = 0;
  uint64_t position_ = 0;
};

}  // namespace ringfence::test
