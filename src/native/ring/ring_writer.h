// The writing end of a ring. It may overwrite what the slowest attached reader has released.
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

// Why a writer may no longer write its ring.
enum class WriterEnd : uint32_t { none = 0, closed = 1, superseded = 2 };

class RingWriter {
 public:
  // Makes this process the ring's writer, from that position on. Call it under the lock of the ring's slot.
  static RingRole take(role::Claimant claimant, const Region& region, uint32_t ring, uint64_t position);
  // Releases a ring that was taken and cannot be used.
  static void abandon(const Region& region, const RingRole& role);

  RingWriter(std::shared_ptr<Region> region, std::shared_ptr<RingMemory> memory, RingRole role);
  ~RingWriter() { close(); }
  RingWriter(const RingWriter&) = delete;
  RingWriter& operator=(const RingWriter&) = delete;

  // Position after the frame, -1 when there is no room, -2 when the frame is too large or the writer has ended. Readers
  // see the frame after publish().
  int64_t append(const Frame& frame);
  // The end of the room, once JavaScript may write a frame with that payload at position(): it writes frames up to there,
  // and says so by wrote(). -1 when there is no room, -2 as from append().
  int64_t room(uint64_t payloadBytes);
  // JavaScript has written that many frames from position() up to `end`, and over coherent memory has published those
  // below `published` (RingWriterPort.ts). False, and nothing is taken, when that is not within the room or the writer has
  // ended.
  bool wrote(uint64_t end, uint64_t frames, uint64_t published);
  // Publishes all written frames and rings the readers that wait. Rings its own process only with `selfToo`: usually
  // the caller lets that process's readers check.
  void publish(bool selfToo = true);
  // The second half of that, behind a publication: rings the readers that wait.
  void rouse(bool selfToo = true);
  // Reads the cursors again, and ends dead readers that hold the room.
  bool hasRoomFor(uint64_t payloadBytes);
  // The largest payload: a frame takes at most a quarter of the ring, so that no reader must release all for it.
  uint64_t payloadBytesMax() const { return memory_->bytes() / 4 - sizeof(FrameHeader); }

  uint64_t position() const { return position_; }
  uint64_t published() const { return published_; }
  const RingRole& role() const { return role_; }
  const std::shared_ptr<RingMemory>& memory() const { return memory_; }
  const std::shared_ptr<Region>& region() const { return region_; }
  // The generation of the ring's present writer, for JavaScript: another than this writer's ends its writing.
  uint8_t* presentGeneration() const {
    return region_->publication().window<&RingClaim::generation>(slot().claim);
  }
  // Where JavaScript publishes over coherent memory, and where it looks behind that whether a reader has to be rung: the
  // version of the readers' table, and the sleep words of the processes that read at the version that is watched.
  uint8_t* leadWindow() const { return region_->publication().window<&RingLead::position>(slot().lead); }
  uint8_t* readersVersionWindow() const { return region_->publication().window<&RingTable::readersVersion>(slot().table); }
  uint8_t* sleepsWindow(uint32_t process) const {
    return region_->publication().window<&SleepLine::sleeps>(region_->process(process).sleep);
  }
  uint64_t watchedVersion() const { return readersVersion_; }
  const std::vector<uint32_t>& watchedProcesses() const { return processes_; }

  // Declares whether the writer waits for room, so that readers ring it when they release.
  void wantRoom(bool wants);
  // The reader furthest behind what is published, or -1 when none is behind. Ends dead readers.
  int32_t slowestReader();
  // Evicts that reader, which learns what it lost. False when no reader holds any room.
  bool evictSlowest();
  // Ends the writing; published frames stay readable.
  void close();
  WriterEnd end() const;

 private:
  static role::RingWriter own() { return role::RingWriter(); }
  // A process that has given up its slot must not touch the ring: another may write it by now.
  bool over() const { return closed_ || region_->closed(); }
  bool hasRoom(uint64_t bytes) const { return position_ + bytes - released_ <= memory_->bytes(); }
  Seen<Frames> seen() const { return region_->publication().observeCovering<&RingLead::position>(slot().lead).seen; }
  RingSlot& slot() const { return region_->ring(role_.ring); }
  RingReaderSlot& reader(uint32_t index) const { return region_->ringReader(role_.ring, index); }
  ActiveReader activeReader(uint32_t index) const { return ringfence::activeReader(*region_, role_.ring, index); }
  void refreshReaders(const Fenced& fenced);
  void findRoom();
  bool endDead(uint64_t bytes);
  void endReadersOf(uint32_t process);
  bool endIfDead(uint32_t reader);
  void evict(uint32_t reader, uint64_t generation, uint64_t from);

  std::shared_ptr<Region> region_;
  std::shared_ptr<RingMemory> memory_;
  const RingRole role_;
  uint64_t position_;
  uint64_t published_;
  uint64_t released_;  // the smallest cursor at the last look
  // What the lead says of this ring, since it was created.
  uint64_t frames_;
  uint64_t fullEvents_;
  uint64_t evictions_;
  [[no_unique_address]] Written<Frames> written_;  // the frames below `position_`
  uint64_t readersVersion_ = ~uint64_t{0};
  bool closed_ = false;
  std::vector<uint32_t> readers_;    // slots of readers, without those known to have left or died
  std::vector<uint32_t> processes_;  // their processes, each once: publish() checks whether to ring them
};

}  // namespace ringfence
