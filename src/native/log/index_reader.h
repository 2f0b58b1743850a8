// A subscriber's end: reads the index of one topic and lends the payload it points to. Its numbers count from where the
// topic's entries begin in the index of its place.
#pragma once

#include "claims.h"
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
  uint64_t orderedNanos;
  uint32_t lane;
  uint32_t messages;
  uint32_t payloadBytes;
  uint32_t uniformBytes;
};

class IndexReader {
 public:
  // `pauses`, of a millisecond each: how long an attachment looks again at a line that is not whole. It may be one that
  // the sequencer is in the middle of while the system has taken the processor from it; or it was damaged, and is written
  // again within a tenth of a second. On the thread of an event loop there are none: its process attaches anew instead.
  IndexReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses = 250);
  ~IndexReader() { detach(); }
  IndexReader(const IndexReader&) = delete;
  IndexReader& operator=(const IndexReader&) = delete;

  // Publishes the cursor that keeps batches from being reused. `trimmed` when the position is no longer kept (the
  // status's freeBytes say where what is kept begins), `corrupt` when the index contradicts itself.
  // Attached before the log is served, it begins with it.
  Status attach(From from, uint64_t position);

  // Fills up to `max` views. Returns their number, or -1 when the index contradicts the layout.
  int32_t poll(BatchView* views, uint32_t max);
  // Of the batches below that number nothing is read any more.
  void release(uint64_t released);
  void detach();

  uint64_t next() const { return next_ - first_; }
  // As last published, whole.
  uint64_t committed() const;
  uint64_t committedMessages() const { return lookAtCommitted().messages; }

 private:
  Status begin(From from, uint64_t position);
  bool publishCursor(From from);
  uint64_t oldestPosition() const;
  bool seek(uint64_t position);
  uint64_t epoch() const;
  bool epochSound(uint64_t epoch) const;
  const TopicLine::Committed& lookAtCommitted() const;
  bool ownsItsPlace() const;
  bool read(uint64_t index, BatchView& view) const;

  std::shared_ptr<Region> region_;
  uint32_t topic_;
  int pauses_;
  Claim claim_;
  mutable uint64_t epoch_ = 0;  // 0 until the log is served
  mutable TopicLine::Committed committed_{};
  // Entry numbers of the index:
  uint64_t first_ = 0;
  uint64_t next_ = 0;
  uint64_t released_ = 0;
  uint64_t nextPosition_ = 0;  // where the next entry begins, once one was read
  bool positioned_ = false;
  bool attached_ = false;
};

}  // namespace ringfence
