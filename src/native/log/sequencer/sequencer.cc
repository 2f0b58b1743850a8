#include "sequencer.h"

#include <sys/mman.h>

#include <cstring>

#include "log/claims.h"
#include "region/futex.h"
#include "region/sealed_line.h"
#include "region/token.h"
#include "region/waiter.h"

namespace ringfence {

namespace {

constexpr uint32_t scanBudget = 256;        // descriptors of one lane in one pass, so that no lane starves another
constexpr size_t readyLimit = 4096;         // batches of one epoch
constexpr size_t endedLimit = 1024;         // sessions that are remembered until they are told to have ended
constexpr int64_t lookNanos = 100'000'000;  // how often a sleeping sequencer looks at its sleep word
constexpr int64_t spinNanos = 4'000;        // how long an idle pass is repeated before the thread sleeps
constexpr int stopPasses = 4096;            // so that a client that goes on publishing does not keep it from stopping

uint64_t powerOfTwoAtLeast(uint64_t n) {
  uint64_t power = 1;
  while (power < n) power <<= 1;
  return power;
}

}  // namespace

Sequencer::Sequencer(std::shared_ptr<Region> region, SequencerOptions options)
    : region_(std::move(region)),
      options_(options),
      p_(region_->publication()),
      g_(region_->layout().geometry),
      sessions_(g_.clients),
      lanes_(region_->layout().lanes()) {
  for (Lane& lane : lanes_) {
    lane.state.assign(g_.laneSlots, Slot::none);
    lane.topic.assign(g_.laneSlots, 0);
    lane.entry.assign(g_.laneSlots, 0);
    lane.start.assign(g_.laneSlots, 0);
  }
}

Sequencer::~Sequencer() { stop(); }

Status Sequencer::start() {
  if (serverState(*region_) == serverServing || !region_->tryLockLease()) {
    return Status::failed("busy", "its sequencer runs already");
  }
  const Status status = begin();
  if (!status.ok()) region_->unlockLease();
  return status;
}

// Taking over the order of a predecessor is not built yet: a region serves one epoch. One that was begun and never
// served is nobody's: its block is empty still, and clients may have looked at it, so the same epoch is begun again.
// SYNC: `state` is published last, and says that all before it is there.
Status Sequencer::begin() {
  ControlLine& control = region_->header().control;
  if (p_.observe(control.state) != servingNone) {
    return Status::failed("busy", "its order was begun by a process that is gone");
  }
  // A server keeps the name as its creator does: nobody could attach to what it serves otherwise.
  const Status held = region_->hold();
  if (!held.ok()) return held;
  // The thread comes first, and waits until all is written: nothing is begun that nobody would serve.
  const std::lock_guard<std::mutex> lock(mutex_);
  const Status status = options_.manual ? Status::fine() : thread_.start([this] { run(); });
  if (!status.ok()) return status;
  const uint64_t begun = p_.observe(control.epoch);
  epoch_ = begun == 0 ? 1 : begun;
  BlockHeader& block = region_->blockHeader(epoch_);
  p_.write(block.epoch, epoch_);
  p_.write(block.process, uint64_t{region_->slot()});
  p_.write(block.processGeneration, region_->generation());
  p_.wrote(&block, sizeof(block));
  p_.write(control.sequencerProcess, region_->slot());
  p_.write(control.sequencerGeneration, region_->generation());
  p_.write(control.epochMicros, options_.epochMicros);
  p_.publish(control.epoch, epoch_);
  p_.publish(control.state, uint32_t{servingActive});
  stopped_ = false;
  return Status::fine();
}

void Sequencer::stop() {
  stopping_.store(true, std::memory_order_seq_cst);
  if (thread_.running()) {
    BellLine& bell = region_->header().sequencerBell;
    p_.ring(bell.bell);
    futexWake(&bell.bell);
    thread_.join();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_) return;
  stopped_ = true;
  // What was published before the stop is still ordered.
  for (int i = 0; i < stopPasses && pass(true); i += 1) continue;
  publishAgain();
  p_.publish(region_->header().control.state, uint32_t{servingStopped});
  region_->unlockLease();
  region_->wakeProcesses(sleepsForAll);
}

bool Sequencer::step() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !stopped_ && pass(true);
}

void Sequencer::pause() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = true;
}

void Sequencer::resume() {
  const std::lock_guard<std::mutex> lock(mutex_);
  paused_ = false;
  BellLine& bell = region_->header().sequencerBell;
  p_.ring(bell.bell);
  futexWake(&bell.bell);
}

// --- one pass ---

bool Sequencer::pass(bool commitNow) {
  passes_ += 1;
  bool moved = adoptTopics();
  const bool adopted = adoptClients();
  moved |= adopted;
  moved |= scanLanes();
  if (!ready_.empty() && (commitNow || epochDue())) moved |= commit();
  moved |= endSessions();
  moved |= answerWish();
  moved |= followReaders();
  moved |= makeRoom();
  if (moved) {
    publishAll();
    region_->wakeProcesses(adopted ? sleepsForData | sleepsForAdmission : uint32_t{sleepsForData});
  }
  return moved;
}

