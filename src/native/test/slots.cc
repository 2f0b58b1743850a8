// Slots of sessions that have ended while their processes live: no other session gets them before their clients have
// closed them or are dead, because they may still write in the lanes.
#include <cstring>

#include "actor_process.h"
#include "log_fixture.h"

namespace ringfence::test {

namespace {

constexpr uint32_t messageBytesMax = 1300;
constexpr uint64_t wild = uint64_t{1} << 40;  // a sequence that no client can have reached

Geometry slotGeometry() {
  Geometry g = tinyGeometry();
  g.clients = 3;
  return g;
}

void lie(LaneWriter& lanes, uint32_t broker) {
  CHECK(lanes.begin(broker, wild) >= 0);
  CHECK(lanes.seal(broker, {wild, 0, 1, 8, 8, nullptr}));
  lanes.publish(broker);
}

// Publishes three batches, begins a fourth, lies on the other broker, and is stopped in the middle of the payload. Then
// it goes on as if nothing had happened: with the payload, the descriptor, the publication.
ACTOR("publisher stopped in mid-batch") {
  const auto region = attachAs("sleeper", arguments[0]);
  Claim claim;
  until("a session slot is free", [&] { return claimClient(*region, {0, 1}, claim).ok(); });
  auto writer = std::make_unique<LaneWriter>(region, claim);
  until("the session is admitted", [&] { return writer->ready(); });
  Publishing publishing(std::move(writer), messageBytesMax);
  for (uint64_t sequence = 0; sequence < 3; sequence += 1) {
    if (!publishing.publish(0, sequence)) return 2;
  }
  LaneWriter& lanes = publishing.lanes();
  const int64_t offset = lanes.begin(0, 3);
  if (offset < 0) return 3;
  const auto bytes = static_cast<uint32_t>(region->layout().geometry.batchBytes);
  uint8_t* at = region->laneBytes(lanes.laneOf(0)) + offset;
  lie(lanes, 1);
  std::memset(at, 0xee, bytes / 2);
  raise(SIGSTOP);
  std::memset(at, 0xee, bytes);
  const bool sealed = lanes.seal(0, {3, firstMessageOf(3), 1, bytes, bytes, nullptr});
  lanes.publish(0);
  if (sealed || lanes.endReason() != endCorrupt) return 4;
  lanes.close();
  return 0;
}

std::shared_ptr<Region> slotRegion(const std::string& path) {
  CreateOptions options;
  options.path = path;
  options.geometry = slotGeometry();
  options.processName = "server";
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  return region;
}

void grantAll(TestLog& log) {
  log.settle();
  for (uint32_t b = 0; b < log.geometry().brokers; b += 1) grantLanes(*log.region(), b);
}

TEST("a publisher stopped in mid-batch whose session ends, woken when all slots are taken, writes into no other's lanes") {
  const std::string path = scratchFolder() + "/region";
  TestLog log(slotRegion(path), TestLog::manual());
  const uint32_t topic = log.declare("t", orderSession);
  Following following(log, log.reader(topic, From::start), orderSession, messageBytesMax);
  Process sleeper("publisher stopped in mid-batch", path, 0);
  until("it is stopped", [&] { return grantAll(log), sleeper.hasStopped(); });
  log.settle();
  const SessionReport ended = log.sequencer().sessions().at(0);
  CHECK(ended.ended && ended.endReason == endCorrupt && ended.batches == 3);
  const SlotState stopped = slotState(*log.region(), ended.client);
  std::shared_ptr<Region> looking;  // as the administration does, without attaching
  CHECK_EQUAL(Region::look(path, looking).fault, "none");
  CHECK(slotState(*looking, ended.client) == SlotState::quarantined);
  CHECK_EQUAL(looking->processes().size(), 2);
  looking->close();

  std::vector<Publishing> others;
  Claim claim;
  for (Status status = Status::fine(); status.ok();) {
    status = claimClient(*log.region(), log.placeOf(topic), claim);
    if (status.ok()) others.emplace_back(log.admit(claim), messageBytesMax);
    if (!status.ok()) CHECK_EQUAL(status.fault, "full");
  }
  std::vector<uint64_t> published;
  for (Publishing& other : others) {
    uint64_t sequence = 0;
    while (other.publish(0, sequence)) sequence += 1;
    published.push_back(sequence);
  }
  log.settle();
  sleeper.signal(SIGCONT);
  CHECK_EQUAL(sleeper.ended(), 0);
  log.settle();
  while (following.take(64) != 0) log.settle();  // checks each byte
  CHECK(stopped == SlotState::quarantined && others.size() == 2);
  for (size_t i = 0; i < others.size(); i += 1) CHECK_EQUAL(following.batchesOf(others[i].session()), published[i]);
  CHECK_EQUAL(following.batchesOf(ended.sessionId), 3);
  CHECK(slotState(*log.region(), ended.client) == SlotState::free);
  CHECK_EQUAL(claimClient(*log.region(), log.placeOf(topic), claim).fault, "none");
  CHECK_EQUAL(claim.slot, ended.client);
}

TEST("the slot of an ended session comes free when its client closes it, or is dead, and not before") {
  for (const bool closes : {true, false}) {
    Geometry g = tinyGeometry();
    g.clients = 1;
    TestLog log(g);
    const uint32_t topic = log.declare("t", orderSession);
    std::shared_ptr<Region> attached;
    CHECK_EQUAL(Region::reattach(*log.region(), "client", attached).fault, "none");
    Claim claim;
    CHECK_EQUAL(claimClient(*attached, log.placeOf(topic), claim).fault, "none");
    LaneWriter lanes(attached, claim);
    until("the session is admitted", [&] { return grantAll(log), lanes.ready(); });
    CHECK(slotState(*log.region(), 0) == SlotState::inUse);
    lie(lanes, 0);
    log.settle();
    CHECK(slotState(*log.region(), 0) == SlotState::quarantined);
    CHECK_EQUAL(sessionsEnding(*log.region()), 0);
    Claim next;
    CHECK_EQUAL(claimClient(*log.region(), log.placeOf(topic), next).fault, "full");
    if (closes) lanes.close();
    if (!closes) attached->close();
    CHECK(slotState(*log.region(), 0) == SlotState::free);
    Publishing publishing(log.open(topic));
    CHECK(publishing.publish(0, 0));
    log.settle();
    CHECK_EQUAL(publishing.lanes().committedBatches(), 1);
    if (closes) CHECK_EQUAL(lanes.endReason(), endCorrupt);
  }
}

TEST("a session that was refused keeps its slot until its client has read why") {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", orderSession);
  Claim claim;
  CHECK_EQUAL(claimClient(*log.region(), {topic, 7}, claim).fault, "none");
  log.settle();
  CHECK(slotState(*log.region(), claim.slot) == SlotState::quarantined);
  LaneWriter lanes(log.region(), claim);
  CHECK_EQUAL(lanes.endReason(), endTopicGone);
  lanes.close();
  CHECK(slotState(*log.region(), claim.slot) == SlotState::free);
  CHECK_EQUAL(lanes.endReason(), endTopicGone);
}

}  // namespace

}  // namespace ringfence::test
