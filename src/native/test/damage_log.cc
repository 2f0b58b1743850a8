// Changes every field of every structure of the log, one at a time, while the log is in use: delivered records are
// right and dense, acknowledged ones are committed, no end comes early without an error, and nothing hangs.
#include <cstring>
#include <map>

#include "damage_fields.h"
#include "log/identities.h"
#include "log_fixture.h"
#include "ring_fixture.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

constexpr int stepsBefore = 9;
constexpr int stepsAfter = 48;
constexpr uint64_t kept = 2;  // batches that the reader still holds

// A subscriber that checks everything: it must get what was published, and lent bytes must not change.
class Suspicious {
 public:
  Suspicious(std::shared_ptr<Region> region, std::unique_ptr<IndexReader> reader, uint64_t session)
      : region_(std::move(region)), reader_(std::move(reader)), session_(session), next(reader_->next()) {}

  void take() {
    if (isTold) return;
    BatchView views[64];
    const int32_t count = reader_->poll(views, 64);
    if (count < 0) return leave();
    for (const BatchView& view : lent_) check(view, "was overwritten while it was lent");
    for (int32_t i = 0; i < count; i += 1) {
      const BatchView& view = views[i];
      if (view.index != next || (positioned_ && view.position != position_)) wrong = "the order has a hole";
      check(view, "is not what was published");
      lent_.push_back(view);
      next = view.index + 1;
      position_ = view.position + view.messages;
      positioned_ = true;
    }
    if (lent_.size() <= kept) return;
    lent_.erase(lent_.begin(), lent_.end() - static_cast<std::ptrdiff_t>(kept));
    reader_->release(lent_.front().index);
  }

  bool finished() const { return serverState(*region_) == serverStopped && reader_->next() >= reader_->committed(); }

 private:
  void leave() {
    isTold = true;
    reader_->detach();
  }

  void check(const BatchView& view, const char* what) {
    const BatchContents contents = contentsOf(session_, view.batchSequence, 64);
    const uint8_t* at = region_->laneBytes(view.lane) + view.payloadOffset;
    const bool same = view.sessionId == session_ && view.firstMessage == firstMessageOf(view.batchSequence) &&
                      view.messages == contents.messages && view.payloadBytes == contents.payloadBytes &&
                      std::memcmp(at, contents.bytes.data(), contents.bytes.size()) == 0;
    if (!same) wrong = what;
  }

  std::shared_ptr<Region> region_;
  std::unique_ptr<IndexReader> reader_;
  uint64_t session_;
  uint64_t position_ = 0;
  bool positioned_ = false;
  std::vector<BatchView> lent_;

 public:
  uint64_t next;
  bool isTold = false;
  const char* wrong = nullptr;
};

struct LogScene {
  LogScene() : server(anonymousRegion(ringGeometry())), log(server, TestLog::manual()), client(attachedAgain(*server)) {
    topic = log.declare("t", orderSession);
    CHECK_EQUAL(declareIdentity(*client, {topic, 1}, "p", identity).fault, "none");
    CHECK_EQUAL(claimClient(*client, {topic, 1}, claim, {identity.index, identity.generation, 0}).fault, "none");
    auto lanes = std::make_unique<LaneWriter>(client, claim);
    until("the session is admitted", [&] { return grant(), lanes->ready(); });
    publishing = std::make_unique<Publishing>(std::move(lanes));
    reader = attach(From::start, 0);
    CHECK(reader != nullptr);
    for (int i = 0; i < stepsBefore; i += 1) step();
    // Another topic takes the last place, and a further one wishes for a place.
    TopicView other;
    CHECK_EQUAL(declareTopic(*client, "unused", orderSession, 1, other).fault, "none");
    CHECK(!declareNext().ok());
    CHECK(published() && !reader->isTold && reader->wrong == nullptr);
    // One batch is sealed but not published, two are published but not scanned, and some are not read.
    publish();
    publish();
    publishing->write(0, sequence);
  }

  void grant() {
    settle();
    for (uint32_t b = 0; b < server->layout().geometry.brokers; b += 1) grantLanes(*server, b);
  }