// SYNC: observes the generation that a client publishes last in its claim, and the one it publishes when it closes,
// after everything it published.
bool Sequencer::adoptClients() {
  bool moved = false;
  for (uint32_t i = 0; i < g_.clients; i += 1) {
    Session& session = sessions_[i];
    const uint64_t generation = p_.observe(region_->client(i).claim.generation);
    if (generation != 0 && generation != session.generation && !session.active) {
      const ClientClaim claim = p_.copyOut(region_->client(i).claim);
      p_.loadFence();
      // Given up before it was adopted: the slot may be another's by now, who writes where this was copied from.
      if (p_.observe(region_->client(i).line.closingGeneration) == generation || claim.generation != generation) continue;
      if (stale(claim)) adoptTopics();  // declared a moment ago
      if (claim.topic < topics_.size() && stale(claim)) {
        refuse(i, claim);
      } else {
        adopt(i, claim);
      }
      moved = true;
    }
    // A slot whose session was given up while it was adopted here may be another's by now, and closed again: the later
    // claim says so, where the word of closing no longer names this session.
    if (session.active && !session.ending &&
        (generation != session.generation ||
         p_.observe(region_->client(i).line.closingGeneration) == session.generation)) {
      session.ending = true;
      session.endReason = endClosed;
    }
  }
  return moved;
}

// The lanes of the slot go on where their former owner's ended: positions never restart, so nothing it left behind
// can look new under the new generation.
void Sequencer::adopt(uint32_t client, const ClientClaim& claim) {
  giveSlot(client);
  Session& session = sessions_[client];
  session.generation = claim.generation;
  session.id = sessionIdOf(g_, client, claim.generation);
  session.topic = claim.topic;
  session.process = claim.process;
  session.processGeneration = claim.processGeneration;
  session.active = true;
  session.ending = false;
  session.endReason = endNone;
  session.expected = session.expectedMessages = 0;
  session.held = session.heldTotal = session.duplicates = session.purged = session.gapSinceNanos = 0;
  session.window.assign(powerOfTwoAtLeast(uint64_t{g_.brokers} * g_.laneSlots), Pending{});
  for (uint32_t b = 0; b < g_.brokers; b += 1) {
    const uint32_t at = static_cast<uint32_t>(region_->laneOf(b, client));
    Lane& lane = lanes_[at];
    lane.generation = claim.generation;
    lane.firstIndex = lane.scanned;
    lane.held = lane.ordered = lane.orderedMessages = lane.delivered = lane.deliveredMessages = 0;
    lane.duplicates = lane.purged = 0;
    publishLane(at);
  }
  if (session.topic >= topics_.size()) {
    corrupt(client);
    session.topic = 0;
    session.topicName.clear();
  } else {
    session.order = topics_[session.topic].order;
    session.topicName = topics_[session.topic].name;
  }
  SessionLine::Acknowledged& line = region_->sessionLine(epoch_, client).acknowledged;
  p_.write(line.batches, uint64_t{0});
  p_.write(line.messages, uint64_t{0});
  p_.write(line.endReason, uint32_t{endNone});
  p_.wrote(&line, sizeof(line));
  p_.publish(line.generation, session.generation);
  sealSession(client);
  session.dirty = true;
}

void Sequencer::corrupt(uint32_t client) {
  Session& session = sessions_[client];
  session.ending = true;
  session.endReason = endCorrupt;
}

bool Sequencer::scanLanes() {
  bool moved = false;
  for (uint32_t turn = 0; turn < g_.clients; turn += 1) {
    const uint32_t client = (firstClient_ + turn) % g_.clients;
    if (!sessions_[client].active) continue;
    moved |= emitReady(client);
    for (uint32_t b = 0; b < g_.brokers; b += 1) moved |= scanLane(client, b);
  }
  firstClient_ = (firstClient_ + 1) % g_.clients;
  return moved;
}

// SYNC: the token pairs with the publish in LaneWriter::publish.
bool Sequencer::scanLane(uint32_t client, uint32_t broker) {
  const uint32_t at = static_cast<uint32_t>(region_->laneOf(broker, client));
  Lane& lane = lanes_[at];
  Session& session = sessions_[client];
  lane.tail = false;
  lane.waitsFor = 0;
  bool moved = false;
  for (uint32_t taken = 0; taken < scanBudget; taken += 1) {
    if (session.endReason == endCorrupt || lane.scanned - lane.released >= g_.laneSlots) {
      lane.tail = true;
      break;
    }
    if (!descriptorReady(at, lane.scanned)) {
      lane.tail = true;
      break;
    }
    if (ready_.size() >= readyLimit || !roomInIndex(session.topic)) break;
    const Descriptor descriptor = p_.copyOut(region_->descriptor(at, lane.scanned));
    if (!descriptorValid(lane, session, descriptor)) corrupt(client);
    if (session.endReason == endCorrupt || !accept(client, at, descriptor)) break;
    moved = true;
  }
  return moved || session.endReason == endCorrupt;
}

