// A subscriber's reading end: reads the index of one topic and lends the payload that it points to. Entry numbers in
// its interface count from the topic's first entry in the index of its place.
#pragma once

#include <optional>

#include "topic_reader.h"

namespace ringfence {

class IndexReader : public TopicReader {
 public:
  // `pauses`: for how many milliseconds an attachment retries to read a torn line. The sequencer may have been
  // preempted while writing it; or it was damaged, and the sequencer rewrites it within a tenth of a second. 0 on an
  // event loop's thread, which must not block: its process attaches anew instead.
  IndexReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses = 250, const ReaderKind& kind = {});
  ~IndexReader() override { detach(); }

  // Publishes the cursor that keeps batches from being reused. `trimmed` when the position has been trimmed (the
  // status's `freeBytes` is the oldest position kept), `corrupt` when the index contradicts itself, `recovering` while the
  // log has no server that can be believed. A reader attached before the log is served begins with its first batch.
  Status attach(From from, uint64_t position) override;

  int32_t poll(BatchView* views, uint32_t max) override;
  void release(uint64_t released) override;
  void detach() override;
  void storedCursors(uint64_t micros) override;

  uint64_t next() const override { return next_ - first_; }
  // The committed counts of the last valid read.
  uint64_t committed() override;
  uint64_t committedMessages() const override;

 protected:
  // Of the entries that this reader may see: the number of the first that it may not.
  uint64_t end() const;
  const TopicLine::Committed& lookAtCommitted() const;
  bool ownsItsPlace() const;
  // Whether another epoch serves than that whose entries it reads: then an entry that is not there is no damage.
  bool behindTheEpoch() const;
  // The right to read the batch's payload. None when the entry is damaged.
  std::optional<Seen<Payload>> read(uint64_t index, BatchView& view) const;

  std::shared_ptr<Region> region_;
  role::IndexReader role_;
  uint32_t topic_;
  int pauses_;
  Claim claim_;
  ReaderKind kind_;
  mutable uint64_t durable_ = 0;  // the most that was durable at any look
  mutable uint64_t epoch_ = 0;  // whose entries it reads; 0 until the log is served
  mutable TopicLine::Committed committed_{};
  // Entry numbers of the index:
  uint64_t first_ = 0;
  uint64_t next_ = 0;
  uint64_t released_ = 0;
  uint64_t nextPosition_ = 0;  // expected position of the next entry, once one has been read
  bool positioned_ = false;
  bool attached_ = false;

 private:
  Status begin(From from, uint64_t position);
  Status publishCursor(From from);
  void publishSynced();
  uint64_t oldestPosition() const;
  bool seek(uint64_t position);
  bool ended() const;

  bool synced_ = false;  // of a replica's reader: it has found its place, so its cursor counts
};

}  // namespace ringfence
