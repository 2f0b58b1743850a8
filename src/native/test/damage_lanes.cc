// Changes every field that readers of order `none` rely on, one at a time, while they read: what they take is right and
// whole, lane by lane, and nothing hangs.
#include <map>
#include <set>

#include "damage_fields.h"
#include "lane_fixture.h"
#include "region/waiter.h"
#include "ring_fixture.h"

namespace ringfence::test {

namespace {

constexpr int stepsBefore = 9;
constexpr int stepsAfter = 48;
constexpr uint64_t kept = 2;  // batches that the reader still holds

struct LanesScene {
  LanesScene() : server(anonymousRegion(tinyGeometry())), log(server, TestLog::manual()), client(attachedAgain(*server)) {
    topic = {log.declare("t", orderNone), 1};
    CHECK_EQUAL(claimClient(*client, topic, claim).fault, "none");
    auto lanes = std::make_unique<LaneWriter>(client, claim);
    until("the session is admitted", [&] { return grant(), lanes->ready(); });
    publishing = std::make_unique<Publishing>(std::move(lanes));
    reader = attach(From::start);
    CHECK(reader != nullptr);
    for (int i = 0; i < stepsBefore; i += 1) step();
    CHECK(published > 4 && !isTold && reader->wrong == nullptr);
    // One batch is published and not scanned, and some are not taken.
    publish();
  }

  void grant() {
    log.settle();
    for (uint32_t b = 0; b < server->layout().geometry.brokers; b += 1) grantLanes(*server, b);
  }

  // An opening that finds a torn line is tried again: the sequencer repairs its lines ten times a second.
  std::unique_ptr<LaneFollowing> attach(From from) {
    auto attached = LaneFollowing::attached(client, topic, from);
    if (attached != nullptr) return attached;
    log.sequencer().endDead();
    return LaneFollowing::attached(client, topic, from);
  }

  bool publish() {
    if (!publishing->publish(static_cast<uint32_t>(published % 2), published)) return false;
    published += 1;
    return true;
  }

  void step() {
    advanced = publish();
    log.settle();
    if (turn++ % 4 == 3 && !paused) take();
    if (turn % 8 == 7) log.sequencer().endDead();
  }

  void take() {
    if (isTold) return;
    if (reader->take(64, true) < 0) {
      isTold = true;
      reader->reader().detach();
    } else {
      reader->giveBackBut(kept);
    }
  }