bool Sequencer::descriptorReady(uint32_t at, uint64_t index) const {
  return p_.observe(region_->descriptor(at, index).token) == readyToken(index, lanes_[at].generation);
}

bool Sequencer::descriptorValid(const Lane& lane, const Session& session, const Descriptor& d) const {
  const uint64_t offset = d.payloadPosition & (g_.lanePayloadBytes - 1);
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  if (d.crc != descriptorCrc(d) || d.sessionKey >> 16 != session.id) return false;
  if (d.messageCount == 0 || bytes > g_.batchBytes || offset + bytes > g_.lanePayloadBytes) return false;
  if (offset % lineBytes != 0) return false;
  if (d.payloadPosition < lane.payloadEnd || d.payloadPosition - lane.payloadEnd > g_.lanePayloadBytes) return false;
  return d.uniformBytes == 0 || uint64_t{d.uniformBytes} * d.messageCount == d.payloadBytes;
}

// Takes the batch at the lane's scanned frontier into its session's window. False leaves it in the lane.
bool Sequencer::accept(uint32_t client, uint32_t at, const Descriptor& d) {
  Session& session = sessions_[client];
  Lane& lane = lanes_[at];
  const uint64_t window = session.window.size();
  if (d.batchSequence >= session.expected && d.batchSequence - session.expected >= window) {
    // Under `session` no honest client has so many batches outstanding; under `total` its prefix may lag behind.
    if (session.order == orderSession) corrupt(client);
    lane.waitsFor = d.batchSequence;
    return false;
  }
  Pending& pending = session.window[d.batchSequence & (window - 1)];
  const uint64_t slot = lane.scanned & (g_.laneSlots - 1);
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  lane.start[slot] = d.payloadPosition;
  lane.topic[slot] = session.topic;
  lane.payloadEnd = (d.payloadPosition + bytes + lineBytes - 1) & ~uint64_t{lineBytes - 1};
  lane.dirty = session.dirty = true;
  const uint64_t index = lane.scanned;
  lane.scanned += 1;
  if (d.batchSequence < session.expected || pending.tag == d.batchSequence + 1) {
    lane.state[slot] = Slot::done;
    lane.duplicates += 1;
    session.duplicates += 1;
    duplicates_ += 1;
    releaseSlots(lane);
    return true;
  }
  lane.state[slot] = Slot::held;
  pending = Pending{d.batchSequence + 1, index, d.firstMessage, d.payloadPosition, d.publishedNanos,
                    at, d.payloadBytes, d.messageCount, d.uniformBytes, false};
  session.held += 1;
  lane.held += 1;
  if (session.order == orderTotal) emit(client, pending);
  emitReady(client);
  if (!pending.emitted) session.heldTotal += 1;
  return true;
}

// Emits what may follow: under `session` the contiguous batches from the expected one; under `total` the prefix of
// what was emitted already is only counted.
bool Sequencer::emitReady(uint32_t client) {
  Session& session = sessions_[client];
  bool moved = false;
  for (;;) {
    Pending& pending = session.window[session.expected & (session.window.size() - 1)];
    if (pending.tag != session.expected + 1) break;
    if (!pending.emitted) {
      if (!roomInIndex(session.topic)) break;
      emit(client, pending);
    }
    session.expectedMessages += pending.messages;
    session.expected += 1;
    pending.tag = 0;
    moved = true;
  }
  // What only waits for room in the index is no gap: nothing of it is missing.
  const bool missing = session.window[session.expected & (session.window.size() - 1)].tag != session.expected + 1;
  if (session.held == 0 || !missing) {
    session.gapSinceNanos = 0;
  } else if (session.gapSinceNanos == 0 || moved) {
    session.gapSinceNanos = monotonicNanos();
  }
  if (moved) session.dirty = true;
  return moved;
}

void Sequencer::emit(uint32_t client, Pending& pending) {
  Session& session = sessions_[client];
  if (ready_.empty()) readySinceNanos_ = monotonicNanos();
  pending.emitted = true;
  ready_.push_back({client, pending});
  topics_[session.topic].pending += 1;
  session.held -= 1;
  lanes_[pending.lane].held -= 1;
}

bool Sequencer::roomInIndex(uint32_t topic) const {
  const Topic& at = topics_[topic];
  return at.committed + at.pending - at.trim < g_.indexEntries;
}

// An epoch is committed at once while nothing is held; with held batches it waits for those that complete them. Not for
// a gap that is older than an epoch: nothing tells when that one ends, and other sessions do not wait for it.
bool Sequencer::epochDue() const {
  if (ready_.size() >= readyLimit || options_.manual) return true;
  const uint64_t now = monotonicNanos();
  const uint64_t epochNanos = options_.epochMicros * 1000;
  if (now - readySinceNanos_ >= epochNanos) return true;
  for (const Session& session : sessions_) {
    if (session.active && session.held != 0 && now - session.gapSinceNanos < epochNanos) return false;
  }
  return true;
}

