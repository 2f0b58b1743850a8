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

// Closes the former generation first: if this process stops or dies in here, its number beside the former generation
// must not make the former writer look alive.
// SYNC: publishes `generation` of the claim last, after the lead line; pairs with the observes in ringsOf() and
// RingReader.
RingRole RingWriter::take(role::Claimant claimant, const Region& region, uint32_t ring, uint64_t position) {
  const Publication& p = region.publication();
  RingSlot& slot = region.ring(ring);
  const uint64_t former = p.observe<&RingClaim::generation>(slot.claim);
  const auto seen = p.observeCovering<&RingLead::position>(slot.lead).seen;
  const RingLead lead = p.copy(slot.lead);
  Written<Line<RingLead, role::RingWriter>> written = std::move(p.on(own(), slot.lead)
    .publish<&RingLead::closedMark>(closedMarkOf(former))
    .publish<&RingLead::announced>(position)
    .publish<&RingLead::position>(position, Written<Frames>::passedOn(own(), seen))
    .publish<&RingLead::generation>(former + 1)).written();
  p.on(own(), slot.wait).set<&RingWait::waitsForRoom>(0);
  p.storeFence();
  p.on(claimant, slot.claim)
    .set<&RingClaim::process>(region.slot())
    .set<&RingClaim::processGeneration>(region.generation())
    .set<&RingClaim::writerSeal>(writerSealOf(former + 1, region.slot(), region.generation()))
    .publish<&RingClaim::generation>(former + 1, std::move(written));
  return {ring, former + 1, position, lead.frames, lead.fullEvents, lead.evictions};
}

void RingWriter::abandon(const Region& region, const RingRole& role) {
  const Publication& p = region.publication();
  p.on(own(), region.ring(role.ring).lead).publish<&RingLead::closedMark>(closedMarkOf(role.generation));
}

// Frames below its position were written back by its predecessors. Drops the ring's lines, which this host may have
// fetched while another process wrote them: a frame shares its last line with frames of the former lap, and what stood
// there at that time must not be written back over them.
RingWriter::RingWriter(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, RingRole role)
    : region_(std::move(region)), memory_(std::move(memory)), role_(role), position_(role.position),
      published_(role.position), released_(role.position - std::min(role.position, memory_->bytes())),
      frames_(role.frames), fullEvents_(role.fullEvents), evictions_(role.evictions),
      written_(Written<Frames>::passedOn(own(), seen())) {
  region_->publication().lend(memory_->frames(0, memory_->bytes()), seen());
  findRoom();
}

// Rebuilds the list of readers, but only when the table's version has changed or a reader was found dead. Keeps evicted
// readers: they must be woken to learn of it, and may rejoin.
void RingWriter::refreshReaders(const Fenced& fenced) {
  const Publication& p = region_->publication();
  const uint64_t version = p.observeBehind<&RingTable::readersVersion>(fenced, slot().table);
  if (version == readersVersion_) return;
  readersVersion_ = version;
  readers_.clear();
  processes_.clear();
  for (uint32_t i = 0; i < region_->layout().geometry.ringReaders; i += 1) {
    const RingReaderClaim claim = p.snapshot<&RingReaderClaim::generation>(reader(i).claim);
    if (claim.generation == 0) continue;
    const RingReaderLine line = p.snapshot<&RingReaderLine::attachedGeneration>(reader(i).line);
    const uint64_t generation = std::max(claim.generation, line.attachedGeneration);
    if (line.detachedGeneration == generation) continue;
    if (p.observe<&RingReaderFate::endedGeneration>(reader(i).fate) == generation) continue;
    readers_.push_back(i);
    if (claim.process >= region_->layout().geometry.processes) continue;
    if (std::find(processes_.begin(), processes_.end(), claim.process) == processes_.end()) processes_.push_back(claim.process);
  }
}

