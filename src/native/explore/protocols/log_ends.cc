#include "log_ends.h"

#include <cstring>

#include "explore/trace.h"
#include "log/sequencer/broker_grants.h"
#include "region/token.h"

namespace ringfence::explore {

namespace {

// Each batch of an even sequence has one record, each other two of different lengths.
uint32_t recordsOf(uint64_t sequence) { return sequence % 2 == 0 ? 1 : 2; }
uint64_t firstRecordOf(uint64_t sequence) { return sequence + sequence / 2; }
constexpr uint32_t lengths[] = {10, payloadBytes - 10};
// This many bytes at either end of the payload are written and checked; those between are skipped, to save time.
constexpr uint32_t endBytes = 12;
constexpr uint32_t tailAt = payloadBytes - endBytes;

struct End {
  uint8_t bytes[endBytes];
};

End endOf(uint64_t session, uint64_t sequence, uint64_t at) {
  End end;
  for (uint64_t i = 0; i < endBytes; i += 1) end.bytes[i] = static_cast<uint8_t>(1 + session * 57 + sequence * 31 + (at + i) * 7);
  return end;
}

}  // namespace

Geometry logGeometry(uint32_t clients, uint32_t brokers) {
  Geometry g{};
  g.brokers = brokers;
  g.clients = clients;
  g.topics = 1;
  g.readers = 1;
  g.laneSlots = 8;
  g.indexEntries = 64;
  g.epochBlocks = 2;  // so that a process that has not seen the epoch looks into another block than the sequencer's
  g.processes = 6;
  g.batchBytes = 4096;
  g.lanePayloadBytes = 8 * g.batchBytes;
  g.rings = 0;
  return g;
}

// --- the server

Serving::Serving(std::shared_ptr<Region> region, uint32_t copies)
    : process_(*Scheduler::now().currentProcess()), region_(std::move(region)) {
  sequencer_ = std::make_unique<Sequencer>(region_, SequencerOptions{.share = 1, .copies = copies});
  expectOk(sequencer_->start(), "starting the sequencer");
  Scheduler::now().actors().back()->condition = [this] { return batchesWait(); };
}

// Whether a lane has a batch that the sequencer, which sleeps, would scan: then its publisher has not woken it.
bool Serving::batchesWait() const {
  const Geometry& g = region_->layout().geometry;
  for (uint32_t i = 0; i < g.clients; i += 1) {
    const auto& session = region_->sessionLine(1, i).acknowledged;
    const uint64_t generation = peek<&SessionLine::Acknowledged::generation>(session);
    const bool ended = peek<&SessionLine::Acknowledged::endedGeneration>(session) == generation;
    if (ended || peek<&SessionLine::Acknowledged::unordered>(session) != 0) continue;
    for (uint32_t b = 0; b < g.brokers; b += 1) {
      const uint64_t lane = region_->laneOf(b, i);
      const auto& frontiers = region_->laneLine(1, lane).frontiers;
      const uint64_t scanned = peek<&LaneLine::Frontiers::scanned>(frontiers);
      const bool room = scanned - peek<&LaneLine::Frontiers::released>(frontiers) < g.laneSlots;
      const uint64_t token = peek<&Descriptor::token>(region_->descriptor(lane, scanned));
      if (room && token == readyToken(region_->mark(), scanned, generation)) return true;
    }
  }
  return false;
}

void Serving::checkAtRest() {
  if (!Scheduler::rests(process_)) return;
  const std::vector<SessionReport> reports = sequencer_->sessions();
  for (const SessionReport& each : reports) {
    if (onReport) onReport(each);
  }
  expectSequencerLines(*region_, *sequencer_, reports);
}

void Serving::settle() {
  for (int i = 0; i < 100; i += 1) {
    bool moved = sequencer_->step();
    for (uint32_t b = 0; b < region_->layout().geometry.brokers; b += 1) moved = grantLanes(*region_, b) != 0 || moved;
    if (!moved) return;
  }
}

void Serving::look() {
  constexpr uint64_t lookNanos = 100'000'000;
  Scheduler& scheduler = Scheduler::now();
  for (;;) {
    scheduler.wait("its timer", scheduler.clock() + lookNanos);
    lookOnce();
  }
}

void Serving::lookOnce() {
  for (const DeadReader& each : sequencer_->endDead()) {
    if (onDead) onDead(each);
  }
  for (uint32_t i = 0; i < region_->layout().geometry.brokers; i += 1) grantLanes(*region_, i);
  sequencer_->gates();
  for (const SessionReport& each : sequencer_->sessions()) {
    if (onReport) onReport(each);
  }
}

// --- the publisher

uint32_t Publishing::brokerOf(uint64_t sequence) const {
  return static_cast<uint32_t>(sequence % region_->layout().geometry.brokers);
}

Publishing::Publishing(std::shared_ptr<Region> region, Claim claim)
    : region_(std::move(region)), process_(*Scheduler::now().currentProcess()), lanes_(region_, claim),
      records_(region_->layout().geometry.brokers) {}

std::shared_ptr<Publishing> Publishing::of(std::shared_ptr<Region> region, Claim claim) {
  const std::shared_ptr<Publishing> publishing(new Publishing(std::move(region), claim));
  atEnd([publishing] { publishing->checkAtRest(); });
  return publishing;
}

void Publishing::checkAtRest() {
  if (Scheduler::rests(process_) && isReady_) expectProducerLines(*region_, lanes_, records_);
}

bool Publishing::sealIn(uint32_t broker, uint64_t sequence, uint64_t pauseNanos) {
  const int64_t offset = lanes_.begin(broker, sequence);
  if (offset < 0) return false;
  if (pauseNanos != 0) Scheduler::now().giveWay(pauseNanos);
  uint8_t* payload = region_->laneBytes(lanes_.laneOf(broker)) + offset;
  for (const uint32_t at : {0U, tailAt}) memory::copyIn(payload + at, endOf(session(), sequence, at).bytes, endBytes, {});
  const uint32_t records = recordsOf(sequence);
  const uint32_t uniformBytes = records == 1 ? payloadBytes : 0;
  const uint32_t* table = records == 1 ? nullptr : lengths;
  if (!lanes_.seal(broker, {sequence, firstRecordOf(sequence), records, payloadBytes, uniformBytes, table})) return false;
  records_[broker] += records;
  return true;
}

// Whether LaneWriter::begin would find room. Each batch is as large as it may be.
bool Publishing::roomIsThere(uint32_t broker) const {
  const Geometry& g = region_->layout().geometry;
  const auto& line = region_->laneLine(1, lanes_.laneOf(broker)).frontiers;
  const LaneFrontiers own = lanes_.frontiers(broker);
  const uint64_t written = own.written + peek<&LaneLine::Frontiers::scanned>(line) - own.scanned;
  const uint64_t slots = written - peek<&LaneLine::Frontiers::released>(line);
  const uint64_t end = (written + 1) * g.batchBytes;
  return slots < g.laneSlots && end - peek<&LaneLine::Frontiers::payloadReleased>(line) <= g.lanePayloadBytes;
}

void Publishing::lie(uint32_t broker) {
  constexpr uint64_t wild = uint64_t{1} << 40;
  if (lanes_.begin(broker, wild) < 0) return;
  if (!lanes_.seal(broker, {wild, 0, 1, payloadBytes, payloadBytes, nullptr})) return;
  records_[broker] += 1;
  lanes_.publish(broker);
}

void Publishing::publishDamaged(uint64_t sequence) {
  if (!seal(sequence)) return;
  const uint32_t broker = brokerOf(sequence);
  auto& shared = region_->descriptor(lanes_.laneOf(broker), lanes_.frontiers(broker).published);
  const uint32_t wrong = 0;
  memory::copyIn(reinterpret_cast<uint8_t*>(&shared) + offsetof(Descriptor, crc), &wrong, sizeof(wrong), {});
  lanes_.publish(broker);
}

bool Publishing::publish(uint64_t sequence, Sleeper* sleeper) {
  while (!seal(sequence)) {
    if (lanes_.endReason() != endNone) return false;
    lanes_.wantRoom();
    bool sealed = false;
    const auto look = [&] { return sealed = seal(sequence), sealed || lanes_.endReason() != endNone; };
    const auto there = [&] { return roomIsThere(brokerOf(sequence)); };
    sleeper->until(sleepsForData, "room", look, there);
    if (sealed) break;
  }
  lanes_.publish(brokerOf(sequence));
  Trace::say("has published batch " + std::to_string(sequence));
  return true;
}

void Publishing::checkFrontiers() {
  for (uint32_t b = 0; b < region_->layout().geometry.brokers; b += 1) {
    const LaneFrontiers at = lanes_.frontiers(b);
    expect(at.scanned <= at.published && at.published <= at.written, "more is scanned than was published");
    expect(at.ordered <= at.published && at.delivered <= at.published && at.held <= at.published, "more is counted than was published");
  }
  lanes_.held();
}

void Publishing::awaitAcknowledged(uint64_t batches, Sleeper& sleeper) {
  const auto& acknowledged = region_->sessionLine(1, lanes_.claim().slot).acknowledged;
  const auto look = [&] { return lanes_.committedBatches() >= batches || lanes_.endReason() != endNone; };
  sleeper.until(sleepsForData, "acknowledgements", look, [&] { return peek<&SessionLine::Acknowledged::batches>(acknowledged) >= batches; });
  const uint64_t committed = peek<&TopicLine::Committed::entries>(region_->topicLine(1, 0).committed);
  expect(lanes_.committedBatches() <= committed, "more is acknowledged than is committed");
}

// --- the subscriber

namespace {

// `load(to, from, bytes)` loads what was written at that offset.
template <class Load>
void checkBatch(const BatchView& view, Load load) {
  const uint32_t records = recordsOf(view.batchSequence);
  expect(view.messages == records && view.firstMessage == firstRecordOf(view.batchSequence), "a batch has other records");
  expect(view.payloadBytes == payloadBytes, "a batch has another size than was written");
  expect(view.uniformBytes == (records == 1 ? payloadBytes : 0), "its records have other lengths");
  if (records != 1) {
    uint32_t table[2];
    load(table, payloadBytes, sizeof(table));
    expect(table[0] == lengths[0] && table[1] == lengths[1], "the table of lengths holds what was not written in it");
  }
  for (const uint32_t from : {0U, tailAt}) {
    End end;
    load(end.bytes, from, endBytes);
    const End written = endOf(view.sessionId, view.batchSequence, from);
    expect(std::memcmp(&end, &written, sizeof(end)) == 0, "a batch holds what was not written in it");
  }
}

}  // namespace

void checkContents(const Region& region, const BatchView& view) {
  // As JavaScript loads them: what the poll has not invalidated is stale.
  const uint8_t* at = region.laneBytes(view.lane) + view.payloadOffset;
  checkBatch(view, [at](void* to, uint32_t from, uint32_t bytes) { memory::copyOut(to, at + from, bytes, {}); });
}

void checkCopied(const BatchView& view, const uint8_t* bytes) {
  checkBatch(view, [bytes](void* to, uint32_t from, uint32_t count) { std::memcpy(to, bytes + from, count); });
}

uint64_t recordsAhead(uint64_t sequence) { return firstRecordOf(sequence); }

void checkCopy(uint64_t session, const UncommittedBatch& batch) {
  const bool whole = batch.messages == recordsOf(batch.sequence) && batch.firstMessage == firstRecordOf(batch.sequence) &&
                     batch.payload.size() == payloadBytes && batch.lengths.size() == (batch.messages == 1 ? 0 : 2);
  expect(whole, "the copy of a batch has other records");
  expect(batch.lengths.empty() || (batch.lengths[0] == lengths[0] && batch.lengths[1] == lengths[1]), "the copy has other lengths");
  for (const uint32_t from : {0U, tailAt}) {
    const End written = endOf(session, batch.sequence, from);
    expect(std::memcmp(batch.payload.data() + from, written.bytes, endBytes) == 0, "the copy of a batch holds what was not written in it");
  }
}

bool Subscribing::attach(From from) {
  const Status status = reader_.attach(from, 0);
  if (!status.ok()) Trace::say(std::string("is not attached: ") + status.fault);
  return status.ok();
}

void Subscribing::check(const BatchView& view) {
  if (count_ == 0) firstPosition_ = position_ = view.position;
  expect(view.position == position_, "the order is not dense");
  position_ += view.messages;
  const auto known = next_.find(view.sessionId);
  if (known != next_.end()) expect(view.batchSequence == known->second, "a session's batches are not in order");
  if (known == next_.end() && firstPosition_ == 0) expect(view.batchSequence == 0, "a session's first batch is missing");
  next_[view.sessionId] = view.batchSequence + 1;
  checkContents(*region_, view);
  Trace::say("has batch " + std::to_string(view.batchSequence) + " of session " + std::to_string(view.sessionId));
  count_ += 1;
}

bool Subscribing::look() {
  BatchView views[16];
  const int32_t filled = reader_.poll(views, 16);
  expect(filled >= 0, "the index contradicts itself");
  for (int32_t i = 0; i < filled; i += 1) check(views[i]);
  return filled > 0;
}

bool Subscribing::take() {
  const bool any = look();
  reader_.release(reader_.next());
  return any;
}

bool Subscribing::moreIsThere() const { return peek<&TopicLine::Committed::entries>(region_->topicLine(1, 0).committed) > reader_.next(); }

void Subscribing::receive(uint64_t batches, Sleeper& sleeper) {
  while (count_ < batches) {
    const uint64_t before = count_;
    sleeper.until(sleepsForData, "a batch", [&] { return more() || Scheduler::now().deaths(); }, [&] { return moreIsThere(); });
    take();
    // A publisher that died has published less.
    if (count_ == before && Scheduler::now().deaths()) return;
  }
}

}  // namespace ringfence::explore
