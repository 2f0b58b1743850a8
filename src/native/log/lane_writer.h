// A session's writing end: one lane on each broker.
//
//   descriptor ring (64 B a slot)      payload ring (lanePayloadBytes)
//   ┌──┬──┬──┬──┬──┬──┬──┬──┐           ┌────────┬──────┬───┬─────────────┐
//   │  │▒▒│▒▒│▓▓│▓▓│░░│  │  │           │ batch  │ batch│pad│ free        │
//   └──┴──┴──┴──┴──┴──┴──┴──┘           └────────┴──────┴───┴─────────────┘
//    released ▲     ▲     ▲ published, written            a batch never wraps: padding precedes it instead
//                scanned
//
// All marks are absolute counts; `mod` only computes addresses.
#pragma once

#include <optional>
#include <vector>

#include "claims.h"
#include "region/region.h"

namespace ringfence {

struct BatchToSeal {
  uint64_t sequence;
  uint64_t firstMessage;
  uint32_t messages;
  uint32_t payloadBytes;
  uint32_t uniformBytes;
  const uint32_t* lengths;  // `messages` of them, when uniformBytes is 0
};

// A batch that its session's end has left uncommitted, copied out of its lane.
struct UncommittedBatch {
  uint64_t sequence;
  uint64_t firstMessage;
  uint32_t messages;
  uint32_t uniformBytes;
  std::vector<uint8_t> payload;
  std::vector<uint32_t> lengths;  // when uniformBytes is 0
};

// Of the identity that the session has: which of its sessions it is, and the records that those before it committed.
struct Incarnation {
  uint64_t number = 0;  // 0: it has no identity
  uint64_t base = 0;
};

struct LaneFrontiers {
  uint64_t written, published, scanned, released;
  uint64_t held, ordered, orderedMessages, delivered, deliveredMessages, duplicates, purged;
};

class LaneWriter {
 public:
  LaneWriter(std::shared_ptr<Region> region, Claim claim);

  // True once the sequencer has adopted the session and every broker has granted its lane; sets up the lanes then.
  // Never true if the lanes' lines contradict each other, or if the sequencer refuses the session or has ended it already:
  // then endReason() says so. (Of one that is corrupt it may be true.)
  bool ready();
  // Once it is ready.
  Incarnation incarnation() const { return incarnation_; }

  // Offset of the batch's room in the lane's payload, or -1 when the lane is full. Over all lanes of the session batches
  // are begun in the order of their sequence: so a late batch has its room before any that waits for it.
  int64_t begin(uint32_t broker, uint64_t sequence);
  bool seal(uint32_t broker, const BatchToSeal& batch);
  void publish(uint32_t broker);

  uint64_t inFlight(uint32_t broker);
  uint64_t committedBatches() const;
  uint64_t committedMessages() const;
  // Of a durable topic: a count of entries of its index, among which are those of all messages that committedMessages() has
  // returned before. None while it cannot be read afresh, because another process takes the log over.
  std::optional<uint64_t> commitPoint() const;
  // The same: the entries below are on the disks of the required replicas. None before that is known; it never falls.
  std::optional<uint64_t> durableEntries() const;
  uint32_t endReason() const;  // EndReason
  uint64_t fullEvents() const;
  LaneFrontiers frontiers(uint32_t broker) const;
  uint64_t held() const;  // behind a gap; 0 while nothing is missing
  // The broker whose lane holds that batch unpublished, or -1.
  int32_t brokerHolding(uint64_t sequence) const;
  // Once the session was fenced or has outlived its lease, before close(): the sealed batches above the committed prefix, in
  // the order of their sequence.
  std::vector<UncommittedBatch> uncommitted() const;
  // Lets the sequencer trim for this session, even when nothing else changes.
  void wantRoom() const;
  // Declares that all batches are published, so that the session may end.
  void close();

  const Claim& claim() const { return claim_; }
  const Region& region() const { return *region_; }
  uint64_t laneOf(uint32_t broker) const { return region_->laneOf(broker, claim_.slot); }

 private:
  struct Sealed {
    uint64_t sequence;
    uint32_t messages;
    Written<Payload> payload;
  };

  struct Lane {
    uint64_t first = 0;     // written count when this session took over the lane
    uint64_t written = 0;   // absolute
    uint64_t published = 0;
    uint64_t released = 0;  // last read
    uint64_t position = 0;  // payload
    uint64_t payloadReleased = 0;  // last read
    bool began = false;
    uint64_t beganAt = 0;
    uint64_t beganSequence = 0;
    uint64_t writtenMessages = 0;
    uint64_t publishedMessages = 0;
    uint64_t fullEvents = 0;
    std::vector<Sealed> sealed;  // batches that are written, but not published
  };

  bool usable() const { return ready_ && !closed_ && !region_->closed() && endReason() == endNone; }
  bool takeOver(uint32_t broker, const LaneLine::Frontiers& at);
  bool runsShort(uint32_t broker, Lane& lane);
  void lookAtReleased(uint32_t broker, Lane& lane);
  bool fencedIn(uint64_t epoch) const;
  void copyUncommitted(uint32_t broker, std::vector<UncommittedBatch>& out) const;
  bool roomFor(const Lane& lane, uint64_t start) const;
  void lookAtCommitted() const;

  std::shared_ptr<Region> region_;
  role::LaneWriter role_;
  Claim claim_;
  bool ready_ = false;
  bool closed_ = false;
  Incarnation incarnation_{};
  // The last values seen for this session, kept when its line already belongs to another.
  mutable uint64_t committedBatches_ = 0;
  mutable uint64_t committedMessages_ = 0;
  mutable std::optional<uint64_t> durableEntries_{};
  mutable uint32_t endReason_ = endNone;
  std::vector<Lane> lanes_;
};

}  // namespace ringfence
