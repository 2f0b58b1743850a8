#include "ring_reader.h"

#include <algorithm>

#include "region/planted.h"
#include "region/sealed_line.h"

namespace ringfence {

RingReader::RingReader(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, ReaderRole role)
    : region_(std::move(region)), memory_(std::move(memory)), role_(role) {
  attach();
}

// SYNC: publishes a cursor and the attachment, fences, and reads the position again: there this reader begins. The
// writer fences before it reads the cursors (RingWriter::findRoom): either it sees this reader, or the minimum that it
// found is not above the position read here. Moving the cursor up to that position only releases room, for which the
// writer may sleep by then. So one attempt is enough, however fast the position moves.
void RingReader::attach() {
  const Publication& p = region_->publication();
  const RingLead& lead = region_->ring(role_.ring).lead;
  RingReaderLine& line = region_->ringReader(role_.ring, role_.slot).line;
  beginAt(p.observe(lead.position));
  p.publish(line.attachedGeneration, role_.generation);
  p.fullFence();
  beginAt(p.observe(lead.position));
  attached_ = true;
  formerDetached_ = p.read(line.detachedGeneration);
  sealLine();
  const Fenced fenced = p.fullFence();
  if (!planted("an attachment gives room back in silence")) tellOfRoom(fenced);
  region_->wakeProcesses(fenced, sleepsForCursor);
}

// Behind a full fence, which orders what was released against the word of a writer that waits for room.
void RingReader::tellOfRoom(const Fenced& fenced) const {
  const Publication& p = region_->publication();
  const RingSlot& ring = region_->ring(role_.ring);
  if (p.read(ring.lead.waitsForRoom) != 0) region_->wakeProcess(fenced, p.read(ring.claim.process), sleepsForRoom);
}

void RingReader::beginAt(uint64_t position) {
  const Publication& p = region_->publication();
  RingReaderLine& line = region_->ringReader(role_.ring, role_.slot).line;
  p.write(line.read, position);
  p.write(line.delivered, position);
  p.write(line.handled, position);
  p.write(line.baseline, position);
  p.publish(line.released, position);
  at_ = {position, position, position, position};
  baseline_ = position;
}

// SYNC: pairs with the publish in RingWriter::publish.
uint64_t RingReader::available() const {
  const uint64_t position = region_->publication().observe(region_->ring(role_.ring).lead.position);
  if (position < at_.read) return at_.read;
  return std::min(position, at_.released + memory_->bytes());
}

// Observes the position before it checks for an eviction: the writer publishes the eviction before it publishes frames
// over the evicted room (RingWriter::evict).
bool RingReader::contradicted() const {
  if (over()) return false;
  const Publication& p = region_->publication();
  const uint64_t position = p.observe(region_->ring(role_.ring).lead.position);
  const bool sound = position >= at_.read && position - at_.released <= memory_->bytes() && ownsItsPlace();
  if (sound) return false;
  p.loadFence();
  return !isEvicted();
}

// Whether the place still holds what this reader wrote: only then does the writer spare what the reader has not
// released.
bool RingReader::ownsItsPlace() const {
  const Publication& p = region_->publication();
  const RingReaderSlot& slot = region_->ringReader(role_.ring, role_.slot);
  return p.read(slot.claim.generation) == role_.generation && p.read(slot.line.released) == at_.released &&
         p.read(slot.line.attachedGeneration) == role_.generation &&
         p.read(slot.line.detachedGeneration) == formerDetached_ &&
         p.read(slot.fate.endedGeneration) != role_.generation;
}

// SYNC: pairs with the observe in readCursors.
void RingReader::sealLine() {
  RingReaderLine local{};
  local.attachedGeneration = role_.generation;
  local.detachedGeneration = formerDetached_;
  local.read = at_.read;
  local.delivered = at_.delivered;
  local.handled = at_.handled;
  local.released = at_.released;
  local.baseline = baseline_;
  seal_ = publishSeal(region_->publication(), region_->ringReader(role_.ring, role_.slot).line, local);
}

// SYNC: publishes `released` after all loads of the frames; pairs with the observe in RingWriter::findRoom.
void RingReader::writeLine() {
  const Publication& p = region_->publication();
  RingReaderLine& line = region_->ringReader(role_.ring, role_.slot).line;
  p.write(line.read, at_.read);
  p.write(line.baseline, baseline_);
  p.publish(line.delivered, at_.delivered);
  p.publish(line.handled, at_.handled);
  p.publish(line.released, at_.released);
  sealLine();
}

// SYNC: the fence orders the cursors before the reads of the sleep words, as in advance().
void RingReader::keepLine() {
  if (over() || !ownsItsPlace()) return;
  const Publication& p = region_->publication();
  const RingReaderLine& line = region_->ringReader(role_.ring, role_.slot).line;
  const bool whole = p.read(line.seal) == seal_ && p.read(line.read) == at_.read &&
                     p.read(line.delivered) == at_.delivered && p.read(line.handled) == at_.handled &&
                     p.read(line.baseline) == baseline_;
  if (whole) return;
  writeLine();
  region_->wakeProcesses(p.fullFence(), sleepsForCursor);
}

// SYNC: pairs with the publish in RingReader::sealLine: what a handler did is visible before its cursor is.
bool readCursors(const Region& region, uint32_t ring, uint32_t reader, RingReaderLine& line) {
  for (int attempt = 0; attempt < 4; attempt += 1) {
    if (readSealed(region.publication(), region.ringReader(ring, reader).line, line)) return true;
  }
  return false;
}

// SYNC: the fence orders the cursors before the reads of the sleep words of the processes that wait for them.
void RingReader::advance(const RingCursors& to) {
  if (over() || !ownsItsPlace()) return;  // never overwrite another's values: contradicted() reports them
  const Publication& p = region_->publication();
  const uint64_t limit = available();
  const RingCursors before = at_;
  at_.read = std::max(at_.read, std::min(to.read, limit));
  at_.delivered = std::max(at_.delivered, std::min(to.delivered, at_.read));
  at_.handled = std::max(at_.handled, std::min(to.handled, at_.delivered));
  at_.released = std::max(at_.released, std::min(to.released, at_.read));
  writeLine();
  const Fenced fenced = p.fullFence();
  if (at_.released != before.released) tellOfRoom(fenced);
  if (at_.delivered != before.delivered || at_.handled != before.handled) region_->wakeProcesses(fenced, sleepsForCursor);
}

// SYNC: pairs with the publish in RingWriter::evict. The fence keeps earlier loads of frames before this check: so a
// reader never takes a copy of overwritten bytes for whole.
bool RingReader::evicted(uint64_t& from, uint64_t& to) const {
  const Publication& p = region_->publication();
  p.loadFence();
  const RingReaderFate& fate = region_->ringReader(role_.ring, role_.slot).fate;
  if (!isEvicted()) return false;
  from = p.read(fate.evictedFrom);
  to = p.read(fate.evictedTo);
  return true;
}

bool RingReader::isEvicted() const {
  return region_->publication().observe(region_->ringReader(role_.ring, role_.slot).fate.evictedGeneration) ==
         role_.generation;
}

// Keeps the slot, and begins a new generation of it.
bool RingReader::rejoin() {
  if (over() && !planted("rejoin after the end")) return false;
  const Publication& p = region_->publication();
  RingReaderSlot& slot = region_->ringReader(role_.ring, role_.slot);
  role_.generation += 1;
  p.publish(slot.claim.generation, role_.generation);
  p.ring(region_->ring(role_.ring).table.readersVersion);
  attach();
  return true;
}

// A closed reader, or one of a closed region, has ended too: a closed region reads as zeros, which name no writer whose
// death could be found.
bool RingReader::ended(uint64_t read) const {
  if (over()) return true;
  const Publication& p = region_->publication();
  const RingSlot& ring = region_->ring(role_.ring);
  if (p.observe(ring.lead.position) > read) return false;
  const uint64_t generation = p.observe(ring.claim.generation);
  const uint32_t process = p.read(ring.claim.process);
  const uint64_t processGeneration = p.read(ring.claim.processGeneration);
  // Check the writer's seal: the death of another process must not end the ring.
  const bool known = p.read(ring.claim.writerSeal) == writerSealOf(generation, process, processGeneration);
  if (generation == 0 && planted("a ring without a writer never ends")) return false;
  const bool gone = generation == 0 ? firstWriterDied(*region_, role_.ring)
                                    : p.observe(ring.lead.closedMark) == closedMarkOf(generation) ||
                                          (known && !region_->processAlive(process, processGeneration));
  // Observe the position again after finding the end: the last frames may have been published in between.
  return gone && p.observe(ring.lead.position) <= read;
}

uint64_t RingReader::generation() const {
  return region_->publication().observe(region_->ring(role_.ring).claim.generation);
}

void RingReader::detach() {
  if (!attached_) return;
  attached_ = false;
  if (region_->closed()) return;
  const Publication& p = region_->publication();
  RingSlot& ring = region_->ring(role_.ring);
  p.publish(region_->ringReader(role_.ring, role_.slot).line.detachedGeneration, role_.generation);
  // SYNC: pairs with the observe in RingWriter::refreshReaders, after which the writer rings this reader no more.
  p.ring(ring.table.readersVersion);
  const Fenced fenced = p.fullFence();
  tellOfRoom(fenced);
  region_->wakeProcesses(fenced, sleepsForCursor);
}

}  // namespace ringfence
