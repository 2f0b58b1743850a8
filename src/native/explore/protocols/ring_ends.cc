#include "ring_ends.h"

#include <algorithm>
#include <cstring>

#include "explore/model.h"
#include "explore/trace.h"
#include "region/planted.h"
#include "region/token.h"

namespace ringfence::explore {

namespace {

constexpr uint32_t payloadMax = 992;  // four such frames fill a ring

uint8_t byteOf(uint64_t number, uint64_t i) { return static_cast<uint8_t>(1 + number * 31 + i * 7); }

}  // namespace

Geometry ringGeometry(uint32_t rings) {
  Geometry g{};
  g.brokers = 1;
  g.clients = 1;
  g.topics = 1;
  g.readers = 1;
  g.laneSlots = 8;
  g.indexEntries = 64;
  g.epochBlocks = 1;
  g.processes = 4;
  g.batchBytes = 4096;
  g.lanePayloadBytes = 8 * g.batchBytes;
  g.rings = rings;
  g.ringReaders = 2;
  g.ringBytes = exploredRingBytes;
  return g;
}

uint32_t payloadBytesOf(uint64_t number) {
  return number >= large ? payloadMax : static_cast<uint32_t>(5 + number * 7 % 13);
}

std::unique_ptr<RingWriter> openedWriter(const std::shared_ptr<Region>& region, const std::string& name, const char*& fault) {
  RingRole role;
  const Status status = claimRing(*region, name, role);
  fault = status.fault;
  return status.ok() ? std::make_unique<RingWriter>(region, region->mapRing(role.ring), role) : nullptr;
}

std::unique_ptr<RingReader> openedReader(const std::shared_ptr<Region>& region, const std::string& name, const char*& fault) {
  ReaderRole role;
  const Status status = claimRingReader(*region, name, "reader", role);
  fault = status.fault;
  return status.ok() ? std::make_unique<RingReader>(region, region->mapRing(role.ring), role) : nullptr;
}

// --- the writing end

Sending::Sending(std::shared_ptr<Region> region, const std::string& ring) : region_(std::move(region)) {
  const char* fault = nullptr;
  writer_ = openedWriter(region_, ring, fault);
  if (writer_ == nullptr) expect(false, std::string("the ring cannot be written: ") + fault);
  frames_ = writer_->role().frames;
  watch();
}

Sending::Sending(std::shared_ptr<Region> region, std::unique_ptr<RingWriter> writer)
    : region_(std::move(region)), writer_(std::move(writer)), frames_(writer_->role().frames) {
  watch();
}

RingWriter& Sending::writer() {
  if (published_ > writer_->published()) writer_->wrote(writer_->position(), 0, published_);
  return *writer_;
}

bool Sending::append(uint64_t number) {
  uint8_t payload[payloadMax];
  const uint32_t bytes = payloadBytesOf(number);
  for (uint32_t i = 0; i < bytes; i += 1) payload[i] = byteOf(number, i);
  const Frame frame{16, 0, static_cast<uint32_t>(number), 1, 2, static_cast<double>(number), payload, bytes};
  // Every second frame as native code writes it, the others as JavaScript does.
  const bool inPlace = number % 2 != 0;
  const bool written = inPlace ? writeInPlace(frame) : writer().append(frame) >= 0;
  if (written) wasWrittenInPlace_ = inPlace;
  if (written) frames_ += 1;
  if (written) Trace::say("has written frame " + std::to_string(number));
  return written;
}

// As src/layers/native/ring/RingWriterPort.ts writes a frame.
bool Sending::writeInPlace(const Frame& frame) {
  if (writer().room(frame.payloadBytes) < 0) return false;
  const uint64_t at = writer_->position();
  FrameHeader header{static_cast<uint32_t>(sizeof(FrameHeader) + frame.payloadBytes), frame.kind, frame.flags, frame.type,
                     frame.sender, frame.senderGeneration, 0, frame.correlation};
  header.checksum = frameChecksum(header, at);
  uint8_t* bytesAt = writer_->memory()->base() + at % exploredRingBytes;
  memory::copyIn(bytesAt + sizeof(header), frame.payload, frame.payloadBytes, {});
  memory::copyIn(bytesAt, &header, sizeof(header), {});
  return writer_->wrote(at + frameBytesOf(frame.payloadBytes), 1, writer_->published());
}

// Every second time as native code publishes, over coherent memory.
void Sending::publish() {
  if (!wasWrittenInPlace_ || !publishInPlace()) writer().publish();
  watch();
}

// As src/layers/native/ring/RingPublication.ts publishes: by an atomic store, which has a full fence behind it.
bool Sending::publishInPlace() {
  const uint64_t position = writer_->position();
  if (region_->publication().coherence() == Coherence::flushed || writer_->end() != WriterEnd::none) return false;
  auto& lead = *reinterpret_cast<RingLead*>(writer_->leadWindow());
  memory::store(lead.frames, frames_, {});
  memory::store(lead.announced, position, {});
  if (planted("a position is stored in place ahead of its frames")) {
    memory::store(lead.position, position, {});
  } else {
    memory::storeRelease(lead.position, position, {});
  }
  if (!planted("a position is stored in place without a fence")) memory::fullFence({});
  published_ = position;
  if (isAwaited()) writer().rouse();
  return true;
}

bool Sending::isAwaited() const {
  if (planted("the writer looks for no sleeper behind a position that it stores")) return false;
  const auto& version = *reinterpret_cast<uint64_t*>(writer_->readersVersionWindow());
  if (memory::loadAcquire(version, {}) != watchedVersion_) return true;
  return std::any_of(watched_.begin(), watched_.end(), [&](uint32_t process) {
    const auto& sleeps = *reinterpret_cast<uint32_t*>(writer_->sleepsWindow(process));
    return (memory::loadAcquire(sleeps, {}) & sleepsForFrames) != 0;
  });
}

void Sending::watch() {
  watchedVersion_ = writer_->watchedVersion();
  watched_ = writer_->watchedProcesses();
}

bool Sending::roomIsThere(uint64_t payloadBytes) const {
  const uint32_t ring = writer_->role().ring;
  uint64_t released = std::max(writer_->published(), published_);
  for (uint32_t i = 0; i < region_->layout().geometry.ringReaders; i += 1) {
    if (activeReader(*region_, ring, i).generation == 0) continue;
    released = std::min(released, peek<&RingReaderLine::released>(region_->ringReader(ring, i).line));
  }
  return writer_->position() + frameBytesOf(payloadBytes) - released <= exploredRingBytes;
}

bool Sending::send(uint64_t number, Sleeper* sleeper) {
  if (!append(number)) {
    publish();
    const uint64_t bytes = payloadBytesOf(number);
    while (!append(number)) {
      if (writer_->end() != WriterEnd::none) return false;
      writer().wantRoom(true);
      const auto look = [&] { return writer_->hasRoomFor(bytes) || writer_->end() != WriterEnd::none; };
      sleeper->until(sleepsForRoom, "room", look, [&] { return roomIsThere(bytes); });
    }
    publish();
    writer().wantRoom(false);
    return true;
  }
  publish();
  return true;
}

bool Sending::sendEvicting(uint64_t number) {
  while (!append(number)) {
    if (writer_->end() != WriterEnd::none) return false;
    // A reader that has caught up meanwhile has released its room itself.
    if (!writer().evictSlowest()) return append(number) && (publish(), true);
  }
  publish();
  return true;
}

// --- the reading end

Receiving::Receiving(std::shared_ptr<Region> region, const std::string& ring) : region_(std::move(region)) {
  const char* fault = nullptr;
  reader_ = openedReader(region_, ring, fault);
  if (reader_ == nullptr) expect(false, std::string("the ring cannot be read: ") + fault);
}

bool Receiving::wasEvicted(void* self) {
  auto* own = static_cast<Receiving*>(self);
  const ReaderRole& role = own->reader_->role();
  return peek<&RingReaderFate::evictedGeneration>(own->region_->ringReader(role.ring, role.slot).fate) == role.generation;
}

// Checks a frame as src/layers/ring/FrameCodec.ts does.
bool Receiving::frameAt(uint64_t at, uint64_t limit, uint64_t& end, uint64_t& number) const {
  // As JavaScript loads them: what the look has not invalidated is stale.
  const uint8_t* bytesAt = reader_->memory()->base() + at % exploredRingBytes;
  FrameHeader header;
  memory::copyOut(&header, bytesAt, sizeof(header), {});
  if (header.length < sizeof(header) || header.length > exploredRingBytes / 4) return false;
  if (header.checksum != frameChecksum(header, at)) return false;
  end = at + frameBytesOf(header.length - sizeof(header));
  if (end > limit) return false;
  number = header.type;
  uint8_t payload[payloadMax];
  const uint32_t bytes = header.length - static_cast<uint32_t>(sizeof(header));
  memory::copyOut(payload, bytesAt + sizeof(header), bytes, {});
  bool whole = bytes == payloadBytesOf(number);
  for (uint32_t i = 0; i < bytes; i += 1) whole = whole && payload[i] == byteOf(number, i);
  if (whole) return true;
  // What an evicted reader copied is thrown away: it asks behind the copy.
  uint64_t from = 0;
  uint64_t to = 0;
  expect(reader_->evicted(from, to), "frame " + std::to_string(number) + " holds what was not written in it");
  return false;
}

// As src/layers/native/ring/RingSight.ts looks: it finds that more frames are published and nothing else has happened.
uint64_t Receiving::publishedAfter() const {
  const auto& lead = *reinterpret_cast<RingLead*>(reader_->leadWindow());
  const auto& fate = *reinterpret_cast<RingReaderFate*>(reader_->fateWindow());
  const auto& claim = *reinterpret_cast<RingReaderClaim*>(reader_->claimWindow());
  const auto& line = *reinterpret_cast<RingReaderLine*>(reader_->lineWindow());
  const uint64_t generation = reader_->role().generation;
  const RingCursors cursors = reader_->cursors();
  const uint64_t position = memory::loadAcquire(lead.position, {});
  const bool isPossible = position >= cursors.read && position - cursors.released <= exploredRingBytes;
  const bool isInPlace = memory::loadAcquire(fate.evictedGeneration, {}) != generation &&
                         memory::load(fate.endedGeneration, {}) != generation &&
                         memory::load(claim.generation, {}) == reader_->claimedGeneration() &&
                         memory::load(line.attachedGeneration, {}) == generation &&
                         memory::load(line.detachedGeneration, {}) == reader_->formerGeneration() &&
                         memory::load(line.released, {}) == cursors.released;
  return isPossible && isInPlace ? position : 0;
}

RingLook Receiving::look() {
  looks_ += 1;
  const bool inPlace = looks_ % 2 == 0 && !reader_->over() && region_->publication().coherence() == Coherence::coherent;
  const uint64_t position = inPlace ? publishedAfter() : 0;
  return position > reader_->cursors().read ? RingLook{RingFinding::sound, position, position} : reader_->look();
}

bool Receiving::take(bool handles) {
  Model::now().excuse(&Receiving::wasEvicted, this);
  uint64_t at = reader_->cursors().read;
  const auto [finding, published, limit] = look();
  if (finding == RingFinding::contradicted) return expect(false, "the reader finds its ring contradicted"), false;
  std::vector<uint64_t> read;
  bool isFrame = true;
  while (at < limit && isFrame) {
    uint64_t end = at;
    uint64_t number = 0;
    isFrame = frameAt(at, limit, end, number);
    if (isFrame) read.push_back(number);
    if (isFrame) at = end;
  }
  uint64_t from = 0;
  uint64_t to = 0;
  if (!inPlace_ && reader_->evicted(from, to)) {
    const bool isOwn = from >= reader_->baseline() && from <= reader_->cursors().released && from <= to;
    expect(isOwn, "an evicted reader is told that it lost what it had not, or had given back");
    losses_ += 1;
    Trace::say("was evicted, and rejoins");
    return reader_->rejoin();
  }
  expect(isFrame, "what is published is no frame");
  for (const uint64_t number : read) {
    Trace::say("has read frame " + std::to_string(number));
    expect(numbers_.empty() || number > numbers_.back(), "a frame came twice, or out of order");
    const bool follows = numbers_.empty() || number == numbers_.back() + 1 || number % framesOfAWriter == 0;
    expect(follows || losses_ != 0, "a frame is missing");
    numbers_.push_back(number);
  }
  reader_->advance({at, at, handles ? at : 0, at});
  return true;
}

void Receiving::hold() {
  const RingLook found = look();
  uint64_t number = 0;
  for (uint64_t at = reader_->cursors().read; at < found.limit;) {
    if (!frameAt(at, found.limit, at, number)) return expect(false, "what is published is no frame");
    Trace::say("holds frame " + std::to_string(number));
  }
}

void Receiving::handle() {
  const uint64_t at = reader_->cursors().read;
  reader_->advance({at, at, at, at});
}

bool Receiving::hasMore() {
  const RingLook found = look();
  return found.finding != RingFinding::sound || found.limit > reader_->cursors().read;
}

// Whether the ring has ended for this reader, which it must not have before all of it was read.
bool Receiving::endsHere() const {
  if (!ended()) return false;
  const uint64_t position = peek<&RingLead::position>(region_->ring(reader_->role().ring).lead);
  const bool isAll = position <= reader_->cursors().read || Scheduler::now().deaths();
  expect(isAll, "the ring has ended for a reader that has not read all of it");
  return true;
}

void Receiving::receive(Sleeper& sleeper, uint64_t last) {
  const auto there = [this] {
    const ReaderRole& role = reader_->role();
    const uint64_t position = peek<&RingLead::position>(region_->ring(role.ring).lead);
    return position > reader_->cursors().read || wasEvicted(this);
  };
  while (numbers_.empty() || numbers_.back() != last) {
    const auto look = [&] {
      return hasMore() || (last == none && endsHere());
    };
    sleeper.until(sleepsForFrames, "a frame", look, there);
    if (last == none && !hasMore() && ended()) {
      const uint64_t position = peek<&RingLead::position>(region_->ring(reader_->role().ring).lead);
      expect(position <= reader_->cursors().read, "the ring has ended for a reader that has not read all of it");
      return;
    }
    take();
  }
}

}  // namespace ringfence::explore