  void settle() {
    for (int i = 0; log.sequencer().step(); i += 1) CHECK(i < 100'000);
  }

  bool publish() {
    if (!publishing->publish(static_cast<uint32_t>(sequence % 2), sequence)) return false;
    sequence += 1;
    return true;
  }
  bool published() const { return sequence > 4; }

  Status declareNext() {
    TopicView next;
    return declareTopic(*client, "next", orderSession, 1, next, &wish);
  }

  void step() {
    advanced = publish();
    settle();
    if (turn++ % 4 == 3 && !paused) reader->take();
    if (turn % 8 == 7) log.sequencer().endDead();
    checkAcknowledged();
  }

  void checkAcknowledged() {
    noteCommitted();
    if (!known) return;
    if (publishing->lanes().committedBatches() > batches) wrong = "it was acknowledged and is not committed";
    if (publishing->lanes().committedMessages() > committed) wrong = "records were acknowledged and are not committed";
  }

  // A newer session of the publisher's identity: fences it, and begins where it ended.
  unsigned claimAnew() {
    Claim newer;
    noteCommitted();
    const IdentityClaim wanted{identity.index, identity.generation, 0};
    if (!claimClient(*client, {topic, 1}, newer, wanted).ok()) return told;
    LaneWriter lanes(client, newer);
    for (int i = 0; i < stepsAfter && !lanes.ready() && lanes.endReason() == endNone; i += 1) grant();
    if (!lanes.ready()) return lanes.endReason() == endNone ? delayed : told;
    if (!noteCommitted()) wrong = "a session lives beside a newer one of its identity";
    if (lanes.incarnation().base != committed) wrong = "a session begins where its identity has not ended";
    return unharmed;
  }

  // What the session has committed, while it is known to the sequencer. Whether it has ended.
  bool noteCommitted() {
    known = false;
    for (const SessionReport& report : log.sequencer().sessions()) {
      if (report.client != claim.slot || report.generation != claim.generation) continue;
      known = true;
      ended = report.ended;
      batches = report.batches;
      committed = report.messages;
    }
    return ended || !known;
  }

  std::unique_ptr<Suspicious> attach(From from, uint64_t position) {
    Claim place;
    if (!claimReader(*client, {topic, 1}, "reader", place).ok()) return nullptr;
    auto opened = std::make_unique<IndexReader>(client, topic, place, 2);
    if (!opened->attach(from, position).ok()) return nullptr;
    return std::make_unique<Suspicious>(client, std::move(opened), publishing->session());
  }

  std::shared_ptr<Region> server;
  TestLog log;
  std::shared_ptr<Region> client;
  TopicWish wish;
  uint32_t topic = 0;
  IdentityView identity;
  Claim claim;
  std::unique_ptr<Publishing> publishing;
  std::unique_ptr<Suspicious> reader;
  uint64_t sequence = 0;
  uint64_t batches = 0, committed = 0;
  bool known = false, ended = false;
  int turn = 0;
  bool advanced = true;
  bool paused = false;
  const char* wrong = nullptr;
};

// The address of an instance that the scene uses, by the structure's name.
uint8_t* placeOf(const LogScene& scene, const std::string& structure) {
  Region& region = *scene.server;
  const uint64_t lane = region.laneOf(0, scene.claim.slot);
  const uint64_t unread = scene.reader->next;
  const std::map<std::string, void*> places = {
      {"BellLine", &region.blockHead(1).bell},
      {"SleepLine", &region.blockHead(1).sleep},
      {"TopicWishes", &region.header().topicWishes},
      {"ProcessOwner", &region.process(scene.client->slot()).owner},
      {"TopicSlot", &region.topic(scene.topic)},
      {"IdentitySlot", &region.identity(scene.identity.index)},
      {"IdentityLine::Standing", &region.identityLine(1, scene.identity.index).standing},
      {"ClientClaim", &region.client(scene.claim.slot).claim},
      {"ClientLine", &region.client(scene.claim.slot).line},
      {"GrantLine", &region.grant(1, lane)},
      {"ProducerLine", &region.producer(lane)},
      {"Descriptor", &region.descriptor(region.laneOf((scene.sequence - 1) % 2, scene.claim.slot),
                                        (scene.sequence - 1) / 2)},
      {"ReaderClaim", &region.reader(scene.topic, 0).claim},
      {"ReaderLine", &region.reader(scene.topic, 0).line},
      {"BlockHead", &region.blockHead(1).head},
      {"ServiceLine", &region.blockHead(1).service},
      {"TopicLine::Adoption", &region.topicLine(1, scene.topic).adoption},
      {"SessionLine::Adoption", &region.sessionLine(1, scene.claim.slot).adoption},
      {"FactLine", &region.factLine(1, scene.claim.slot, 0)},
      {"TopicLine::Committed", &region.topicLine(1, scene.topic).committed},
      {"TopicLine::Retention", &region.topicLine(1, scene.topic).retention},
      {"SessionLine::Acknowledged", &region.sessionLine(1, scene.claim.slot).acknowledged},
      {"SessionLine::Pressure", &region.sessionLine(1, scene.claim.slot).pressure},
      {"LaneLine::Frontiers", &region.laneLine(1, lane).frontiers},
      {"LaneLine::Counts", &region.laneLine(1, lane).counts},
      {"ReaderEnd", &region.readerEnd(1, scene.topic, 0)},
      {"IndexEntry", &region.entry(1, scene.topic, unread)},
  };
  const auto found = places.find(structure);
  return found == places.end() ? nullptr : static_cast<uint8_t*>(found->second);
}

// When the damage happens: while the log runs, or while the publisher waits for a paused subscriber.
enum class Moment { running, full };

// The outcome of a damage to the structure of that name while the log is in use.
Seen afterDamage(Moment moment, const char* structure, const Damage& damage) {
  LogScene scene;
  scene.paused = moment == Moment::full;
  for (int i = 0; i < 40 && scene.paused && scene.advanced; i += 1) scene.step();
  damage.make(placeOf(scene, structure));
  Seen seen;
  const auto note = [&](const Suspicious* reader, const char* who) {
    if (reader == nullptr || reader->isTold) seen.outcome |= told;
    if (reader != nullptr && reader->wrong != nullptr) seen.wrong = std::string(who) + " " + reader->wrong;
  };
  scene.checkAcknowledged();
  TopicView again{};
  const Status declared = declareTopic(*scene.client, "t", orderSession, 1, again);
  if (!declared.ok()) seen.outcome |= told;
  if (declared.ok() && again.index != scene.topic) seen.wrong = "a second topic of one name";
  if (declared.ok() && (again.order != orderSession || again.ack != 1)) seen.wrong = "another topic under its name";
  IdentityView named{};
  const Status known = declareIdentity(*scene.client, {scene.topic, 1}, "p", named);
  if (!known.ok()) seen.outcome |= told;
  if (known.ok() && named.index != scene.identity.index) seen.wrong = "a second identity of one name";
  for (int i = 0; i < 4; i += 1) scene.step();
  scene.paused = false;
  scene.reader->take();
  // Subscribers that attach while it is damaged.
  std::unique_ptr<Suspicious> late[] = {scene.attach(From::start, 0),
                                        scene.attach(From::position, firstMessageOf(scene.reader->next)),
                                        scene.attach(From::end, 0)};
  const char* nextFault = "wished";
  for (int i = 0; i < stepsAfter; i += 1) {
    scene.step();
    if (plain(nextFault) != "none") nextFault = scene.declareNext().fault;
    for (const auto& reader : late) {
      if (reader != nullptr) reader->take();
    }
  }
  note(scene.reader.get(), "the subscriber:");
  for (const auto& reader : late) note(reader.get(), "a late subscriber:");
  const std::string next = plain(nextFault);
  if (next != "none") seen.outcome |= next == "wished" ? delayed : told;
  const ServerState state = serverState(*scene.client);
  if (state == serverStopped) seen.wrong = "it is said to have stopped in good order";
  if (state != serverServing || scene.publishing->lanes().endReason() != endNone) seen.outcome |= told;
  if (!scene.advanced && scene.publishing->lanes().endReason() == endNone) seen.outcome |= delayed;
  seen.outcome |= scene.claimAnew();
  scene.log.sequencer().gates();
  topicsOf(*scene.client);
  scene.log.sequencer().stop();
  const uint64_t truth = scene.log.sequencer().counters().batches;
  for (int i = 0; i < 8; i += 1) scene.reader->take();
  note(scene.reader.get(), "the subscriber:");
  if (!scene.reader->isTold && scene.reader->next < truth) {
    if (scene.reader->finished()) seen.wrong = "the subscriber: ended before the end";
    seen.outcome |= delayed;
  }
  for (const auto& reader : late) {
    if (reader == nullptr) continue;
    for (int i = 0; i < 8; i += 1) reader->take();
    if (!reader->isTold && reader->finished() && reader->next < truth) seen.wrong = "a late subscriber: ended early";
  }
  if (scene.wrong != nullptr) seen.wrong = scene.wrong;
  return seen;
}

TEST_OF_ONE_THREAD("every field of the log, one at a time: what is delivered is right, and what follows is what is listed") {
  Random random(91);
  Findings findings;
  for (const DamagedField& field : logFields()) {
    const LogScene scene;
    const uint8_t* structure = placeOf(scene, field.structure);
    CHECK(structure != nullptr);
    for (const Damage& damage : damagesIn(field, structure, random)) {
      for (const Moment moment : {Moment::running, Moment::full}) {
        findings.add(field, afterDamage(moment, field.structure, damage), damage);
      }
    }
  }
  findings.finish(logFields());
}

}  // namespace

}  // namespace ringfence::test
