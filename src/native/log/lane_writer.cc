#include "lane_writer.h"

#include <algorithm>

#include "descriptor_check.h"
#include "replicas.h"
#include "region/epochs.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence {

LaneWriter::LaneWriter(std::shared_ptr<Region> region, Claim claim)
    : region_(std::move(region)), claim_(claim), lanes_(region_->layout().geometry.brokers) {}

// SYNC: observes the seals of the session's line and of its lanes' lines, which the sequencer publishes when it adopts the
// session (sequencing::adoptSession), the first also when it refuses it (sequencing::refuseSession), and the generation
// that each broker publishes in its grant (grantLanes).
bool LaneWriter::ready() {
  if (ready_) return true;
  const Publication& p = region_->publication();
  EpochView view(*region_);
  SessionLine::Acknowledged line;
  if (!view.look() || view.epoch() == 0) return false;
  const uint64_t epoch = view.epoch();
  if (!readSealed(p, region_->sessionLine(epoch, claim_.slot).acknowledged, line)) return false;
  if (line.generation != claim_.generation) return false;
  if (line.endedGeneration == claim_.generation && line.endReason != endCorrupt) return false;
  SessionLine::Adoption adoption;
  if (!readSealed(p, region_->sessionLine(epoch, claim_.slot).adoption, adoption)) return false;
  if (adoption.generation != claim_.generation) return false;
  std::vector<LaneLine::Frontiers> at(lanes_.size());
  for (uint32_t b = 0; b < lanes_.size(); b += 1) {
    if (p.observe<&GrantLine::grantedGeneration>(region_->grant(epoch, laneOf(b))) != claim_.generation) return false;
    if (!readSealed(p, region_->laneLine(epoch, laneOf(b)).frontiers, at[b])) return false;
    if (at[b].generation != claim_.generation) return false;
  }
  if (!view.believes()) return false;
  for (uint32_t b = 0; b < lanes_.size(); b += 1) {
    if (!takeOver(b, at[b])) return false;
  }
  if (adoption.identity != 0) incarnation_ = {adoption.incarnation, adoption.base};
  return ready_ = true;
}

// Continues where the lane's former owner ended. Its unreleased batches still occupy their room.
bool LaneWriter::takeOver(uint32_t broker, const LaneLine::Frontiers& at) {
  const Publication& p = region_->publication();
  const Geometry& g = region_->layout().geometry;
  if (at.scanned - at.released > g.laneSlots || at.payloadEnd % lineBytes != 0) return false;
  if (at.payloadEnd - at.payloadReleased > g.lanePayloadBytes) return false;
  Lane& lane = lanes_[broker];
  lane.first = lane.written = lane.published = at.scanned;
  lane.released = at.released;
  lane.position = at.payloadEnd;
  lane.payloadReleased = at.payloadReleased;
  lane.sealed.clear();
  ProducerLine line{};
  line.writtenBatches = lane.written;
  line.publishedBatches = lane.published;
  p.on(role_, region_->producer(laneOf(broker)))
      .allBut<&ProducerLine::generation>(line)
      .publish<&ProducerLine::generation>(claim_.generation);
  return true;
}

// SYNC: pairs with the publication of `released` in sequencing::publishLane: subscribers' loads of a batch come before their
// cursors pass it, and those before the release. Ignores impossible marks. Only marks that have moved need to be believed.
// It looks at the session's line behind them: a fence releases what was not committed, and the client still needs that.
void LaneWriter::lookAtReleased(uint32_t broker, Lane& lane) {
  const Publication& p = region_->publication();
  EpochView view(*region_);
  LaneLine::Frontiers line;
  if (!view.look() || view.epoch() == 0) return;
  if (!readSealed(p, region_->laneLine(view.epoch(), laneOf(broker)).frontiers, line)) return;
  const bool slots = line.released > lane.released && line.released <= lane.published;
  const bool bytes = line.payloadReleased > lane.payloadReleased && line.payloadReleased <= lane.position;
  if ((!slots && !bytes) || fencedIn(view.epoch()) || !view.believes()) return;
  if (slots) lane.released = line.released;
  if (bytes) lane.payloadReleased = line.payloadReleased;
}

// Whether the session was fenced or has outlived its lease, or its line does not say.
// SYNC: pairs with the publication in sequencing::endSession, which comes ahead of the lanes' lines.
bool LaneWriter::fencedIn(uint64_t epoch) const {
  if (planted("a release behind an end is believed")) return false;
  SessionLine::Acknowledged line;
  if (!readSealed(region_->publication(), region_->sessionLine(epoch, claim_.slot).acknowledged, line)) return true;
  if (line.endedGeneration != claim_.generation) return false;
  return line.endReason == endOutlived || line.endReason == endFenced;
}

