#include "ring_writer.h"

#include <algorithm>

#include "region/futex.h"
#include "region/planted.h"
#include "region/token.h"

namespace ringfence {

namespace {

// A version that the table of readers never has: forces the next refreshReaders() to read the table.
constexpr uint64_t stale = ~uint64_t{0};

}  // namespace

RingWriter::RingWriter(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, RingRole role)
    : region_(std::move(region)), memory_(std::move(memory)), role_(role), position_(role.position),
      published_(role.position), released_(role.position - std::min(role.position, memory_->bytes())),
      frames_(region_->publication().read(region_->ring(role_.ring).lead.frames)) {
  findRoom();
}

// Rebuilds the list of readers, but only when the table's version has changed or a reader was found dead. Keeps evicted
// readers: they must be woken to learn of it, and may rejoin.
void RingWriter::refreshReaders() {
  const Publication& p = region_->publication();
  const uint64_t version = p.observe(region_->ring(role_.ring).table.readersVersion);
  if (version == readersVersion_) return;
  readersVersion_ = version;
  readers_.clear();
  processes_.clear();
  for (uint32_t i = 0; i < region_->layout().geometry.ringReaders; i += 1) {
    const RingReaderSlot& slot = region_->ringReader(role_.ring, i);
    const uint64_t generation = p.observe(slot.claim.generation);
    if (generation == 0 || p.observe(slot.line.detachedGeneration) == generation) continue;
    if (p.read(slot.fate.endedGeneration) == generation) continue;
    readers_.push_back(i);
    const uint32_t process = p.read(slot.claim.process);
    if (process >= region_->layout().geometry.processes) continue;
    if (std::find(processes_.begin(), processes_.end(), process) == processes_.end()) processes_.push_back(process);
  }
}

// SYNC: the full fence orders published positions before the reads of the cursors; a reader publishes its cursor,
// fences, and reads the position again (RingReader::attach). A minimum computed without that reader is not above the
// position that it reads.
void RingWriter::findRoom() {
  const Publication& p = region_->publication();
  p.fullFence();
  refreshReaders();
  uint64_t minimum = published_;
  for (const uint32_t i : readers_) {
    const uint64_t generation = activeGeneration(i);
    if (generation == 0) continue;
    const uint64_t released = p.observe(region_->ringReader(role_.ring, i).line.released);
    // An impossible cursor does not tell what its reader still needs: evict the reader, which then knows that it lost
    // all.
    if (released > published_) {
      evict(i, generation, published_ - std::min(published_, memory_->bytes()));
    } else {
      minimum = std::min(minimum, released);
    }
  }
  if (minimum > released_) released_ = minimum;
}

// Ends dead readers among those that leave no room for `bytes` more. True when there were any.
bool RingWriter::endDead(uint64_t bytes) {
  const Publication& p = region_->publication();
  bool found = false;
  for (const uint32_t i : readers_) {
    const uint64_t generation = activeGeneration(i);
    RingReaderSlot& slot = region_->ringReader(role_.ring, i);
    if (generation == 0 || position_ + bytes - p.observe(slot.line.released) <= memory_->bytes()) continue;
    found = endIfDead(i) || found;
  }
  return found;
}

// Called after ringing the process woke no thread. Ends its readers if the system says that it is dead: then the writer
// checks it no more.
void RingWriter::endReadersOf(uint32_t process) {
  const Publication& p = region_->publication();
  for (const uint32_t i : readers_) {
    if (p.read(region_->ringReader(role_.ring, i).claim.process) == process && !endIfDead(i)) return;
  }
}

// Reads the generation first: if another process takes the place meanwhile, it has a new generation, which stays.
bool RingWriter::endIfDead(uint32_t reader) {
  const Publication& p = region_->publication();
  RingReaderSlot& slot = region_->ringReader(role_.ring, reader);
  const uint64_t generation = p.observe(slot.claim.generation);
  if (region_->processAlive(p.read(slot.claim.process), p.read(slot.claim.processGeneration))) return false;
  p.publish(slot.fate.endedGeneration, generation);
  readersVersion_ = stale;
  return true;
}

bool RingWriter::hasRoomFor(uint64_t payloadBytes) {
  const uint64_t bytes = frameBytesOf(payloadBytes);
  if (over() || hasRoom(bytes)) return !over();
  findRoom();
  if (!hasRoom(bytes) && endDead(bytes)) findRoom();
  return hasRoom(bytes);
}

int64_t RingWriter::append(const Frame& frame) {
  const uint64_t bytes = frameBytesOf(frame.payloadBytes);
  if (end() != WriterEnd::none || frame.payloadBytes > payloadBytesMax()) return -2;
  if (!hasRoomFor(frame.payloadBytes)) return -1;
  uint8_t* at = memory_->at(position_);
  FrameHeader header{static_cast<uint32_t>(sizeof(FrameHeader) + frame.payloadBytes), frame.kind, frame.flags,
                     frame.type, frame.sender, frame.senderGeneration, 0, frame.correlation};
  header.checksum = frameChecksum(header, position_);
  const Publication& p = region_->publication();
  p.writeBytes(at, &header, sizeof(header));
  if (frame.payloadBytes != 0) p.writeBytes(at + sizeof(header), frame.payload, frame.payloadBytes);
  p.wrote(at, bytes);
  position_ += bytes;
  frames_ += 1;
  return static_cast<int64_t>(position_);
}

// SYNC: publishes the position after the frames below it; pairs with the observe in RingReader::available. The fence
// orders it before the reads of the readers' sleep words (Waiter::arm).
void RingWriter::publish(bool selfToo) {
  if (published_ == position_ || end() != WriterEnd::none) return;
  const Publication& p = region_->publication();
  RingLead& lead = region_->ring(role_.ring).lead;
  published_ = position_;
  p.write(lead.frames, frames_);
  p.publish(lead.announced, published_);
  p.publish(lead.position, published_);
  const Fenced fenced = p.fullFence();
  refreshReaders();
  for (const uint32_t process : processes_) {
    if (process == region_->slot() && !selfToo) continue;
    if (region_->wakeProcess(fenced, process, sleepsForFrames) == Rung::unheard) endReadersOf(process);
  }
}

// Another writer can have the ring only if this process was found dead or the closing mark was forged. Then this writer
// must neither overwrite the other's frames nor publish in its name.
WriterEnd RingWriter::end() const {
  if (over()) return WriterEnd::closed;
  const uint64_t generation = region_->publication().observe(region_->ring(role_.ring).claim.generation);
  return generation == role_.generation ? WriterEnd::none : WriterEnd::superseded;
}

void RingWriter::wantRoom(bool wants) {
  if (end() != WriterEnd::none && !planted("room flag of a later writer")) return;
  const Publication& p = region_->publication();
  RingLead& lead = region_->ring(role_.ring).lead;
  if (wants) p.write(lead.fullEvents, p.read(lead.fullEvents) + 1);
  p.write(lead.waitsForRoom, wants ? 1U : 0U);
  p.fullFence();
}

int32_t RingWriter::slowestReader() {
  if (end() != WriterEnd::none) return -1;
  const Publication& p = region_->publication();
  refreshReaders();
  endDead(memory_->bytes());
  int32_t slowest = -1;
  uint64_t minimum = published_;
  for (const uint32_t i : readers_) {
    if (activeGeneration(i) == 0) continue;
    const uint64_t released = p.observe(region_->ringReader(role_.ring, i).line.released);
    if (released >= minimum) continue;
    minimum = released;
    slowest = static_cast<int32_t>(i);
  }
  return slowest;
}

bool RingWriter::evictSlowest() {
  const int32_t reader = slowestReader();
  if (reader < 0) return false;
  const uint32_t index = static_cast<uint32_t>(reader);
  const uint64_t generation = activeGeneration(index);
  if (generation == 0) return true;  // it has just left
  evict(index, generation, region_->publication().observe(region_->ringReader(role_.ring, index).line.released));
  return true;
}

// SYNC: publishes the fate before using the room; the reader checks it after copying (RingReader::evicted).
void RingWriter::evict(uint32_t reader, uint64_t generation, uint64_t from) {
  const Publication& p = region_->publication();
  RingReaderSlot& slot = region_->ringReader(role_.ring, reader);
  p.write(slot.fate.evictedFrom, from);
  p.write(slot.fate.evictedTo, published_);
  p.publish(slot.fate.evictedGeneration, generation);
  RingLead& lead = region_->ring(role_.ring).lead;
  p.write(lead.evictions, p.read(lead.evictions) + 1);
  const Fenced fenced = p.fullFence();
  region_->wakeProcess(fenced, p.read(slot.claim.process), sleepsForFrames);
  region_->wakeProcesses(fenced, sleepsForCursor);
}

uint64_t RingWriter::activeGeneration(uint32_t reader) const {
  return ringReaderActive(*region_, role_.ring, reader);
}

void RingWriter::close() {
  if (over()) return;
  publish();
  const WriterEnd ended = end();
  closed_ = true;
  if (ended != WriterEnd::none) return;
  RingLead& lead = region_->ring(role_.ring).lead;
  region_->publication().write(lead.waitsForRoom, 0U);
  region_->publication().publish(lead.closedMark, closedMarkOf(role_.generation));
  region_->wakeProcesses(sleepsForAll);
}

}  // namespace ringfence
