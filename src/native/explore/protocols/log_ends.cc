#include "log_ends.h"

#include <cstring>

#include "explore/trace.h"
#include "log/sequencer/broker_grants.h"

namespace ringfence::explore {

namespace {

constexpr uint32_t payloadBytes = 24;

// Each batch has one record.
uint8_t byteOf(uint64_t session, uint64_t sequence, uint64_t i) {
  return static_cast<uint8_t>(1 + session * 57 + sequence * 31 + i * 7);
}

}  // namespace

Geometry logGeometry(uint32_t clients) {
  Geometry g{};
  g.brokers = 1;
  g.clients = clients;
  g.topics = 1;
  g.readers = 1;
  g.laneSlots = 8;
  g.indexEntries = 64;
  g.epochBlocks = 1;
  g.processes = 6;
  g.batchBytes = 4096;
  g.lanePayloadBytes = 8 * g.batchBytes;
  g.rings = 0;
  return g;
}

// --- the server

Serving::Serving(std::shared_ptr<Region> region) : region_(std::move(region)) {
  sequencer_ = std::make_unique<Sequencer>(region_, SequencerOptions{});
  expectOk(sequencer_->start(), "starting the sequencer");
}

void Serving::settle() {
  for (int i = 0; i < 100; i += 1) {
    const bool moved = sequencer_->step();
    if (grantLanes(*region_, 0) == 0 && !moved) return;
  }
}

void Serving::look() {
  constexpr uint64_t lookNanos = 100'000'000;
  Scheduler& scheduler = Scheduler::now();
  for (;;) {
    scheduler.wait("its timer", scheduler.clock() + lookNanos);
    sequencer_->endDead();
    grantLanes(*region_, 0);
  }
}

// --- the publisher

uint32_t Publishing::brokerOf(uint64_t sequence) const {
  return static_cast<uint32_t>(sequence % region_->layout().geometry.brokers);
}

bool Publishing::seal(uint64_t sequence) {
  const uint32_t broker = brokerOf(sequence);
  const int64_t offset = lanes_.begin(broker, sequence);
  if (offset < 0) return false;
  uint8_t payload[payloadBytes];
  for (uint32_t i = 0; i < payloadBytes; i += 1) payload[i] = byteOf(session(), sequence, i);
  region_->publication().writeBytes(region_->payload(lanes_.laneOf(broker)) + offset, payload, payloadBytes);
  return lanes_.seal(broker, {sequence, sequence, 1, payloadBytes, payloadBytes, nullptr});
}

bool Publishing::publish(uint64_t sequence, Sleeper* sleeper) {
  while (!seal(sequence)) {
    if (lanes_.endReason() != endNone) return false;
    lanes_.wantRoom(true);
    bool sealed = false;
    const auto look = [&] { return sealed = seal(sequence), sealed || lanes_.endReason() != endNone; };
    const auto there = [&] {
      const LaneLine::Frontiers& line = region_->laneLine(1, lanes_.laneOf(brokerOf(sequence))).frontiers;
      return sequence + 1 - peek(line.released) < region_->layout().geometry.laneSlots;
    };
    sleeper->until(sleepsForData, "room", look, there);
    lanes_.wantRoom(false);
    if (sealed) break;
  }
  lanes_.publish(brokerOf(sequence));
  Trace::say("has published batch " + std::to_string(sequence));
  return true;
}

void Publishing::awaitAcknowledged(uint64_t batches, Sleeper& sleeper) {
  const auto& acknowledged = region_->sessionLine(1, lanes_.claim().slot).acknowledged;
  const auto look = [&] { return lanes_.committedBatches() >= batches || lanes_.endReason() != endNone; };
  sleeper.until(sleepsForData, "acknowledgements", look, [&] { return peek(acknowledged.batches) >= batches; });
  const uint64_t committed = peek(region_->topicLine(1, 0).committed.entries);
  expect(lanes_.committedBatches() <= committed, "more is acknowledged than is committed");
}

// --- the subscriber

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
  uint8_t payload[payloadBytes];
  expect(view.payloadBytes == payloadBytes, "a batch has another size than was written");
  region_->publication().readBytes(payload, region_->payload(view.lane) + view.payloadOffset, payloadBytes);
  bool whole = true;
  for (uint32_t i = 0; i < payloadBytes; i += 1) whole = whole && payload[i] == byteOf(view.sessionId, view.batchSequence, i);
  expect(whole, "a batch holds what was not written in it");
  Trace::say("has batch " + std::to_string(view.batchSequence) + " of session " + std::to_string(view.sessionId));
  count_ += 1;
}

bool Subscribing::take() {
  BatchView views[16];
  const int32_t filled = reader_.poll(views, 16);
  expect(filled >= 0, "the index contradicts itself");
  for (int32_t i = 0; i < filled; i += 1) check(views[i]);
  reader_.release(reader_.next());
  return filled > 0;
}

void Subscribing::receive(uint64_t batches, Sleeper& sleeper) {
  while (count_ < batches) {
    const auto look = [&] { return reader_.committed() > reader_.next(); };
    const auto there = [&] { return peek(region_->topicLine(1, 0).committed.entries) > reader_.next(); };
    const uint64_t before = count_;
    sleeper.until(sleepsForData, "a batch", [&] { return look() || Scheduler::now().deaths(); }, there);
    take();
    // A publisher that died has published less.
    if (count_ == before && Scheduler::now().deaths()) return;
  }
}

}  // namespace ringfence::explore
