#include "ring_reader.h"

#include <algorithm>

#include "region/planted.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence {

namespace {

// Of memory that has to be invalidated: what one look makes this host fetch again, so that it holds up no event loop.
constexpr uint64_t lentBytesMax = 256 * 1024;

}  // namespace

void RingReader::abandon(const Region& region, const ReaderRole& role) {
  const Publication& p = region.publication();
  p.on(own(), region.ringReader(role.ring, role.slot).line).publish<&RingReaderLine::detachedGeneration>(role.generation);
}

RingReader::RingReader(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, ReaderRole role)
    : region_(std::move(region)), memory_(std::move(memory)), role_(role), claimed_(role.generation) {
  attach();
}

// SYNC: publishes a cursor and the attachment, fences, and reads the position again: there this reader begins. The
// writer fences before it reads the cursors (RingWriter::findRoom): either it sees this reader, or the minimum that it
// found is not above the position read here. Moving the cursor up to that position only releases room, for which the
// writer may sleep by then. So one attempt is enough, however fast the position moves. The readers' version follows the
// attachment: the writer, which looks for new readers only where the version has changed, finds it.
void RingReader::attach() {
  const Publication& p = region_->publication();
  line_.attachedGeneration = role_.generation;
  line_.detachedGeneration = p.observe<&RingReaderLine::detachedGeneration>(place().line);  // the former reader's
  beginAt(p.observe<&RingLead::position>(ring().lead));
  p.on(own(), place().line).publish<&RingReaderLine::attachedGeneration>(role_.generation);
  p.ring<&RingTable::readersVersion>(ring().table);
  const Fenced fenced = p.fullFence();
  beginAt(p.observeBehind<&RingLead::position>(fenced, ring().lead));
  attached_ = true;
  const Fenced told = p.fullFence();
  if (!planted("an attachment gives room back in silence")) tellOfRoom(told);
  region_->wakeCursorWaiters(told);
}

// Behind a full fence, which orders what was released against the word of a writer that waits for room.
void RingReader::tellOfRoom(const Fenced& fenced) const {
  const Publication& p = region_->publication();
  if (p.observeBehind<&RingWait::waitsForRoom>(fenced, ring().wait) == 0) return;
  region_->wakeProcess(fenced, p.observe<&RingClaim::process>(ring().claim), sleepsForRoom);
}

void RingReader::beginAt(uint64_t position) {
  line_.read = line_.delivered = line_.handled = line_.released = line_.baseline = position;
  lent_ = position;
  writeLine();
}

// SYNC: publishes `released` after all loads of the frames; pairs with the observe in RingWriter::findRoom. Publishes
// the seal after the cursors, and after what a handler did; pairs with the observe in readCursors.
void RingReader::writeLine() {
  line_.seal = sealOf(line_);
  region_->publication()
    .on(own(), place().line)
    .set<&RingReaderLine::read>(line_.read)
    .set<&RingReaderLine::baseline>(line_.baseline)
    .set<&RingReaderLine::delivered>(line_.delivered)
    .set<&RingReaderLine::handled>(line_.handled)
    .publish<&RingReaderLine::released>(line_.released)
    .publish<&RingReaderLine::seal>(line_.seal);
}

// SYNC: the fence orders the cursors before the look for processes that wait for them, as in advance().
void RingReader::keepLine() {
  if (keeps<&RingReaderLine::seal, &RingReaderLine::read, &RingReaderLine::delivered, &RingReaderLine::handled,
            &RingReaderLine::baseline>()) {
    return;
  }
  writeLine();
  region_->wakeCursorWaiters(region_->publication().fullFence());
}

// Whether the place still holds what this reader wrote: only then does the writer spare what the reader has not
// released.
bool RingReader::ownsItsPlace(uint64_t endedGeneration) const {
  return endedGeneration != role_.generation && role_.generation >= claimed_ &&
         region_->publication().observe<&RingReaderClaim::generation>(place().claim) == claimed_ &&
         keeps<&RingReaderLine::released, &RingReaderLine::attachedGeneration, &RingReaderLine::detachedGeneration>();
}

// SYNC: pairs with the publish in RingWriter::publish. Observes the position before it checks for an eviction: the
// writer publishes the eviction before it publishes frames over the evicted room (RingWriter::evict).
RingLook RingReader::look() {
  if (over()) return {RingFinding::sound, line_.read, line_.read};
  const Publication& p = region_->publication();
  const auto position = p.observeCovering<&RingLead::position>(ring().lead);
  const auto [evictedGeneration, endedGeneration] =
      p.observe<&RingReaderFate::evictedGeneration, &RingReaderFate::endedGeneration>(place().fate);
  if (evictedGeneration == role_.generation) return {RingFinding::evicted, line_.read, line_.read};
  const bool isPossible = position.value >= line_.read && position.value - line_.released <= memory_->bytes();
  if (!isPossible || !ownsItsPlace(endedGeneration)) return {RingFinding::contradicted, line_.read, line_.read};
  keepLine();
  return {RingFinding::sound, position.value, lent(position)};
}