// Three fences an epoch, whatever the number of batches: entries, then counts, then acknowledgements (publishAll).
bool Sequencer::commit() {
  const uint64_t now = wallNanos();
  for (const Ready& ready : ready_) {
    const Session& session = sessions_[ready.client];
    const Pending& batch = ready.batch;
    Topic& topic = topics_[session.topic];
    Lane& lane = lanes_[batch.lane];
    const uint64_t index = topic.committed;
    IndexEntry entry{};
    entry.order.sessionKey = session.id << 16;
    entry.order.batchSequence = batch.tag - 1;
    entry.order.firstPosition = topic.messages;
    entry.order.firstMessage = batch.firstMessage;
    entry.order.messageCount = batch.messages;
    entry.order.payloadBytes = batch.payloadBytes;
    entry.order.lane = batch.lane;
    entry.order.uniformBytes = batch.uniformBytes;
    entry.order.laneIndex = batch.laneIndex;
    entry.place.payloadPosition = batch.payloadPosition;
    entry.place.publishedNanos = batch.publishedNanos;
    entry.place.orderedNanos = now;
    sealEntry(entry, readyToken(index, epoch_));
    p_.copyIn(region_->entry(epoch_, session.topic, index), entry);

    topic.kept[index & (g_.indexEntries - 1)] = {batch.lane, batch.messages, batch.laneIndex, lane.generation};
    topic.committed += 1;
    topic.pending -= 1;
    topic.messages += batch.messages;
    topic.bytes += batch.payloadBytes;
    topic.dirty = true;
    const uint64_t slot = batch.laneIndex & (g_.laneSlots - 1);
    lane.state[slot] = Slot::ordered;
    lane.entry[slot] = index;
    lane.ordered += 1;
    lane.orderedMessages += batch.messages;
    lane.dirty = true;
    batches_ += 1;
    messages_ += batch.messages;
  }
  ready_.clear();
  commits_ += 1;
  p_.storeFence();
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    if (!topics_[t].dirty) continue;
    topics_[t].dirty = false;
    publishCommitted(t);
  }
  p_.storeFence();
  return true;
}

// A session that closes, died or lied ends at its committed prefix, once everything it published was seen.
bool Sequencer::endSessions() {
  bool moved = false;
  for (uint32_t i = 0; i < g_.clients; i += 1) {
    const Session& session = sessions_[i];
    if (!session.active || !session.ending || !ready_.empty() || !allSeen(i)) continue;
    end(i);
    moved = true;
  }
  return moved;
}

// True when no further scan can bring anything: each lane's last one ended at its tail, or at a batch too far ahead of a
// prefix that nothing completes any more.
bool Sequencer::allSeen(uint32_t client) const {
  const Session& session = sessions_[client];
  const uint64_t window = session.window.size();
  for (uint32_t b = 0; b < g_.brokers; b += 1) {
    const Lane& lane = lanes_[region_->laneOf(b, client)];
    const bool stuck = lane.waitsFor > session.expected && lane.waitsFor - session.expected >= window;
    if (!lane.tail && !stuck && session.endReason != endCorrupt) return false;
  }
  const Pending& next = session.window[session.expected & (window - 1)];
  return next.tag != session.expected + 1 || session.endReason == endCorrupt;
}

// SYNC: the end pairs with the observe in claimClient and LaneWriter::endReason; the slot may be taken from there on.
void Sequencer::end(uint32_t client) {
  Session& session = sessions_[client];
  purge(client);
  session.active = false;
  session.ending = false;
  if (session.topic < topics_.size()) topics_[session.topic].usedNanos = monotonicNanos();
  publishSession(client);
  for (uint32_t b = 0; b < g_.brokers; b += 1) publishLane(static_cast<uint32_t>(region_->laneOf(b, client)));
  SessionLine::Acknowledged& line = region_->sessionLine(epoch_, client).acknowledged;
  p_.publish(line.endReason, session.endReason);
  session.endedGeneration = session.generation;
  p_.publish(line.endedGeneration, session.generation);
  sealSession(client);
  session.window.clear();
  session.window.shrink_to_fit();
}

void Sequencer::purge(uint32_t client) {
  Session& session = sessions_[client];
  for (Pending& pending : session.window) {
    if (pending.tag == 0 || pending.emitted) continue;
    Lane& lane = lanes_[pending.lane];
    lane.state[pending.laneIndex & (g_.laneSlots - 1)] = Slot::done;
    lane.held -= 1;
    lane.purged += 1;
    lane.dirty = true;
    session.held -= 1;
    session.purged += 1;
    purged_ += 1;
    pending.tag = 0;
    releaseSlots(lane);
  }
  for (uint32_t b = 0; b < g_.brokers; b += 1) purgeUnscanned(static_cast<uint32_t>(region_->laneOf(b, client)), session);
  session.gapSinceNanos = 0;
}

