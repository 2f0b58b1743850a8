// A log with a named publisher, whose sessions come and go. All records of the topic are its own, so each has the position
// in the topic that it has in the identity.
#pragma once

#include "log/identities.h"
#include "log_fixture.h"
#include "region/epochs.h"

namespace ringfence::test {

inline Geometry namedGeometry() {
  Geometry g = tinyGeometry();
  g.clients = 3;
  return g;
}

inline IdentityView declaredIdentity(const std::shared_ptr<Region>& region, TopicPlace topic, const std::string& name) {
  IdentityView identity{};
  CHECK_EQUAL(declareIdentity(*region, topic, name, identity).fault, "none");
  return identity;
}

// One session of an identity, by an attachment of its own: it is dead once that is closed.
class Author {
 public:
  Author(TestLog& log, const IdentityView& identity, uint64_t continues = 0, std::shared_ptr<Region> own = nullptr)
      : region(std::move(own)), log_(log) {
    if (!region) CHECK_EQUAL(Region::reattach(*log.region(), "author", region).fault, "none");
    const IdentityClaim wanted{identity.index, identity.generation, continues};
    until("a session slot is free", [&] { return log.settle(), claimClient(*region, identity.topic, claim, wanted).ok(); });
    publishing = std::make_unique<Publishing>(std::make_unique<LaneWriter>(region, claim));
  }

  LaneWriter& lanes() { return publishing->lanes(); }
  // Until it is admitted, or has ended.
  Author& admitted() {
    until("the session is admitted", [&] {
      log_.settle();
      for (uint32_t b = 0; b < log_.geometry().brokers; b += 1) grantLanes(*log_.region(), b);
      return lanes().ready() || lanes().endReason() != endNone;
    });
    return *this;
  }
  void publishes(uint64_t batches) {
    for (; batches != 0; batches -= 1, next += 1) {
      until("its lane has room", [&] { return log_.settle(), publishing->publish(next % 2, next); });
    }
    log_.settle();
  }
  void leaves() {
    lanes().close();
    log_.settle();
  }

  std::shared_ptr<Region> region;
  Claim claim;
  std::unique_ptr<Publishing> publishing;
  uint64_t next = 0;

 private:
  TestLog& log_;
};

struct NamedLog {
  explicit NamedLog(const Geometry& geometry = namedGeometry(), SequencerOptions options = TestLog::manual())
      : log(geometry, options), topic(log.declare("t", orderSession)), identity(declaredIdentity(log.region(), log.placeOf(topic), "p")) {}

  // Another server continues the log.
  void isTakenOver(const std::function<void()>& between = [] {}) { log.restart(TestLog::manual(), between); }
  IdentityLine& line() const { return log.region()->identityLine(headsOf(*log.region()).served.number, identity.index); }

  uint64_t committed() {
    const uint64_t epoch = log.region()->servedEpoch();
    return log.region()->publication().observe<&TopicLine::Committed::messages>(log.region()->topicLine(epoch, topic).committed);
  }

  TestLog log;
  uint32_t topic;
  IdentityView identity;
};

}  // namespace ringfence::test
