// The ends of a log as their users have them, over simulated memory: what a batch holds follows from its session and its
// sequence alone, and the reader checks all that it gets.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "explore/world.h"
#include "log/claims.h"
#include "log/index_reader.h"
#include "log/lane_writer.h"
#include "log/sequencer/sequencer.h"
#include "log/topics.h"
#include "log_rest.h"

namespace ringfence::explore {

// The payload of each batch. With its table of lengths a batch is as large as it may be, an eighth of its lane, so that
// few batches make a lap.
constexpr uint32_t payloadBytes = 4080;

Geometry logGeometry(uint32_t clients = 1, uint32_t brokers = 1);

// The serving process: the sequencer on its thread, the broker's grants, and the look after the dead ten times a second.
class Serving {
 public:
  // Ahead of the schedule, as the server.
  explicit Serving(std::shared_ptr<Region> region, uint32_t copies = 0);

  Sequencer& sequencer() { return *sequencer_; }
  // Ahead of the schedule: passes are made until nothing moves.
  void settle();
  // What its event loop does, until the schedule is over; and what it does ten times a second.
  void look();
  void lookOnce();
  // When all actors have ended.
  void checkAtRest();

  std::function<void(const SessionReport&)> onReport;
  std::function<void(const DeadReader&)> onDead;

 private:
  bool batchesWait() const;

  Process& process_;
  std::shared_ptr<Region> region_;
  std::unique_ptr<Sequencer> sequencer_;
};

constexpr uint64_t recordsMax = 64;

// A publisher with one session, which stripes its batches over all brokers.
class Publishing {
 public:
  // Its lines are looked at when all actors have ended.
  static std::shared_ptr<Publishing> of(std::shared_ptr<Region> region, Claim claim);

  LaneWriter& lanes() { return lanes_; }
  uint64_t session() const { return lanes_.claim().clientId; }
  bool ready() { return isReady_ = lanes_.ready(); }
  uint32_t brokerOf(uint64_t sequence) const;
  // False when the session has ended.
  bool publish(uint64_t sequence, Sleeper* sleeper);
  // `pauseNanos`: how long it lets others run when it has its room, ahead of the payload.
  bool seal(uint64_t sequence, uint64_t pauseNanos = 0) { return sealIn(brokerOf(sequence), sequence, pauseNanos); }
  bool sealIn(uint32_t broker, uint64_t sequence, uint64_t pauseNanos = 0);
  // Publishes a sequence that it cannot have reached, for which its session ends.
  void lie(uint32_t broker);
  // Publishes a batch whose descriptor is damaged, for which its session ends.
  void publishDamaged(uint64_t sequence);
  // Checks what its diagnostics say against the bounds that its own counts give.
  void checkFrontiers();
  // Waits until that many batches are acknowledged, or the session has ended.
  void awaitAcknowledged(uint64_t batches, Sleeper& sleeper);

 private:
  Publishing(std::shared_ptr<Region> region, Claim claim);
  void checkAtRest();
  bool roomIsThere(uint32_t broker) const;

  std::shared_ptr<Region> region_;
  Process& process_;
  LaneWriter lanes_;
  bool isReady_ = false;
  std::vector<uint64_t> records_;  // that were sealed, by broker
};

// Whether a batch holds what its session wrote as that sequence.
void checkContents(const Region& region, const BatchView& view);
// The same of one whose bytes were copied to there.
void checkCopied(const BatchView& view, const uint8_t* bytes);

// The records of all batches ahead of that one.
uint64_t recordsAhead(uint64_t sequence);
// Whether a copy that was taken out of a lane holds what its session wrote as that sequence.
void checkCopy(uint64_t session, const UncommittedBatch& batch);

// A subscriber, and what it got.
class Subscribing {
 public:
  Subscribing(std::shared_ptr<Region> region, Claim claim, const ReaderKind& kind = {})
      : region_(std::move(region)), reader_(region_, 0, claim, 4, kind) {}

  IndexReader& reader() { return reader_; }
  bool attach(From from);
  // Takes what is there, or only looks at it. False when there is nothing.
  bool take();
  bool look();
  // Receives until it has that many batches.
  void receive(uint64_t batches, Sleeper& sleeper);
  bool more() { return reader_.committed() > reader_.next(); }
  // The same by the newest stores, which this reader may not see yet.
  bool moreIsThere() const;
  uint64_t count() const { return count_; }
  uint64_t firstPosition() const { return firstPosition_; }
  const std::map<uint64_t, uint64_t>& next() const { return next_; }

 private:
  void check(const BatchView& view);

  std::shared_ptr<Region> region_;
  IndexReader reader_;
  uint64_t count_ = 0;
  uint64_t firstPosition_ = 0;
  uint64_t position_ = 0;
  std::map<uint64_t, uint64_t> next_;  // by session: the sequence that follows
};

}  // namespace ringfence::explore