  std::shared_ptr<Region> server;
  TestLog log;
  std::shared_ptr<Region> client;
  TopicPlace topic{};
  Claim claim;
  std::unique_ptr<Publishing> publishing;
  std::unique_ptr<LaneFollowing> reader;
  uint64_t published = 0;
  int turn = 0;
  bool advanced = true;
  bool paused = false;
  bool isTold = false;
};

// The address of an instance that the scene uses, by the structure's name; null for structures without a part in it.
uint8_t* placeOf(const LanesScene& scene, const std::string& structure) {
  Region& region = *scene.server;
  const uint64_t lane = region.laneOf(0, scene.claim.slot);
  const uint64_t last = scene.published - 1;
  const std::map<std::string, void*> places = {
      {"ClientClaim", &region.client(scene.claim.slot).claim},
      {"ClientLine", &region.client(scene.claim.slot).line},
      {"Descriptor", &region.descriptor(region.laneOf(last % 2, scene.claim.slot), last / 2)},
      {"LaneCursor", &region.laneCursor(scene.topic.index, 0, lane)},
      {"ReaderClaim", &region.reader(scene.topic.index, 0).claim},
      {"ReaderLine", &region.reader(scene.topic.index, 0).line},
      {"ReaderEnd", &region.readerEnd(1, scene.topic.index, 0)},
      {"BlockHead", &region.blockHead(1).head},
      {"SessionLine::Acknowledged", &region.sessionLine(1, scene.claim.slot).acknowledged},
      {"LaneLine::Frontiers", &region.laneLine(1, lane).frontiers},
  };
  const auto found = places.find(structure);
  return found == places.end() ? nullptr : static_cast<uint8_t*>(found->second);
}

// Every second batch is on the same broker: a lane that was taken whole has no other step.
bool whole(LaneFollowing& reader, uint64_t session) {
  for (uint32_t broker = 0; broker < 2; broker += 1) {
    const std::vector<uint64_t>& taken = reader.taken(session, broker);
    for (size_t i = 1; i < taken.size(); i += 1) {
      if (taken[i] != taken[i - 1] + 2) return false;
    }
  }
  return true;
}

// When the damage happens: while the log runs, or while the publisher waits for a paused subscriber.
enum class Moment { running, full };

Seen afterDamage(Moment moment, const char* structure, const Damage& damage) {
  LanesScene scene;
  scene.paused = moment == Moment::full;
  for (int i = 0; i < 40 && scene.paused && scene.advanced; i += 1) scene.step();
  damage.make(placeOf(scene, structure));
  Seen seen;
  for (int i = 0; i < 4; i += 1) scene.step();
  scene.paused = false;
  scene.take();
  // Subscribers that attach while it is damaged.
  std::unique_ptr<LaneFollowing> late[] = {scene.attach(From::start), scene.attach(From::end)};
  for (int i = 0; i < stepsAfter; i += 1) {
    scene.step();
    for (auto& reader : late) {
      if (reader == nullptr || reader->take(64) >= 0) continue;
      seen.outcome |= told;
      reader->reader().detach();
      reader = nullptr;
    }
  }
  const bool ended = scene.publishing->lanes().endReason() != endNone;
  if (!scene.advanced && !ended) seen.outcome |= delayed;
  scene.log.sequencer().gates();
  scene.log.sequencer().stop();
  for (int i = 0; i < 8; i += 1) scene.take();
  if (scene.isTold || ended || late[0] == nullptr || late[1] == nullptr) seen.outcome |= told;
  if (!scene.isTold && !ended && scene.reader->count() < scene.published) seen.outcome |= delayed;
  const uint64_t session = scene.publishing->session();
  for (LaneFollowing* reader : {scene.reader.get(), late[0].get(), late[1].get()}) {
    if (reader == nullptr) continue;
    if (reader->wrong != nullptr) seen.wrong = reader->wrong;
    if (!whole(*reader, session)) seen.wrong = "a lane has a hole";
  }
  return seen;
}

TEST_OF_ONE_THREAD("every field that readers of lanes rely on, one at a time: what they take is right, and what follows is what is listed") {
  Random random(92);
  Findings findings;
  std::vector<DamagedField> fields = laneFields();
  for (const DamagedField& field : logFields()) fields.push_back(field);
  std::vector<DamagedField> walked;
  for (DamagedField field : fields) {
    const LanesScene scene;
    const uint8_t* structure = placeOf(scene, field.structure);
    if (structure == nullptr) continue;
    field.may &= ~unsigned{misnamed};
    // Damaged once the sequencer has seen it: here the readers need it still, and are told.
    if (std::string(field.structure) == "Descriptor" && field.may != unharmed) field.may |= told;
    for (const Damage& damage : damagesIn(field, structure, random)) {
      for (const Moment moment : {Moment::running, Moment::full}) {
        findings.add(field, afterDamage(moment, field.structure, damage), damage);
      }
    }
    // Some are told to others alone, as the other walk of them shows.
    field.may &= ~unsigned{told};
    walked.push_back(field);
  }
  findings.finish(walked);
}

// A damaged token looks like one that is not published yet, until one behind it is.
void expectHoleEndsSession(uint32_t order) {
  TestLog log(tinyGeometry());
  const uint32_t topic = log.declare("t", order);
  Publishing publishing(log.open(topic));
  const Claim claim = publishing.lanes().claim();
  auto reader = order == orderNone ? LaneFollowing::attached(log.region(), log.placeOf(topic), From::start) : nullptr;
  const auto pass = [&] {
    log.settle();
    log.sequencer().endDead();
    log.settle();
  };
  CHECK(publishing.publish(0, 0));
  pass();
  CHECK(publishing.publish(0, 1));
  RawLine::of(log.region()->descriptor(log.region()->laneOf(0, claim.slot), 1)).token ^= 1;
  pass();
  CHECK_EQUAL(publishing.lanes().endReason(), endNone);
  CHECK(publishing.publish(0, 2));
  pass();
  CHECK_EQUAL(publishing.lanes().endReason(), endCorrupt);
  if (reader != nullptr) {
    CHECK_EQUAL(reader->take(64), 1);
    CHECK_EQUAL(reader->take(64), 0);
    CHECK(reader->wrong == nullptr);
    pass();
  }
  CHECK(sessionOver(*log.region(), claim.slot, claim.generation));
}

TEST("a damaged token ends its session as corrupt once a batch behind it is published, under each order") {
  for (const uint32_t order : {orderSession, orderTotal, orderNone}) expectHoleEndsSession(order);
}

}  // namespace

}  // namespace ringfence::test