// No room is kept in reserve for a batch that the sequencer misses: a session's batches are begun in the order of their
// sequence, so that one has its room before any that waits for it.
bool LaneWriter::roomFor(const Lane& lane, uint64_t start) const {
  const Geometry& g = region_->layout().geometry;
  if (lane.written - lane.released >= g.laneSlots) return false;
  return start + g.batchBytes - lane.payloadReleased <= g.lanePayloadBytes;
}

int64_t LaneWriter::begin(uint32_t broker, uint64_t sequence) {
  if (!usable()) return -1;
  Lane& lane = lanes_[broker];
  const Geometry& g = region_->layout().geometry;
  const uint64_t mask = g.lanePayloadBytes - 1;
  if (lane.began && lane.beganSequence == sequence) return static_cast<int64_t>(lane.beganAt & mask);
  uint64_t start = lane.position;
  if ((start & mask) + g.batchBytes > g.lanePayloadBytes) start = roundUp(start, g.lanePayloadBytes);
  if (!roomFor(lane, start)) {
    lookAtReleased(broker, lane);
    if (!roomFor(lane, start)) {
      lane.fullEvents += 1;
      region_->publication().on(role_, region_->producer(laneOf(broker))).set<&ProducerLine::fullEvents>(lane.fullEvents);
      return -1;
    }
  }
  lane.began = true;
  lane.beganAt = start;
  lane.beganSequence = sequence;
  return static_cast<int64_t>(start & mask);
}

bool LaneWriter::seal(uint32_t broker, const BatchToSeal& batch) {
  Lane& lane = lanes_[broker];
  const Geometry& g = region_->layout().geometry;
  if (!usable() || !lane.began || lane.beganSequence != batch.sequence) return false;
  const uint64_t bytes = batchBytesOf(batch.payloadBytes, batch.messages, batch.uniformBytes);
  const uint64_t tableBytes = batch.uniformBytes == 0 ? uint64_t{batch.messages} * sizeof(uint32_t) : 0;
  if (bytes > g.batchBytes || batch.messages == 0) return false;
  if (batch.uniformBytes != 0 && uint64_t{batch.uniformBytes} * batch.messages != batch.payloadBytes) return false;
  const Publication& p = region_->publication();
  const Bytes<Payload> payload = region_->payload(laneOf(broker)).part(lane.beganAt & (g.lanePayloadBytes - 1), bytes);
  Written<Payload> written = p.wrote(role_, payload.part(0, bytes - tableBytes));
  if (tableBytes != 0) written += p.write(role_, payload.part(bytes - tableBytes, tableBytes), batch.lengths);

  Descriptor descriptor{};
  descriptor.token = 0;
  descriptor.sessionKey = claim_.clientId << 16;
  descriptor.batchSequence = batch.sequence;
  descriptor.firstMessage = batch.firstMessage;
  descriptor.payloadPosition = lane.beganAt;
  descriptor.payloadBytes = batch.payloadBytes;
  descriptor.messageCount = batch.messages;
  descriptor.uniformBytes = batch.uniformBytes;
  descriptor.publishedNanos = wallNanos();
  descriptor.crc = descriptorCrc(descriptor);
  p.on(role_, region_->descriptor(laneOf(broker), lane.written)).allBefore<&Descriptor::token>(descriptor);

  lane.sealed.push_back({batch.sequence, batch.messages, std::move(written)});
  lane.position = roundUp(lane.beganAt + bytes, lineBytes);
  lane.written += 1;
  lane.writtenMessages += batch.messages;
  lane.began = false;
  p.on(role_, region_->producer(laneOf(broker)))
      .set<&ProducerLine::writtenMessages>(lane.writtenMessages)
      .set<&ProducerLine::writtenBatches>(lane.written);
  return true;
}

// Under order `none` the readers take the batch from the lane, so they are rung; the sequencer only when the lane runs
// short, as it would find.
// SYNC: publishes the token of each descriptor after its payload and fields; pairs with the observes in
// sequencing::scanLane and LaneReader::peek.
void LaneWriter::publish(uint32_t broker) {
  Lane& lane = lanes_[broker];
  if (!usable() || lane.published == lane.written) return;
  const Publication& p = region_->publication();
  for (Sealed& batch : lane.sealed) {
    p.on(role_, region_->descriptor(laneOf(broker), lane.published))
        .publish<&Descriptor::token>(readyToken(region_->mark(), lane.published, claim_.generation), std::move(batch.payload));
    lane.published += 1;
    lane.publishedMessages += batch.messages;
  }
  lane.sealed.clear();
  p.on(role_, region_->producer(laneOf(broker)))
      .set<&ProducerLine::publishedMessages>(lane.publishedMessages)
      .set<&ProducerLine::publishedBatches>(lane.published);
  if (claim_.unordered) region_->wakeProcesses(sleepsForData);
  if (!claim_.unordered || runsShort(broker, lane)) region_->wakeSequencer(sleepsForData);
}

