#include "ring_writer.h"

#include <algorithm>
#include <cstring>

#include "futex.h"

namespace ringfence {

RingWriter::RingWriter(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, RingRole role)
    : region_(std::move(region)), memory_(std::move(memory)), role_(role), position_(role.position),
      published_(role.position), released_(role.position) {
  findRoom();
}

// Who reads is looked at again only when the table says that it changed.
void RingWriter::refreshReaders() {
  const Publication& p = region_->publication();
  const uint64_t version = p.observe(region_->ring(role_.ring).table.readersVersion);
  if (version == readersVersion_) return;
  readersVersion_ = version;
  readers_.clear();
  processes_.clear();
  for (uint32_t i = 0; i < region_->layout().geometry.ringReaders; i += 1) {
    const RingReaderSlot& slot = region_->ringReader(role_.ring, i);
    if (p.observe(slot.claim.generation) == 0) continue;
    readers_.push_back(i);
    const uint32_t process = p.read(slot.claim.process);
    if (process >= region_->layout().geometry.processes) continue;
    if (std::find(processes_.begin(), processes_.end(), process) == processes_.end()) processes_.push_back(process);
  }
}

// SYNC: the full fence orders what is published against the cursors; a reader publishes its cursor, fences, and looks
// at the position again (RingReader::attach). A minimum computed without it is not above the position that it sees.
void RingWriter::findRoom() {
  const Publication& p = region_->publication();
  p.fullFence();
  refreshReaders();
  uint64_t minimum = published_;
  for (const uint32_t i : readers_) {
    if (!ringReaderActive(*region_, role_.ring, i)) continue;
    const uint64_t released = p.observe(region_->ringReader(role_.ring, i).line.released);
    // What cannot be true counts as holding everything, never as room.
    if (released > published_) continue;
    minimum = std::min(minimum, std::max(released, position_ > memory_->bytes() ? position_ - memory_->bytes() : 0));
  }
  if (minimum > released_) released_ = minimum;
}

int64_t RingWriter::append(const Frame& frame) {
  const uint64_t bytes = frameBytesOf(frame.payloadBytes);
  if (closed_ || frame.payloadBytes > payloadBytesMax()) return -2;
  if (!hasRoom(bytes)) {
    findRoom();
    if (!hasRoom(bytes)) return -1;
  }
  uint8_t* at = memory_->at(position_);
  const FrameHeader header{static_cast<uint32_t>(sizeof(FrameHeader) + frame.payloadBytes), frame.kind, frame.flags,
                           frame.type, frame.sender, frame.senderGeneration, 0, frame.correlation};
  std::memcpy(at, &header, sizeof(header));
  if (frame.payloadBytes != 0) std::memcpy(at + sizeof(header), frame.payload, frame.payloadBytes);
  region_->publication().wrote(at, bytes);
  position_ += bytes;
  frames_ += 1;
  return static_cast<int64_t>(position_);
}

// SYNC: the position pairs with the observe in RingReader::available; the frames below it were written before. The
// fence orders it against the readers' sleep words (Waiter::arm).
void RingWriter::publish() {
  if (closed_ || published_ == position_) return;
  const Publication& p = region_->publication();
  RingLead& lead = region_->ring(role_.ring).lead;
  published_ = position_;
  p.write(lead.frames, frames_);
  p.publish(lead.position, published_);
  p.fullFence();
  refreshReaders();
  for (const uint32_t process : processes_) region_->wakeProcess(process, sleepsForData);
}

void RingWriter::wantRoom(bool wants) {
  const Publication& p = region_->publication();
  RingLead& lead = region_->ring(role_.ring).lead;
  if (wants) p.write(lead.fullEvents, p.read(lead.fullEvents) + 1);
  p.write(lead.waitsForRoom, wants ? 1U : 0U);
  p.fullFence();
}

int32_t RingWriter::slowestReader() {
  const Publication& p = region_->publication();
  refreshReaders();
  int32_t slowest = -1;
  uint64_t minimum = ~uint64_t{0};
  for (const uint32_t i : readers_) {
    if (!ringReaderActive(*region_, role_.ring, i)) continue;
    RingReaderSlot& slot = region_->ringReader(role_.ring, i);
    const uint64_t generation = p.observe(slot.claim.generation);
    if (!region_->processAlive(p.read(slot.claim.process), p.read(slot.claim.processGeneration))) {
      if (p.observe(slot.claim.generation) == generation) p.publish(slot.fate.endedGeneration, generation);
      continue;
    }
    const uint64_t released = p.observe(slot.line.released);
    if (released >= minimum) continue;
    minimum = released;
    slowest = static_cast<int32_t>(i);
  }
  return slowest;
}

// SYNC: the fate is published before the room is used; the reader checks it after it has copied (RingReader::evicted).
bool RingWriter::evictSlowest() {
  const int32_t reader = slowestReader();
  if (reader < 0) return false;
  const Publication& p = region_->publication();
  RingReaderSlot& slot = region_->ringReader(role_.ring, static_cast<uint32_t>(reader));
  p.write(slot.fate.evictedFrom, p.observe(slot.line.released));
  p.write(slot.fate.evictedTo, published_);
  p.publish(slot.fate.evictedGeneration, p.observe(slot.claim.generation));
  RingLead& lead = region_->ring(role_.ring).lead;
  p.write(lead.evictions, p.read(lead.evictions) + 1);
  p.fullFence();
  region_->wakeProcess(p.read(slot.claim.process), sleepsForData);
  return true;
}

void RingWriter::close() {
  if (closed_) return;
  publish();
  closed_ = true;
  if (region_->closed()) return;
  region_->publication().publish(region_->ring(role_.ring).lead.closedGeneration, role_.generation);
  region_->wakeProcesses(sleepsForAll);
}

}  // namespace ringfence
