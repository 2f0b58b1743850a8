// The reading end of a ring: its cursors, and the published bytes after them.
#pragma once

#include "ring_claims.h"
#include "region/ring_memory.h"

namespace ringfence {

struct RingCursors {
  uint64_t read, delivered, handled, released;
};

class RingReader {
 public:
  RingReader(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, ReaderRole role);
  ~RingReader() { detach(); }
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // The position below which frames are published, at most one ring length above this reader's `released`.
  uint64_t available() const;
  // The memory was damaged: the position moved back or overran unreleased bytes, or this reader's place does not hold
  // what it wrote there. Then no byte can be trusted.
  bool contradicted() const;
  // Rewrites this reader's cursors if they were damaged, so that a fence that waits for them can continue. Does not
  // touch what contradicted() checks.
  void keepLine();
  // Moves cursors forward, never back and never past what is published; wakes the processes that wait for them.
  void advance(const RingCursors& cursors);
  // True if the reader was evicted: [from, to) was overwritten. Frames published before rejoin() are lost to it too.
  bool evicted(uint64_t& from, uint64_t& to) const;
  bool isEvicted() const;
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
  uint64_t baseline() const { return baseline_; }
  const RingCursors& cursors() const { return at_; }
  const ReaderRole& role() const { return role_; }
  const std::shared_ptr<RingMemory>& memory() const { return memory_; }

 private:
  void attach();
  bool ownsItsPlace() const;
  void writeLine();
  void sealLine();
  void beginAt(uint64_t position);
  void tellOfRoom(const Fenced& fenced) const;

  std::shared_ptr<Region> region_;
  std::shared_ptr<RingMemory> memory_;
  ReaderRole role_;
  RingCursors at_{};
  uint64_t baseline_ = 0;
  uint64_t formerDetached_ = 0;  // the detached generation of the place's former reader
  uint64_t seal_ = 0;            // of this reader's line
  bool attached_ = false;
};

// A consistent copy of a reader's cursors. False while they are being written, or when they were changed from outside.
bool readCursors(const Region& region, uint32_t ring, uint32_t reader, RingReaderLine& line);

}  // namespace ringfence