// As the sequencer would find once it has scanned the lane (sequencing::laneShort).
bool LaneWriter::runsShort(uint32_t broker, Lane& lane) {
  const Geometry& g = region_->layout().geometry;
  const uint64_t spareBytes = std::max(g.lanePayloadBytes / 4, 4 * g.batchBytes);
  const auto runsOut = [&] {
    return lane.published - lane.released > g.laneSlots - g.laneSlots / 4 ||
           lane.position - lane.payloadReleased > g.lanePayloadBytes - spareBytes;
  };
  if (!runsOut()) return false;
  lookAtReleased(broker, lane);
  return runsOut();
}

uint64_t LaneWriter::fullEvents() const {
  uint64_t events = 0;
  for (const Lane& lane : lanes_) events += lane.fullEvents;
  return events;
}

uint64_t LaneWriter::inFlight(uint32_t broker) {
  Lane& lane = lanes_[broker];
  lookAtReleased(broker, lane);
  return lane.written - lane.released;
}

// Ignores the line once the slot's next session has it.
// SYNC: pairs with the publishes in sequencing::publishSession, which follow the committed count that they acknowledge.
void LaneWriter::lookAtCommitted() const {
  const Publication& p = region_->publication();
  EpochView view(*region_);
  SessionLine::Acknowledged line;
  if (!view.look() || view.epoch() == 0) return;
  if (!readSealed(p, region_->sessionLine(view.epoch(), claim_.slot).acknowledged, line)) return;
  if (line.generation != claim_.generation) return;
  if (line.batches <= committedBatches_ && line.messages <= committedMessages_) return;
  if (!view.believes()) return;
  if (line.batches > committedBatches_) committedBatches_ = line.batches;
  if (line.messages > committedMessages_) committedMessages_ = line.messages;
}

uint64_t LaneWriter::committedBatches() const {
  lookAtCommitted();
  return committedBatches_;
}

uint64_t LaneWriter::committedMessages() const {
  lookAtCommitted();
  return committedMessages_;
}

// The count follows the prefix that was read before: the sequencer publishes it ahead of that (publishAcknowledged), and a
// successor recovers no less of it than of the prefix. A count that was read earlier says nothing of it.
std::optional<uint64_t> LaneWriter::commitPoint() const {
  const Publication& p = region_->publication();
  EpochView view(*region_);
  TopicLine::Committed line;
  if (!claim_.durable || !view.look() || view.epoch() == 0) return {};
  const TopicLine& topic = region_->topicLine(view.epoch(), claim_.topic);
  if (!readEither(p, topic.committed, topic.committedSpare, line) || !view.believes()) return {};
  return line.entries;
}

std::optional<uint64_t> LaneWriter::durableEntries() const {
  if (!claim_.durable) return {};
  const std::optional<uint64_t> now = durabilityOf(*region_, claim_.topic).entries;
  if (now > durableEntries_) durableEntries_ = now;
  return durableEntries_;
}

// SYNC: pairs with the publishes in sequencing::endSession and sequencing::refuseSession.
uint32_t LaneWriter::endReason() const {
  if (endReason_ != endNone) return endReason_;
  const Publication& p = region_->publication();
  EpochView view(*region_);
  SessionLine::Acknowledged line;
  if (!view.look() || view.epoch() == 0) return endNone;
  if (!readSealed(p, region_->sessionLine(view.epoch(), claim_.slot).acknowledged, line)) return endNone;
  const bool corrupt = line.generation == claim_.generation && line.endReason == endCorrupt;
  if ((!corrupt && line.endedGeneration < claim_.generation) || !view.believes()) return endNone;
  if (corrupt) return endReason_ = endCorrupt;
  // The slot is another session's only once this one was closed and has ended.
  const bool own = line.endReason != endNone && line.generation == claim_.generation;
  // The end names the prefix that is committed for good, which uncommitted() relies on.
  if (own && line.batches > committedBatches_) committedBatches_ = line.batches;
  if (own && line.messages > committedMessages_) committedMessages_ = line.messages;
  return endReason_ = own ? line.endReason : uint32_t{endClosed};
}

