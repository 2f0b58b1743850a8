// The reading end of a ring: cursors, and the bytes between them and what is published.
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

  // Frames below this position are whole. Never more than a ring above what this reader has released.
  uint64_t available() const;
  // What it finds cannot be: the position moved back, or by more than a ring over what it has not released, or its own
  // place says what it did not write there. Nothing it reads is to be trusted any more.
  bool contradicted() const;
  // Writes its cursors again where others would not find them as it left them: a fence that waits for them goes on. What
  // contradicted() tells stays as it is.
  void keepLine();
  // Moves cursors forward, never back and never past what is published; wakes the processes that wait for them.
  void advance(const RingCursors& cursors);
  // Where it was evicted, if it was: [from, to) was overwritten. What is published before rejoin() is lost to it, too.
  bool evicted(uint64_t& from, uint64_t& to) const;
  bool isEvicted() const;
  // Takes part again, from what is published now on, after it was evicted or what it read was no frame. False when it has
  // left: its place may be another's by then.
  bool rejoin();
  // It has left, or its region is closed.
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

  std::shared_ptr<Region> region_;
  std::shared_ptr<RingMemory> memory_;
  ReaderRole role_;
  RingCursors at_{};
  uint64_t baseline_ = 0;
  uint64_t formerDetached_ = 0;  // what stands in its line of the one before it
  uint64_t seal_ = 0;            // of its line
  bool attached_ = false;
};

// The cursors of a reader, whole. False while they are being written, or when they were changed from outside.
bool readCursors(const Region& region, uint32_t ring, uint32_t reader, RingReaderLine& line);

}  // namespace ringfence