// What stays in the lane behind a batch that was not taken is counted; the lane's next owner writes over it.
void Sequencer::purgeUnscanned(uint32_t at, Session& session) {
  Lane& lane = lanes_[at];
  for (uint64_t i = lane.scanned; i - lane.released < g_.laneSlots && descriptorReady(at, i); i += 1) {
    lane.purged += 1;
    session.purged += 1;
    purged_ += 1;
  }
}

// --- readers, retention, room ---

// The smallest cursor of the attached readers, or the committed count when there is none (`reader` is 0 then).
// SYNC: the cursor pairs with the publish in IndexReader::release: all reads of what lies below it are done.
uint64_t Sequencer::attachedMinimum(uint32_t topic, uint64_t& reader) const {
  uint64_t minimum = topics_[topic].committed;
  reader = 0;
  for (uint32_t i = 0; i < g_.readers; i += 1) {
    const ReaderSlot& slot = region_->reader(topic, i);
    const uint64_t generation = p_.observe(slot.claim.generation);
    if (generation == 0 || p_.observe(slot.line.attachedGeneration) != generation) continue;
    if (p_.observe(slot.line.detachedGeneration) == generation) continue;
    if (p_.read(region_->readerEnd(epoch_, topic, i).endedGeneration) == generation) continue;
    const uint64_t cursor = p_.observe(slot.line.cursor);
    if (reader != 0 && cursor >= minimum) continue;
    minimum = cursor < topics_[topic].committed ? cursor : topics_[topic].committed;
    reader = i + 1;
  }
  return minimum;
}

bool Sequencer::followReaders() {
  bool moved = false;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    Topic& topic = topics_[t];
    if (topic.delivered == topic.committed) continue;
    uint64_t reader = 0;
    const uint64_t minimum = attachedMinimum(t, reader);
    if (reader == 0 || minimum <= topic.delivered) continue;
    for (uint64_t i = topic.delivered; i < minimum; i += 1) {
      const Kept& kept = topic.kept[i & (g_.indexEntries - 1)];
      Lane& lane = lanes_[kept.lane];
      if (lane.generation != kept.generation) continue;
      lane.delivered += 1;
      lane.deliveredMessages += kept.messages;
      lane.dirty = true;
    }
    topic.delivered = minimum;
    publishRetention(t);
    moved = true;
  }
  return moved;
}

bool Sequencer::laneShort(uint32_t at) const {
  const Lane& lane = lanes_[at];
  if (lane.scanned == lane.released) return false;
  const uint64_t spareSlots = g_.laneSlots / 4;
  const uint64_t spareBytes = g_.lanePayloadBytes / 4 > 4 * g_.batchBytes ? g_.lanePayloadBytes / 4 : 4 * g_.batchBytes;
  const uint64_t usedBytes = lane.payloadEnd - lane.start[lane.released & (g_.laneSlots - 1)];
  if (lane.scanned - lane.released > g_.laneSlots - spareSlots) return true;
  return usedBytes > g_.lanePayloadBytes - spareBytes;
}

// What is kept is kept until its room is needed: then the oldest goes, never past an attached reader.
bool Sequencer::makeRoom() {
  bool moved = false;
  roomWanted_ = false;
  for (Topic& topic : topics_) topic.gating = 0;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    const uint64_t spare = g_.indexEntries - g_.indexEntries / 4;
    const Topic& topic = topics_[t];
    if (topic.committed - topic.trim > spare) moved |= trimTo(t, topic.committed - spare);
  }
  for (uint32_t at = 0; at < lanes_.size(); at += 1) {
    Lane& lane = lanes_[at];
    while (laneShort(at)) {
      const uint64_t slot = lane.released & (g_.laneSlots - 1);
      if (lane.state[slot] != Slot::ordered) {  // held: only the missing batch helps
        roomWanted_ = true;
        break;
      }
      if (!trimTo(lane.topic[slot], lane.entry[slot] + 1)) break;
      moved = true;
    }
  }
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    Topic& topic = topics_[t];
    if (topic.gating == 0) {
      topic.gatingSinceNanos = 0;
    } else if (topic.gatingSinceNanos == 0) {
      topic.gatingSinceNanos = monotonicNanos();
    }
    if (p_.read(region_->topicLine(epoch_, t).retention.gatingReader) != topic.gating) publishRetention(t);
  }
  return moved;
}