// SYNC: the full fence orders published positions, and the word that the writer waits for room, before the reads of the
// cursors; a reader publishes its cursor, fences, and reads the position again (RingReader::attach), and the word. A
// minimum computed without that reader is not above the position that it reads.
void RingWriter::findRoom() {
  const Publication& p = region_->publication();
  refreshReaders(p.fullFence());
  uint64_t minimum = published_;
  for (const uint32_t i : readers_) {
    const ActiveReader active = activeReader(i);
    if (active.generation == 0) continue;
    // An impossible cursor does not tell what its reader still needs: evict the reader, which then knows that it lost
    // all.
    if (active.released > published_) {
      evict(i, active.generation, published_ - std::min(published_, memory_->bytes()));
    } else {
      minimum = std::min(minimum, active.released);
    }
  }
  if (minimum > released_) released_ = minimum;
}

// Ends dead readers among those that leave no room for `bytes` more. True when there may be room now: there were any, or
// none leaves no room any more, because the last one released some behind the writer's look, and may have died since.
bool RingWriter::endDead(uint64_t bytes) {
  bool isInTheWay = false;
  bool found = false;
  for (const uint32_t i : readers_) {
    const ActiveReader active = activeReader(i);
    if (active.generation == 0 || position_ + bytes - active.released <= memory_->bytes()) continue;
    isInTheWay = true;
    found = endIfDead(i) || found;
  }
  return found || !isInTheWay;
}

// Called after ringing the process woke no thread. Ends its readers if the system says that it is dead: then the writer
// checks it no more.
void RingWriter::endReadersOf(uint32_t process) {
  const Publication& p = region_->publication();
  for (const uint32_t i : readers_) {
    if (p.observe<&RingReaderClaim::process>(reader(i).claim) == process && !endIfDead(i)) return;
  }
}

