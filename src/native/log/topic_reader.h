// What a subscriber's reading end does, by the index of its topic (IndexReader), or lane by lane where the topic has no
// order (LaneReader).
#pragma once

#include <cstdint>
#include <memory>

#include "claims.h"
#include "replicas.h"
#include "region/region.h"

namespace ringfence {

enum class From : uint32_t { start = 0, end = 1, position = 2 };

struct BatchView {
  uint64_t index;
  uint64_t position;
  uint64_t sessionId;
  uint64_t batchSequence;
  uint64_t firstMessage;
  uint64_t payloadOffset;  // in the lane
  uint64_t publishedNanos;
  uint64_t orderedNanos;  // of a lane's reader: when it found the batch
  uint32_t lane;
  uint32_t messages;
  uint32_t payloadBytes;
  uint32_t uniformBytes;
  // Of the identity that the session had; zeros without one:
  uint64_t identityGeneration;
  uint64_t identityRecord;
  uint32_t identity;  // slot + 1
  uint32_t incarnation;
};

// What a reader of an index is besides a subscriber that sees all that is committed.
// The cursor of a reader that does not keep memory from being reused.
constexpr uint64_t holdsNothing = ~uint64_t{0};

struct ReaderKind {
  ReplicaRole replica{};
  bool durable = false;  // it sees only what is on the disks of the required replicas
  bool lapped = false;   // it holds nothing back
};

class TopicReader {
 public:
  TopicReader() = default;
  virtual ~TopicReader() = default;
  TopicReader(const TopicReader&) = delete;
  TopicReader& operator=(const TopicReader&) = delete;

  // From its return on, no memory is reused that this reader has not released.
  virtual Status attach(From from, uint64_t position) = 0;
  // Fills up to `max` views. Returns their number, or -1 when the memory contradicts the layout.
  virtual int32_t poll(BatchView* views, uint32_t max) = 0;
  // Of a reader that holds nothing back, instead of `poll`: copies up to `max` batches, whose offsets are those in `to`. They
  // begin at `position`, or behind it where they were overwritten. -1 as above.
  virtual int32_t copy(BatchView*, uint32_t, uint8_t*, uint64_t) { return -1; }
  // The same reader: the first record of the batch that it copies next. It lies above all that it has copied where it was
  // overtaken.
  virtual uint64_t position() const { return 0; }
  // The same: goes on at that batch, whose first record is at `position`. False when it was trimmed.
  virtual bool resume(uint64_t, uint64_t) { return false; }
  // Releases the batches below that number.
  virtual void release(uint64_t released) = 0;
  virtual void detach() = 0;
  // Of a replica's reader: its files have what the topic's cursors said until that moment, in microseconds of the
  // monotonic clock.
  virtual void storedCursors(uint64_t) {}

  // Number of the batch that is polled next, and of batches that there are so far.
  virtual uint64_t next() const = 0;
  virtual uint64_t committed() = 0;
  virtual uint64_t committedMessages() const = 0;
};

// The reader of that topic for the order it was declared with; not attached yet.
std::unique_ptr<TopicReader> readerOf(std::shared_ptr<Region> region, TopicPlace topic, Claim claim, const ReaderKind& kind = {});

}  // namespace ringfence