LaneFrontiers LaneWriter::frontiers(uint32_t broker) const {
  const Publication& p = region_->publication();
  const Lane& lane = lanes_[broker];
  const uint64_t epoch = headsOf(*region_).served.number;
  const LaneLine::Frontiers frontiers = p.copy(region_->laneLine(epoch, laneOf(broker)).frontiers);
  const LaneLine::Counts counts = p.copy(region_->laneLine(epoch, laneOf(broker)).counts);
  LaneFrontiers at{};
  at.written = lane.written - lane.first;
  at.published = lane.published - lane.first;
  // The memory of a closed region reads as zeros.
  at.scanned = frontiers.scanned < lane.first ? 0 : frontiers.scanned - lane.first;
  at.released = frontiers.released;
  at.held = counts.held;
  at.ordered = counts.ordered;
  at.orderedMessages = counts.orderedMessages;
  at.delivered = counts.delivered;
  at.deliveredMessages = counts.deliveredMessages;
  at.duplicates = counts.duplicates;
  at.purged = counts.purged;
  return at;
}

uint64_t LaneWriter::held() const {
  const SessionLine& line = region_->sessionLine(headsOf(*region_).served.number, claim_.slot);
  const SessionLine::Pressure pressure = region_->publication().copy(line.pressure);
  return pressure.gapSinceNanos == 0 ? 0 : pressure.held;
}

int32_t LaneWriter::brokerHolding(uint64_t sequence) const {
  if (region_->closed()) return -1;
  for (uint32_t b = 0; b < lanes_.size(); b += 1) {
    const Lane& lane = lanes_[b];
    for (const Sealed& batch : lane.sealed) {
      if (batch.sequence == sequence) return static_cast<int32_t>(b);
    }
    if (lane.began && lane.beganSequence == sequence) return static_cast<int32_t>(b);
  }
  return -1;
}

// A batch may lie in two lanes: a copy of each sequence is enough.
std::vector<UncommittedBatch> LaneWriter::uncommitted() const {
  std::vector<UncommittedBatch> batches;
  if (!ready_ || closed_ || region_->closed() || endReason() == endNone) return batches;
  for (uint32_t b = 0; b < lanes_.size(); b += 1) copyUncommitted(b, batches);
  const auto before = [](const auto& one, const auto& other) { return one.sequence < other.sequence; };
  const auto same = [](const auto& one, const auto& other) { return one.sequence == other.sequence; };
  std::stable_sort(batches.begin(), batches.end(), before);
  batches.erase(std::unique(batches.begin(), batches.end(), same), batches.end());
  return batches;
}

// No release behind the end was believed, so nothing that is not committed was overwritten.
void LaneWriter::copyUncommitted(uint32_t broker, std::vector<UncommittedBatch>& out) const {
  const Publication& p = region_->publication();
  const uint64_t at = laneOf(broker);
  const Lane& lane = lanes_[broker];
  const uint64_t mask = region_->layout().geometry.lanePayloadBytes - 1;
  for (uint64_t i = std::max(lane.first, lane.released); i < lane.written; i += 1) {
    const Descriptor d = p.copy(region_->descriptor(at, i));
    if (d.batchSequence < committedBatches_ || !descriptorSound(region_->layout().geometry, d, claim_.clientId)) continue;
    UncommittedBatch& batch = out.emplace_back();
    batch = {d.batchSequence, d.firstMessage, d.messageCount, d.uniformBytes, {}, {}};
    batch.payload.resize(d.payloadBytes);
    const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
    const Bytes<Payload> payload = region_->payload(at).part(d.payloadPosition & mask, bytes);
    p.own(role_, batch.payload.data(), payload.part(0, d.payloadBytes));
    if (d.uniformBytes != 0) continue;
    const uint64_t table = uint64_t{d.messageCount} * sizeof(uint32_t);
    batch.lengths.resize(d.messageCount);
    p.own(role_, batch.lengths.data(), payload.part(bytes - table, table));
  }
}

void LaneWriter::wantRoom() const {
  if (usable()) region_->wakeSequencer(sleepsForData | sleepsForRoom);
}

// From here on this writer never touches the lanes again: they may become another session's. Until then the slot stays
// this session's, even when the sequencer has ended it (slotState).
// SYNC: publishes the closing behind all stores in the lanes; pairs with the observes in sequencing::lookAtClaim and
// slotState.
void LaneWriter::close() {
  if (closed_) return;
  endReason();  // keep it, and the counts, for questions after the slot is another session's
  closed_ = true;
  if (region_->closed()) return;
  lookAtCommitted();
  const Publication& p = region_->publication();
  p.on(role_, region_->client(claim_.slot).line).publish<&ClientLine::closingGeneration>(claim_.generation);
  region_->wakeSequencer(sleepsForData | sleepsForRoom);
}

}  // namespace ringfence