// SYNC: the frontier is published, a full fence follows, then the cursors are read again (see IndexReader::attach).
bool Sequencer::trimTo(uint32_t t, uint64_t target) {
  Topic& topic = topics_[t];
  uint64_t reader = 0;
  uint64_t minimum = attachedMinimum(t, reader);
  if (target > minimum) {
    target = minimum;
    topic.gating = reader;
    roomWanted_ = true;
  }
  if (target <= topic.trim) return false;
  const uint64_t before = topic.trim;
  const uint64_t messagesBefore = topic.trimMessages;
  for (uint64_t i = topic.trim; i < target; i += 1) {
    topic.trimMessages += topic.kept[i & (g_.indexEntries - 1)].messages;
  }
  topic.trim = target;
  publishRetention(t);
  p_.fullFence();
  minimum = attachedMinimum(t, reader);
  if (minimum < target) {  // a reader attached meanwhile: what it asked for is kept
    topic.trim = before;
    topic.trimMessages = messagesBefore;
    publishRetention(t);
    topic.gating = reader;
    roomWanted_ = true;
    return false;
  }
  for (uint64_t i = before; i < target; i += 1) {
    const Kept& kept = topic.kept[i & (g_.indexEntries - 1)];
    Lane& lane = lanes_[kept.lane];
    lane.state[kept.laneIndex & (g_.laneSlots - 1)] = Slot::done;
    lane.dirty = true;
    releaseSlots(lane);
  }
  if (topic.delivered < topic.trim) topic.delivered = topic.trim;
  return true;
}

void Sequencer::releaseSlots(Lane& lane) {
  while (lane.released < lane.scanned && lane.state[lane.released & (g_.laneSlots - 1)] == Slot::done) {
    lane.state[lane.released & (g_.laneSlots - 1)] = Slot::none;
    lane.released += 1;
  }
}

// --- publishing what was decided ---

void Sequencer::publishRetention(uint32_t t) {
  const Topic& topic = topics_[t];
  TopicLine::Retention& line = region_->topicLine(epoch_, t).retention;
  TopicLine::Retention local{};
  local.trim = topic.trim;
  local.delivered = topic.delivered;
  local.trimMessages = topic.trimMessages;
  local.gatingReader = topic.gating;
  local.firstEntry = topic.firstEntry;
  local.freedMark = topic.mark;
  p_.write(line.delivered, local.delivered);
  p_.write(line.trimMessages, local.trimMessages);
  p_.write(line.gatingReader, local.gatingReader);
  p_.write(line.firstEntry, local.firstEntry);
  p_.publish(line.freedMark, local.freedMark);
  p_.publish(line.trim, local.trim);
  publishSeal(p_, line, local);
}

// SYNC: pairs with the readSealed in IndexReader::lookAtCommitted.
void Sequencer::publishCommitted(uint32_t t) {
  const Topic& topic = topics_[t];
  TopicLine::Committed& line = region_->topicLine(epoch_, t).committed;
  TopicLine::Committed local{};
  local.entries = topic.committed;
  local.messages = topic.messages;
  local.bytes = topic.bytes;
  p_.write(line.messages, local.messages);
  p_.write(line.bytes, local.bytes);
  p_.publish(line.entries, local.entries);
  publishSeal(p_, line, local);
}

// SYNC: `released` pairs with the observe in LaneWriter::lookAtReleased.
void Sequencer::publishLane(uint32_t at) {
  Lane& lane = lanes_[at];
  lane.dirty = false;
  LaneLine& line = region_->laneLine(epoch_, at);
  p_.write(line.counts.held, lane.held);
  p_.write(line.counts.ordered, lane.ordered);
  p_.write(line.counts.orderedMessages, lane.orderedMessages);
  p_.write(line.counts.delivered, lane.delivered);
  p_.write(line.counts.deliveredMessages, lane.deliveredMessages);
  p_.write(line.counts.duplicates, lane.duplicates);
  p_.write(line.counts.purged, lane.purged);
  p_.write(line.counts.firstIndex, lane.firstIndex);
  const bool empty = lane.released == lane.scanned;
  LaneLine::Frontiers local{};
  local.generation = lane.generation;
  local.scanned = lane.scanned;
  local.released = lane.released;
  local.payloadEnd = lane.payloadEnd;
  local.payloadReleased = empty ? lane.payloadEnd : lane.start[lane.released & (g_.laneSlots - 1)];
  p_.write(line.frontiers.generation, local.generation);
  p_.write(line.frontiers.payloadEnd, local.payloadEnd);
  p_.write(line.frontiers.scanned, local.scanned);
  p_.write(line.frontiers.payloadReleased, local.payloadReleased);
  p_.wrote(&line, sizeof(line));
  p_.publish(line.frontiers.released, local.released);
  publishSeal(p_, line.frontiers, local);
}

// SYNC: `batches` pairs with the observe in LaneWriter::lookAtCommitted; it is published after the committed count.
void Sequencer::publishSession(uint32_t client) {
  Session& session = sessions_[client];
  session.dirty = false;
  SessionLine& line = region_->sessionLine(epoch_, client);
  p_.write(line.pressure.held, session.held);
  p_.write(line.pressure.heldTotal, session.heldTotal);
  p_.write(line.pressure.duplicates, session.duplicates);
  p_.write(line.pressure.purged, session.purged);
  p_.write(line.pressure.gapSinceNanos, session.gapSinceNanos);
  p_.publish(line.acknowledged.messages, session.expectedMessages);
  p_.publish(line.acknowledged.batches, session.expected);
  sealSession(client);
}

