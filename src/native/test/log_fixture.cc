#include "log_fixture.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "region/epochs.h"
#include "region/futex.h"

namespace ringfence::test {

Geometry tinyGeometry() {
  Geometry g{};
  g.brokers = 2;
  g.clients = 2;
  g.topics = 2;
  g.readers = 4;
  g.laneSlots = 8;
  g.indexEntries = 64;
  g.epochBlocks = 3;
  g.processes = 8;
  g.batchBytes = 4096;
  g.lanePayloadBytes = 8 * g.batchBytes;
  return g;
}

std::shared_ptr<Region> namedRegion(const std::string& path) {
  CreateOptions options;
  options.path = path;
  options.geometry = tinyGeometry();
  options.processName = "creator";
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  return region;
}

std::shared_ptr<Region> anonymousRegion(const Geometry& geometry) {
  CreateOptions options;
  options.geometry = geometry;
  options.processName = "test";
  options.prefault = false;
  std::shared_ptr<Region> region;
  const Status status = Region::create(options, nullptr, region);
  CHECK_EQUAL(status.fault, "none");
  return region;
}

// --- contents ---

uint64_t firstMessageOf(uint64_t sequence) {
  constexpr uint64_t before[] = {0, 1, 3};  // batches hold 1, 2, 3, 1, 2, 3, ... messages
  return sequence / 3 * 6 + before[sequence % 3];
}

BatchContents contentsOf(uint64_t session, uint64_t sequence, uint32_t messageBytesMax) {
  BatchContents batch;
  uint64_t state = mix64(session * 0x9e3779b97f4a7c15ULL + sequence);
  const bool uniform = state % 2 == 0;
  batch.messages = static_cast<uint32_t>(1 + sequence % 3);
  const uint32_t length = static_cast<uint32_t>(1 + (state >> 8) % messageBytesMax);
  for (uint32_t m = 0; m < batch.messages; m += 1) {
    batch.lengths.push_back(uniform ? length : static_cast<uint32_t>((state >> (8 + 8 * m)) % (messageBytesMax + 1)));
    batch.payloadBytes += batch.lengths.back();
  }
  batch.uniformBytes = uniform ? length : 0;
  for (uint32_t i = 0; i < batch.payloadBytes; i += 1) {
    if (i % 8 == 0) state = mix64(state + 1);
    batch.bytes.push_back(static_cast<uint8_t>(state >> (8 * (i % 8))));
  }
  return batch;
}

// --- the log ---

uint64_t nowNanos() { return monotonicNanos(); }

bool deadlinePassed(uint64_t startedNanos) { return monotonicNanos() - startedNanos > slowness * 20'000'000'000ULL; }

void pauseBriefly() {
  const timespec moment{0, 50'000};
  nanosleep(&moment, nullptr);
}

SequencerOptions TestLog::manual() {
  SequencerOptions options;
  options.manual = true;
  return options;
}

SequencerOptions TestLog::threaded(uint64_t epochMicros) {
  SequencerOptions options;
  options.epochMicros = epochMicros;
  options.share = 1;  // of lanes as few as these tests have, a pass would look at all
  return options;
}

TestLog::TestLog(const Geometry& geometry, SequencerOptions options) : TestLog(anonymousRegion(geometry), options) {}

TestLog::TestLog(std::shared_ptr<Region> region, SequencerOptions options)
    : region_(std::move(region)), options_(options), sequencer_(std::make_unique<Sequencer>(region_, options)) {
  CHECK_EQUAL(sequencer_->start().fault, "none");
}

void TestLog::restart(SequencerOptions options, const std::function<void()>& between) {
  sequencer_->stop(true);
  between();
  options_ = options;
  sequencer_ = std::make_unique<Sequencer>(region_, options);
  CHECK_EQUAL(sequencer_->start().fault, "none");
}

TestLog::~TestLog() { sequencer_->stop(); }

uint32_t TestLog::declare(const std::string& name, uint32_t order) {
  TopicView topic;
  CHECK_EQUAL(declareTopic(*region_, name, order, 1, topic).fault, "none");
  settle();
  return topic.index;
}

TopicPlace TestLog::placeOf(uint32_t topic) const {
  return {topic, region_->publication().observe<&TopicSlot::generation>(region_->topic(topic))};
}

void TestLog::settle() {
  if (!options_.manual) return;
  for (int i = 0; sequencer_->step(); i += 1) CHECK(i < 100'000);
}

Claim TestLog::claim(uint32_t topic) {
  Claim claim;
  const auto taken = [&] { return settle(), claimClient(*region_, placeOf(topic), claim).ok(); };
  until("a session slot is free", taken);
  return claim;
}

std::unique_ptr<LaneWriter> TestLog::admit(const Claim& claim) {
  auto writer = std::make_unique<LaneWriter>(region_, claim);
  until("the session is admitted", [&] {
    settle();
    for (uint32_t b = 0; b < geometry().brokers; b += 1) grantLanes(*region_, b);
    return writer->ready();
  });
  return writer;
}

std::unique_ptr<LaneWriter> TestLog::open(uint32_t topic) { return admit(claim(topic)); }

std::unique_ptr<IndexReader> TestLog::reader(uint32_t topic, From from, uint64_t position, int pauses) {
  Claim claim;
  CHECK_EQUAL(claimReader(*region_, placeOf(topic), "reader", claim).fault, "none");
  auto reader = std::make_unique<IndexReader>(region_, topic, claim, pauses);
  return reader->attach(from, position).ok() ? std::move(reader) : nullptr;
}

LaneLine& TestLog::laneLine(const LaneWriter& writer, uint32_t broker) {
  return region_->laneLine(headsOf(*region_).served.number, writer.laneOf(broker));
}

SessionLine& TestLog::sessionLine(const Claim& claim) {
  return region_->sessionLine(headsOf(*region_).served.number, claim.slot);
}

// --- its ends ---

bool Publishing::write(uint32_t broker, uint64_t sequence) {
  const int64_t offset = lanes_->begin(broker, sequence);
  if (offset < 0) return false;
  const BatchContents contents = contentsOf(session(), sequence, messageBytesMax_);
  uint8_t* at = lanes_->region().laneBytes(lanes_->laneOf(broker)) + offset;
  std::copy(contents.bytes.begin(), contents.bytes.end(), at);
  CHECK(lanes_->seal(broker, {sequence, firstMessageOf(sequence), contents.messages, contents.payloadBytes,
                              contents.uniformBytes, contents.lengths.data()}));
  return true;
}

bool Publishing::publish(uint32_t broker, uint64_t sequence) {
  if (!write(broker, sequence)) return false;
  lanes_->publish(broker);
  return true;
}

uint32_t Following::take(uint32_t max, bool keep) {
  BatchView views[64];
  const int32_t count = reader_->poll(views, max < 64 ? max : 64);
  CHECK(count >= 0);
  for (int32_t i = 0; i < count; i += 1) check(views[i]);
  if (!keep) giveBack();
  return static_cast<uint32_t>(count);
}

void Following::check(const BatchView& view) {
  CHECK_EQUAL(view.index, nextIndex_);
  if (positioned_) CHECK_EQUAL(view.position, nextPosition_);
  checkSequence(view);
  CHECK_EQUAL(view.firstMessage, firstMessageOf(view.batchSequence));
  const BatchContents contents = contentsOf(view.sessionId, view.batchSequence, messageBytesMax_);
  CHECK_EQUAL(view.messages, contents.messages);
  CHECK_EQUAL(view.uniformBytes, contents.uniformBytes);
  CHECK_EQUAL(view.payloadBytes, contents.payloadBytes);
  const uint8_t* at = region_->laneBytes(view.lane) + view.payloadOffset;
  CHECK(std::equal(contents.bytes.begin(), contents.bytes.end(), at));
  if (view.uniformBytes == 0) {
    const uint8_t* table = at + (batchBytesOf(view.payloadBytes, view.messages, 0) - 4 * uint64_t{view.messages});
    CHECK(std::memcmp(table, contents.lengths.data(), 4 * contents.lengths.size()) == 0);
  }
  nextIndex_ += 1;
  nextPosition_ = view.position + view.messages;
  positioned_ = true;
  digest_ = mix64(digest_ ^ mix64(view.sessionId * 31 + view.batchSequence));
}

void Following::checkSequence(const BatchView& view) {
  std::set<uint64_t>& seen = seen_[view.sessionId];
  CHECK(seen.insert(view.batchSequence).second);
  if (order_ != orderSession) return;
  const bool begins = seen.size() == 1 && (view.batchSequence == 0 || !fromStart_);
  CHECK(begins || seen.count(view.batchSequence - 1) == 1);
  CHECK_EQUAL(*seen.rbegin(), view.batchSequence);
}

uint64_t Following::batchesOf(uint64_t session) const {
  const auto found = seen_.find(session);
  return found == seen_.end() ? 0 : found->second.size();
}

}  // namespace ringfence::test
