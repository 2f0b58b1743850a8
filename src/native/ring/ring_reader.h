// The reading end of a ring: its cursors, and the published bytes after them.
#pragma once

#include "ring_claims.h"
#include "region/ring_memory.h"

namespace ringfence {

struct RingCursors {
  uint64_t read, delivered, handled, released;
};

// What a reader finds when it looks at its ring.
//   contradicted  the memory was damaged: the position moved back or overran unreleased bytes, or the reader's place
//                 does not hold what it wrote there. Then no byte can be trusted.
enum class RingFinding { sound, evicted, contradicted };

struct RingLook {
  RingFinding finding;
  // Frames below are published; `read` where the finding is not sound, or the reader is over.
  uint64_t published;
  // The bytes below may be read now. It is `published`, or less where this host had to fetch much: it may lie within a
  // frame then, of which the next look shows more.
  uint64_t limit;
};

class RingReader {
 public:
  // Releases a place that was claimed and cannot be used.
  static void abandon(const Region& region, const ReaderRole& role);

  RingReader(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, ReaderRole role);
  ~RingReader() { detach(); }
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Looks at the ring, at each line once. Rewrites this reader's cursors if they were damaged, so that a fence that
  // waits for them can continue.
  RingLook look();
  uint64_t available() { return look().limit; }
  // Moves cursors forward, never back and never past what a look has shown, here or in JavaScript; wakes the processes
  // that wait for them.
  void advance(const RingCursors& cursors);
  // True if the reader was evicted: [from, to) was overwritten. Frames published before rejoin() are lost to it too.
  bool evicted(uint64_t& from, uint64_t& to) const;
  // Begins again at the present end of the ring, after an eviction or an invalid frame. False when the reader has left:
  // its place may belong to another by then.
  bool rejoin();
  // The reader has left, or its region is closed.
  bool over() const { return !attached_ || region_->closed(); }
  // The writer has closed the ring or died, and nothing is published above `read`.
  bool ended(uint64_t read) const;
  uint64_t generation() const;  // of the ring's present writer
  void detach();

  bool regionClosed() const { return region_->closed(); }
  uint64_t baseline() const { return line_.baseline; }
  RingCursors cursors() const { return {line_.read, line_.delivered, line_.handled, line_.released}; }
  const ReaderRole& role() const { return role_; }
  const std::shared_ptr<RingMemory>& memory() const { return memory_; }
  const std::shared_ptr<Region>& region() const { return region_; }
  // Where JavaScript looks: over coherent memory for itself (RingReaderPort.ts), over flushed memory before it asks for a
  // look. How far the ring is published; the place's fate, its claim and its line, which tell whether it still is this
  // reader's.
  uint8_t* leadWindow() const { return region_->publication().window<&RingLead::position>(ring().lead); }
  uint8_t* fateWindow() const { return region_->publication().window<&RingReaderFate::endedGeneration>(place().fate); }
  uint8_t* claimWindow() const { return region_->publication().window<&RingReaderClaim::generation>(place().claim); }
  uint8_t* lineWindow() const { return region_->publication().window<&RingReaderLine::attachedGeneration>(place().line); }
  uint64_t claimedGeneration() const { return claimed_; }
  uint64_t formerGeneration() const { return line_.detachedGeneration; }

 private:
  static role::RingReader own() { return role::RingReader(); }
  RingSlot& ring() const { return region_->ring(role_.ring); }
  RingReaderSlot& place() const { return region_->ringReader(role_.ring, role_.slot); }
  void attach();
  void beginAt(uint64_t position);
  void writeLine();
  void keepLine();
  void tellOfRoom(const Fenced& fenced) const;
  bool ownsItsPlace(uint64_t endedGeneration) const;
  uint64_t lent(const Shown<uint64_t, Frames>& position);
  void lendWhatIsRead(uint64_t read);
  // Whether the line still holds what this reader wrote there.
  template <auto... Fields>
  bool keeps() const {
    const Publication& p = region_->publication();
    return ((p.own<Fields>(own(), place().line) == line_.*Fields) && ...);
  }

  std::shared_ptr<Region> region_;
  std::shared_ptr<RingMemory> memory_;
  ReaderRole role_;
  uint64_t claimed_;      // the claim's generation
  RingReaderLine line_{};  // what this reader wrote into its line
  uint64_t lent_ = 0;      // the bytes below were shown by a look
  bool attached_ = false;
};

// A consistent copy of a reader's cursors. False while they are being written, or when they were changed from outside.
bool readCursors(const Region& region, uint32_t ring, uint32_t reader, RingReaderLine& line);

}  // namespace ringfence