void Sequencer::sealSession(uint32_t client) {
  const Session& session = sessions_[client];
  SessionLine::Acknowledged local{};
  local.generation = session.generation;
  local.batches = session.expected;
  local.messages = session.expectedMessages;
  local.endedGeneration = session.endedGeneration;
  local.endReason = session.endedGeneration == session.generation ? session.endReason : uint32_t{endNone};
  publishSeal(p_, region_->sessionLine(epoch_, client).acknowledged, local);
}

// All that others decide by, once more: what was changed from outside becomes right again. What is emitted and not
// committed yet is acknowledged with its epoch, and the lines of sessions are left alone until then.
void Sequencer::publishAgain() {
  publishAnswers();
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    publishRetention(t);
    publishCommitted(t);
  }
  for (uint32_t at = 0; at < lanes_.size(); at += 1) publishLane(at);
  for (uint32_t i = 0; i < g_.clients && ready_.empty(); i += 1) {
    Session& session = sessions_[i];
    if (session.generation == 0) continue;
    SessionLine::Acknowledged& line = region_->sessionLine(epoch_, i).acknowledged;
    p_.publish(line.endReason, session.endedGeneration == session.generation ? session.endReason : uint32_t{endNone});
    p_.publish(line.endedGeneration, session.endedGeneration);
    p_.publish(line.generation, session.generation);
    publishSession(i);
  }
}

void Sequencer::publishAll() {
  for (uint32_t at = 0; at < lanes_.size(); at += 1) {
    if (lanes_[at].dirty) publishLane(at);
  }
  // What is emitted but not committed yet is acknowledged with its epoch, not before.
  if (ready_.empty()) {
    for (uint32_t i = 0; i < g_.clients; i += 1) {
      if (sessions_[i].active && sessions_[i].dirty) publishSession(i);
    }
  }
  BlockHeader& block = region_->blockHeader(epoch_);
  p_.write(block.passes, passes_);
  p_.write(block.commits, commits_);
  p_.storeFence();
}

// --- the thread ---

int64_t Sequencer::sleepNanos() const {
  if (ready_.empty() || paused_) return -1;
  const uint64_t age = monotonicNanos() - readySinceNanos_;
  const uint64_t limit = options_.epochMicros * 1000;
  return age >= limit ? 0 : static_cast<int64_t>(limit - age);
}

// Until the bell rings, or the limit is over. The bell may stay silent though a publisher has taken the word, where that
// one was killed or stopped before it rang: so the word is looked at now and then. Nothing else is done then.
void Sequencer::sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const {
  const Header& head = region_->header();
  const uint64_t since = monotonicNanos();
  int64_t left = limitNanos;
  do {
    futexWait(&head.sequencerBell.bell, heard, left < 0 ? lookNanos : std::min(left, lookNanos));
    if (limitNanos >= 0) left = limitNanos - static_cast<int64_t>(monotonicNanos() - since);
  } while (p_.observe(head.sequencerBell.bell) == heard && p_.observe(head.sequencerSleep.sleeps) == reasons &&
           (limitNanos < 0 || left > 0));
}

// SYNC: the sleep word is written, a full fence follows, then the lanes are looked at once more; whoever publishes
// does so first, fences, and looks at the word (Region::wakeSequencer).
void Sequencer::run() {
  Header& head = region_->header();
  uint64_t idleSince = 0;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const uint32_t heard = p_.observe(head.sequencerBell.bell);
    bool moved;
    bool wantsRoom;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(false);
      wantsRoom = roomWanted_;
    }
    if (moved) {
      idleSince = 0;
      continue;
    }
    const uint64_t now = monotonicNanos();
    if (idleSince == 0) idleSince = now;
    if (now - idleSince < static_cast<uint64_t>(spinNanos)) continue;
    const uint32_t reasons = sleepsForData | (wantsRoom ? uint32_t{sleepsForRoom} : 0U);
    p_.write(head.sequencerSleep.sleeps, reasons);
    p_.fullFence();
    int64_t limit;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      moved = !paused_ && pass(false);
      moved |= roomWanted_ && !wantsRoom;  // the word must say all that is slept for
      limit = sleepNanos();
    }
    if (!moved && limit != 0 && !stopping_.load(std::memory_order_seq_cst)) sleep(heard, reasons, limit);
    p_.write(head.sequencerSleep.sleeps, uint32_t{awake});
    idleSince = 0;
  }
}

// --- decisions from outside ---