// The end of what JavaScript may load by now: on memory that has to be invalidated, each byte is invalidated once, a
// bounded number of them at a time.
uint64_t RingReader::lent(const Shown<uint64_t, Frames>& position) {
  const Publication& p = region_->publication();
  lent_ = std::min(lent_, position.value);
  uint64_t count = position.value - lent_;
  if (p.coherence() == Coherence::flushed) count = std::min(count, lentBytesMax);
  if (count != 0) p.lend(memory_->frames(lent_, count), position.seen);
  lent_ += count;
  return lent_;
}

// SYNC: pairs with the publish in RingReader::writeLine: what a handler did is visible before its cursor is.
bool readCursors(const Region& region, uint32_t ring, uint32_t reader, RingReaderLine& line) {
  for (int attempt = 0; attempt < 4; attempt += 1) {
    if (readSealed(region.publication(), region.ringReader(ring, reader).line, line)) return true;
  }
  return false;
}

// JavaScript has read up to there, behind a look of its own.
void RingReader::lendWhatIsRead(uint64_t read) {
  const Publication& p = region_->publication();
  if (read <= lent_ || p.coherence() == Coherence::flushed) return;
  const auto position = p.observeCovering<&RingLead::position>(ring().lead);
  if (position.value - line_.released <= memory_->bytes()) lent(position);
}

// SYNC: the fence orders the cursors before the look for processes that wait for them (Region::wakeCursorWaiters).
void RingReader::advance(const RingCursors& to) {
  const Publication& p = region_->publication();
  // Never overwrite another's values: a look reports them.
  if (over() || !ownsItsPlace(p.observe<&RingReaderFate::endedGeneration>(place().fate))) return;
  const RingCursors before = cursors();
  lendWhatIsRead(to.read);
  line_.read = std::max(line_.read, std::min(to.read, lent_));
  line_.delivered = std::max(line_.delivered, std::min(to.delivered, line_.read));
  line_.handled = std::max(line_.handled, std::min(to.handled, line_.delivered));
  line_.released = std::max(line_.released, std::min(to.released, line_.read));
  writeLine();
  const Fenced fenced = p.fullFence();
  if (line_.released != before.released) tellOfRoom(fenced);
  if (line_.delivered != before.delivered || line_.handled != before.handled) {
    region_->wakeCursorWaiters(fenced);
  }
}

// SYNC: pairs with the publish in RingWriter::evict. Earlier loads of frames are made before this check: so a reader
// never takes a copy of overwritten bytes for whole.
bool RingReader::evicted(uint64_t& from, uint64_t& to) const {
  const Publication& p = region_->publication();
  const auto& fate = place().fate;
  if (p.observeAfterReads<&RingReaderFate::evictedGeneration>(fate) != role_.generation) return false;
  std::tie(from, to) = p.observe<&RingReaderFate::evictedFrom, &RingReaderFate::evictedTo>(fate);
  return true;
}

// Keeps the place, and begins a new generation of it, which is above the claim's even if that was damaged.
bool RingReader::rejoin() {
  if (over() && !planted("rejoin after the end")) return false;
  claimed_ = region_->publication().observe<&RingReaderClaim::generation>(place().claim);
  role_.generation = std::max(role_.generation, claimed_) + 1;
  attach();
  return true;
}

// A closed reader, or one of a closed region, has ended too: a closed region reads as zeros, which name no writer whose
// death could be found.
bool RingReader::ended(uint64_t read) const {
  if (over()) return true;
  const Publication& p = region_->publication();
  if (p.observe<&RingLead::position>(ring().lead) > read) return false;
  const RingClaim claim = p.snapshot<&RingClaim::generation>(ring().claim);
  if (claim.generation == 0 && planted("a ring without a writer never ends")) return false;
  // Check the writer's seal: the death of another process must not end the ring.
  const bool known = claim.writerSeal == writerSealOf(claim.generation, claim.process, claim.processGeneration);
  const auto closed = [&] { return p.observe<&RingLead::closedMark>(ring().lead) == closedMarkOf(claim.generation); };
  const bool gone = claim.generation == 0
                        ? firstWriterDied(*region_, role_.ring)
                        : closed() || (known && !region_->processAlive(claim.process, claim.processGeneration));
  // Observe the position again after finding the end: the last frames may have been published in between.
  return gone && p.observe<&RingLead::position>(ring().lead) <= read;
}

uint64_t RingReader::generation() const {
  return region_->publication().observe<&RingClaim::generation>(ring().claim);
}

// SYNC: the readers' version pairs with the observe in RingWriter::refreshReaders, after which the writer rings this
// reader no more.
void RingReader::detach() {
  if (!attached_) return;
  attached_ = false;
  if (region_->closed()) return;
  const Publication& p = region_->publication();
  // Also of a damaged attachment: it would hold room without a reader.
  p.on(own(), place().line)
    .set<&RingReaderLine::attachedGeneration>(role_.generation)
    .publish<&RingReaderLine::detachedGeneration>(role_.generation);
  p.ring<&RingTable::readersVersion>(ring().table);
  const Fenced fenced = p.fullFence();
  tellOfRoom(fenced);
  region_->wakeCursorWaiters(fenced);
}

}  // namespace ringfence