// Reads the generations first: if another process takes the place meanwhile, it has a new generation, which stays.
bool RingWriter::endIfDead(uint32_t index) {
  const Publication& p = region_->publication();
  RingReaderSlot& place = reader(index);
  const uint64_t generation = readerGeneration(p, place);
  const RingReaderClaim claim = p.snapshot<&RingReaderClaim::generation>(place.claim);
  if (region_->processAlive(claim.process, claim.processGeneration)) return false;
  p.on(own(), place.fate).publish<&RingReaderFate::endedGeneration>(generation);
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

int64_t RingWriter::room(uint64_t payloadBytes) {
  if (end() != WriterEnd::none || payloadBytes > payloadBytesMax()) return -2;
  return hasRoomFor(payloadBytes) ? static_cast<int64_t>(released_ + memory_->bytes()) : -1;
}

bool RingWriter::wrote(uint64_t end, uint64_t frames, uint64_t published) {
  const Publication& p = region_->publication();
  const bool isRoom = end >= position_ && end <= released_ + memory_->bytes() && roundUp(end, 8) == end;
  const uint64_t publishable = p.coherence() == Coherence::coherent ? end : published_;
  if (!isRoom || published < published_ || published > publishable || this->end() != WriterEnd::none) return false;
  published_ = published;
  if (end == position_) return true;
  written_ += p.wrote(own(), memory_->frames(position_, end - position_));
  position_ = end;
  frames_ += frames;
  return true;
}

int64_t RingWriter::append(const Frame& frame) {
  const uint64_t bytes = frameBytesOf(frame.payloadBytes);
  const int64_t roomEnd = room(frame.payloadBytes);
  if (roomEnd < 0) return roomEnd;
  FrameHeader header{static_cast<uint32_t>(sizeof(FrameHeader) + frame.payloadBytes), frame.kind, frame.flags,
                     frame.type, frame.sender, frame.senderGeneration, 0, frame.correlation};
  header.checksum = frameChecksum(header, position_);
  written_ += region_->publication().write(own(), memory_->frames(position_, header.length), &header, sizeof(header),
                                           frame.payload);
  position_ += bytes;
  frames_ += 1;
  return static_cast<int64_t>(position_);
}

// SYNC: publishes the position after the frames below it; pairs with the observe in RingReader::look. The fence of
// rouse() orders it before the reads of the readers' sleep words (Waiter::arm).
void RingWriter::publish(bool selfToo) {
  if (published_ == position_ || end() != WriterEnd::none) return;
  const Publication& p = region_->publication();
  published_ = position_;
  p.on(own(), slot().lead)
    .set<&RingLead::frames>(frames_)
    .publish<&RingLead::announced>(published_)
    .publish<&RingLead::position>(published_, std::move(written_));
  rouse(selfToo);
}

void RingWriter::rouse(bool selfToo) {
  const Fenced fenced = region_->publication().fullFence();
  refreshReaders(fenced);
  for (const uint32_t process : processes_) {
    if (process == region_->slot() && !selfToo) continue;
    if (region_->wakeProcess(fenced, process, sleepsForFrames) == Rung::unheard) endReadersOf(process);
  }
}

// Another writer can have the ring only if this process was found dead or the closing mark was forged. Then this writer
// must neither overwrite the other's frames nor publish in its name.
WriterEnd RingWriter::end() const {
  if (over()) return WriterEnd::closed;
  const uint64_t generation = region_->publication().observe<&RingClaim::generation>(slot().claim);
  return generation == role_.generation ? WriterEnd::none : WriterEnd::superseded;
}

// SYNC: says that it waits, and looks behind a fence for room (findRoom); a reader releases, fences, and reads the word
// (RingReader::tellOfRoom). So no writer sleeps while there is room.
void RingWriter::wantRoom(bool wants) {
  if (end() != WriterEnd::none && !planted("room flag of a later writer")) return;
  const Publication& p = region_->publication();
  if (wants) fullEvents_ += 1;
  p.on(own(), slot().lead).set<&RingLead::fullEvents>(fullEvents_);
  p.on(own(), slot().wait).set<&RingWait::waitsForRoom>(wants ? 1 : 0);
  if (wants) findRoom();
}

int32_t RingWriter::slowestReader() {
  if (end() != WriterEnd::none) return -1;
  refreshReaders(region_->publication().fullFence());
  endDead(memory_->bytes());
  int32_t slowest = -1;
  uint64_t minimum = published_;
  for (const uint32_t i : readers_) {
    const ActiveReader active = activeReader(i);
    if (active.generation == 0 || active.released >= minimum) continue;
    minimum = active.released;
    slowest = static_cast<int32_t>(i);
  }
  return slowest;
}

bool RingWriter::evictSlowest() {
  const int32_t slowest = slowestReader();
  if (slowest < 0) return false;
  const uint32_t index = static_cast<uint32_t>(slowest);
  const ActiveReader active = activeReader(index);
  if (active.generation == 0) return true;  // it has just left
  evict(index, active.generation, active.released);
  return true;
}

// SYNC: publishes the fate before using the room; the reader checks it after copying (RingReader::evicted).
void RingWriter::evict(uint32_t index, uint64_t generation, uint64_t from) {
  const Publication& p = region_->publication();
  p.on(own(), reader(index).fate)
    .set<&RingReaderFate::evictedFrom>(from)
    .set<&RingReaderFate::evictedTo>(published_)
    .publish<&RingReaderFate::evictedGeneration>(generation);
  evictions_ += 1;
  p.on(own(), slot().lead).set<&RingLead::evictions>(evictions_);
  const Fenced fenced = p.fullFence();
  region_->wakeProcess(fenced, p.observe<&RingReaderClaim::process>(reader(index).claim), sleepsForFrames);
  region_->wakeCursorWaiters(fenced);
}

void RingWriter::close() {
  if (over()) return;
  publish();
  const WriterEnd ended = end();
  closed_ = true;
  if (ended != WriterEnd::none) return;
  const Publication& p = region_->publication();
  p.on(own(), slot().wait).set<&RingWait::waitsForRoom>(0);
  p.on(own(), slot().lead).publish<&RingLead::closedMark>(closedMarkOf(role_.generation));
  region_->wakeProcesses(p.fullFence(), sleepsForAll);
}

}  // namespace ringfence