std::vector<Sequencer::DeadReader> Sequencer::endDead() {
  std::vector<DeadReader> ended;
  bool changed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) return ended;
    publishAgain();
    // A reader that gives back while the sequencer sleeps wakes it only where room is wanted.
    if (!paused_ && !options_.manual && followReaders()) publishAll();
    for (Session& session : sessions_) {
      if (!session.active || session.ending || region_->processAlive(session.process, session.processGeneration)) continue;
      session.ending = true;
      session.endReason = endDied;
      changed = true;
    }
    // A topic that no session publishes to yet has readers all the same.
    adoptTopics();
    for (uint32_t t = 0; t < topics_.size(); t += 1) {
      for (uint32_t i = 0; i < g_.readers; i += 1) {
        const ReaderSlot& slot = region_->reader(t, i);
        // SYNC: pairs with the publish in claimReader: what says whose it is was written before the generation.
        const uint64_t generation = p_.observe(slot.claim.generation);
        const ReaderClaim claim = p_.copyOut(slot.claim);
        uint64_t& end = region_->readerEnd(epoch_, t, i).endedGeneration;
        if (generation == 0 || claim.generation != generation || p_.read(end) == generation) continue;
        if (p_.observe(slot.line.detachedGeneration) == claim.generation) continue;
        if (region_->processAlive(claim.process, claim.processGeneration)) continue;
        if (p_.observe(slot.claim.generation) != claim.generation) continue;  // it was just taken again
        p_.publish(end, claim.generation);
        const ProcessPid pid = region_->pidOf(claim.process);
        topics_[t].usedNanos = monotonicNanos();
        ended.push_back({topics_[t].name, i, pid, std::string(claim.name, strnlen(claim.name, nameBytes))});
        changed = true;
      }
    }
  }
  if (changed) {
    BellLine& bell = region_->header().sequencerBell;
    p_.ring(bell.bell);
    futexWake(&bell.bell);
  }
  return ended;
}

SequencerCounters Sequencer::counters() {
  const std::lock_guard<std::mutex> lock(mutex_);
  SequencerCounters at{epoch_, passes_, commits_, batches_, messages_, duplicates_, purged_, 0, paused_, stopped_};
  for (const Session& session : sessions_) {
    at.held += session.active ? session.held : 0;
  }
  return at;
}

std::vector<SessionReport> Sequencer::sessions() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<SessionReport> found;
  found.swap(ended_);
  for (uint32_t i = 0; i < g_.clients; i += 1) {
    if (!reports(i)) continue;
    found.push_back(reportOf(i));
    sessions_[i].told = !sessions_[i].active;
  }
  return found;
}

bool Sequencer::reports(uint32_t client) const {
  return sessions_[client].generation != 0 && sessions_[client].endReason != endTopicGone;
}

SessionReport Sequencer::reportOf(uint32_t client) const {
  const Session& s = sessions_[client];
  return {client, s.generation, s.id, s.topicName, s.process, region_->pidOf(s.process), s.endReason, !s.active,
          s.expected, s.expectedMessages, s.held, s.purged, s.gapSinceNanos};
}

// A session that has ended since the last look is told all the same.
void Sequencer::giveSlot(uint32_t client) {
  if (reports(client) && !sessions_[client].told && ended_.size() < endedLimit) ended_.push_back(reportOf(client));
  sessions_[client].told = false;
}

std::vector<GateReport> Sequencer::gates() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<GateReport> reports;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    const Topic& topic = topics_[t];
    if (topic.gating == 0) continue;
    const uint32_t i = static_cast<uint32_t>(topic.gating - 1);
    const ReaderSlot& slot = region_->reader(t, i);
    const ReaderClaim claim = p_.copyOut(slot.claim);
    const ProcessPid pid = region_->pidOf(claim.process);
    const uint64_t cursor = p_.observe(slot.line.cursor);
    reports.push_back({topic.name, i, pid, std::string(claim.name, strnlen(claim.name, nameBytes)),
                       cursor < topic.committed ? topic.committed - cursor : 0, topic.gatingSinceNanos});
  }
  return reports;
}

// The lane's pages are faulted in here, in the broker, so that the client's first lap does not pay for them.
// SYNC: the grant pairs with the observe in LaneWriter::ready.
uint32_t grantLanes(const Region& region, uint32_t broker) {
  const Publication& p = region.publication();
  const uint64_t epoch = p.observe(region.header().control.epoch);
  uint32_t granted = 0;
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    const uint64_t generation = p.observe(region.client(i).claim.generation);
    GrantLine& grant = region.grant(region.laneOf(broker, i));
    if (generation == 0 || p.read(grant.grantedGeneration) == generation) continue;
    if (p.observe(region.sessionLine(epoch, i).acknowledged.generation) != generation) continue;
#ifdef MADV_POPULATE_WRITE
    madvise(region.payload(region.laneOf(broker, i)), region.layout().geometry.lanePayloadBytes, MADV_POPULATE_WRITE);
#endif
    p.publish(grant.grantedGeneration, generation);
    granted += 1;
  }
  if (granted != 0) region.wakeProcesses(sleepsForData);
  return granted;
}

}  // namespace ringfence
