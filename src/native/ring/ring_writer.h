// The writing end of a ring. Room is what the slowest attached reader has released.
#pragma once

#include <vector>

#include "ring_claims.h"
#include "region/ring_memory.h"

namespace ringfence {

struct Frame {
  uint16_t kind;
  uint16_t flags;
  uint32_t type;
  uint32_t sender;
  uint32_t senderGeneration;
  double correlation;
  const void* payload;
  uint32_t payloadBytes;
};

// Whether a writer still is the ring's.
enum class WriterEnd : uint32_t { none = 0, closed = 1, superseded = 2 };

class RingWriter {
 public:
  RingWriter(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, RingRole role);
  ~RingWriter() { close(); }
  RingWriter(const RingWriter&) = delete;
  RingWriter& operator=(const RingWriter&) = delete;

  // Position behind the frame, -1 when there is no room. Nothing is seen before publish().
  int64_t append(const Frame& frame);
  // Rings those who wait for it; the writer's own process only when `selfToo`: its event loop knows by itself.
  void publish(bool selfToo = true);
  // Looks at the readers again; the dead among those who hold the room stop counting.
  bool hasRoomFor(uint64_t payloadBytes);
  // The largest frame that is taken: a quarter of the ring, so that a reader never has to release all of it.
  uint64_t payloadBytesMax() const { return memory_->bytes() / 4 - sizeof(FrameHeader); }

  uint64_t position() const { return position_; }
  uint64_t published() const { return published_; }
  const RingRole& role() const { return role_; }
  const std::shared_ptr<RingMemory>& memory() const { return memory_; }

  // Says that the writer waits for room, so that readers ring it when they release.
  void wantRoom(bool wants);
  // The reader furthest behind what is published, or -1 when none is behind. The dead stop counting here.
  int32_t slowestReader();
  // Takes the room of that reader away from it. It learns what it lost. False when no reader holds any.
  bool evictSlowest();
  // No more frames; what is published stays readable.
  void close();
  WriterEnd end() const;

 private:
  // A process that gave its slot up no longer decides about the ring: it may be another's by now.
  bool over() const { return closed_ || region_->closed(); }
  bool hasRoom(uint64_t bytes) const { return position_ + bytes - released_ <= memory_->bytes(); }
  void refreshReaders();
  void findRoom();
  bool endDead(uint64_t bytes);
  void endReadersOf(uint32_t process);
  bool endIfDead(uint32_t reader);
  void evict(uint32_t reader, uint64_t generation, uint64_t from);
  uint64_t activeGeneration(uint32_t reader) const;

  std::shared_ptr<Region> region_;
  std::shared_ptr<RingMemory> memory_;
  RingRole role_;
  uint64_t position_;
  uint64_t published_;
  uint64_t released_;  // the smallest, as last looked at
  uint64_t frames_;    // since the ring was born
  uint64_t readersVersion_ = ~uint64_t{0};
  bool closed_ = false;
  std::vector<uint32_t> readers_;    // slots of readers that may be attached: not those who left or are known to be dead
  std::vector<uint32_t> processes_;  // theirs, each once: these are looked at by each publish()
};

}  // namespace ringfence
