// Passes between two sleeps, which look at a share of what is mostly at rest: nothing is lost by that, and what a pass costs
// does not follow the geometry.
#include <algorithm>

#include "log_fixture.h"
#include "measure/pass_cost.h"

namespace ringfence::test {

namespace {

Geometry wideGeometry() {
  Geometry g = tinyGeometry();
  g.brokers = 6;
  g.clients = 5;
  return g;
}

SequencerOptions oneAPass() {
  SequencerOptions options = TestLog::manual();
  options.share = 1;
  return options;
}

struct Wide {
  explicit Wide(uint32_t order) : log(wideGeometry(), oneAPass()), topic(log.declare("t", order)) {}

  // Passes as the sequencer's thread makes them while it does not sleep. Stops at the first that moves anything.
  bool movedWithin(uint32_t passes) {
    for (uint32_t i = 0; i < passes; i += 1) {
      if (log.sequencer().stepShare()) return true;
    }
    return false;
  }

  TestLog log;
  uint32_t topic;
};

TEST("a batch in any lane is found within as many passes as the session has lanes, each of which looks at one") {
  Wide at(orderSession);
  Publishing publishing(at.log.open(at.topic));
  uint32_t atOnce = 0;
  for (uint64_t i = 0; i < 36; i += 1) {
    const uint32_t broker = static_cast<uint32_t>(i / 6 + 5 * i) % 6;
    CHECK(publishing.publish(broker, i));
    if (at.log.sequencer().stepShare()) {
      atOnce += 1;
    } else {
      CHECK(at.movedWithin(5));
    }
    CHECK_EQUAL(publishing.lanes().committedBatches(), i + 1);
  }
  CHECK(atOnce < 36);  // else each pass has looked at all lanes
}

TEST("a session in any slot is adopted within as many passes as there are slots, each of which looks at one") {
  Wide at(orderSession);
  uint32_t atOnce = 0;
  for (uint32_t i = 0; i < 5; i += 1) {
    Claim claim;
    CHECK_EQUAL(claimClient(*at.log.region(), at.log.placeOf(at.topic), claim).fault, "none");
    CHECK_EQUAL(claim.slot, i);
    at.log.sequencer().stepShare();
    atOnce += at.log.sequencer().sessions().size() == i + 1 ? 1 : 0;
    for (uint32_t k = 0; k < 4; k += 1) at.log.sequencer().stepShare();
    CHECK_EQUAL(at.log.sequencer().sessions().size(), i + 1);
  }
  CHECK(atOnce < 5);
}

TEST("a batch that a session lacks is found by the next pass in any lane") {
  Wide at(orderSession);
  Publishing publishing(at.log.open(at.topic));
  for (uint32_t missing = 0; missing < 6; missing += 1) {
    const uint64_t first = publishing.lanes().committedBatches();
    CHECK(publishing.publish((missing + 1) % 6, first + 1));
    CHECK(at.movedWithin(6));
    CHECK_EQUAL(publishing.lanes().committedBatches(), first);
    CHECK(publishing.publish(missing, first));
    at.log.sequencer().stepShare();
    CHECK_EQUAL(publishing.lanes().committedBatches(), first + 2);
  }
}

TEST("a session that closes keeps what it published in all lanes, though each pass looks at one") {
  for (const uint32_t order : {uint32_t{orderSession}, uint32_t{orderTotal}}) {
    Wide at(order);
    Publishing publishing(at.log.open(at.topic));
    for (uint64_t i = 0; i < 12; i += 1) CHECK(publishing.publish(static_cast<uint32_t>(5 - i % 6), i));
    publishing.lanes().close();
    CHECK(at.movedWithin(1));
    for (uint32_t i = 0; i < 2; i += 1) at.log.sequencer().stepShare();
    const std::vector<SessionReport> reports = at.log.sequencer().sessions();
    CHECK_EQUAL(reports.size(), 1);
    CHECK_EQUAL(reports.front().endReason, uint32_t{endClosed});
    CHECK(reports.front().ended);
    CHECK_EQUAL(reports.front().batches, 12);
    CHECK_EQUAL(at.log.sequencer().counters().purged, 0);
  }
}

TEST("full lanes of several sessions get room again, though no pass looks at them all") {
  Wide at(orderSession);
  std::vector<std::unique_ptr<Publishing>> publishers;
  for (int i = 0; i < 3; i += 1) publishers.push_back(std::make_unique<Publishing>(at.log.open(at.topic)));
  std::vector<uint64_t> next(publishers.size(), 0);
  Following following(at.log, at.log.reader(at.topic, From::start), orderSession);
  for (uint32_t passes = 0; *std::min_element(next.begin(), next.end()) < 400; passes += 1) {
    CHECK(passes < 100'000);
    for (size_t i = 0; i < publishers.size(); i += 1) {
      while (next[i] < 400 && publishers[i]->publish(static_cast<uint32_t>(next[i] % 6), next[i])) next[i] += 1;
    }
    at.log.sequencer().stepShare();
    while (following.take(64) != 0) continue;
  }
}

TEST("with one session a pass over 32 brokers and 256 slots costs about what it costs over 4 and 8") {
  if (slowness != 1) skip("a sanitizer's checks cost more than the pass");
  PassCost small;
  PassCost large;
  CHECK_EQUAL(passCost(4, 8, small).fault, "none");
  CHECK_EQUAL(passCost(32, 256, large).fault, "none");
  // 240 and 150 times, while a pass went through all slots and all lanes; 1.1 times since, and more on a busy machine.
  CHECK(large.idleNanos < 4 * small.idleNanos);
  CHECK(large.batchNanos < 4 * small.batchNanos);
}

}  // namespace

}  // namespace ringfence::test
