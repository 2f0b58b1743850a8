// A subscriber's reading end of a topic of order `none`: scans the lanes of the topic's open sessions itself, as the
// sequencer would, and lends the payload that it finds. The sequencer is not on this path; it learns from the reader's
// cursors which room it may release.
//
//   lanes, by client and broker    A0 ─ A1 ─ B0 ─ B1 ─┐      a poll takes one batch of each in turn,
//                                   ▲                 │      until it has enough or finds none
//                                   └─────────────────┘
//
//   session line: open, leaving, ended ─► which lanes      lane line: trim ─► where to begin in them
//   descriptors: token, then fields    ─► the batches      cursor line ◄─ how far they are released
//
// Batches and records are numbered as they are found: the numbers are this reader's own.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "region/epochs.h"
#include "topic_reader.h"

namespace ringfence {

class LaneReader final : public TopicReader {
 public:
  // `pauses`: for how many milliseconds an attachment retries to read a torn line, as IndexReader's.
  LaneReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses = 250);
  ~LaneReader() override { detach(); }

  // `corrupt` when a line of the sequencer stays torn, `recovering` while the log has no server that can be believed. `From::position` begins at the start: there are no positions.
  Status attach(From from, uint64_t position) override;
  int32_t poll(BatchView* views, uint32_t max) override;
  void release(uint64_t released) override;
  void detach() override;

  uint64_t next() const override { return next_; }
  // One more than `next` while another batch can be polled.
  uint64_t committed() override;
  // Messages polled so far.
  uint64_t committedMessages() const override { return messages_; }

 private:
  struct Session {  // of a client slot
    uint64_t seal = 0;        // of its line as it was last read
    uint64_t generation = 0;  // whose lanes are followed; 0 none
    bool looked = false;      // its line was read since this reader attached
    bool damaged = false;     // it is about to end as corrupt: this reader must leave it first
  };
  struct Lane {
    uint32_t lane = 0;  // in the region
    uint64_t generation = 0;
    uint64_t sessionId = 0;
    uint64_t next = 0;   // the descriptor to take next
    uint64_t taken = 0;  // descriptors below are released
    uint64_t payloadEnd = 0;
    bool endKnown = false;  // `payloadEnd` is that of the batch before `next`
    bool left = false;      // of a damaged session: takes nothing more
  };
  struct Unreleased {
    uint32_t place;
    uint64_t generation;
    uint64_t laneIndex;
  };

  enum class Followed { all, torn, waits };

  bool ownsItsPlace() const;
  Followed follow();
  Followed follow(const Fenced& fenced);
  bool lookAt(const EpochView& view, uint32_t client, Session& session);
  bool enter(const EpochView& view, uint32_t client, const SessionLine::Acknowledged& line, bool atEnd);
  bool enterLane(uint64_t epoch, uint32_t at, const SessionLine::Acknowledged& line, bool atEnd, Lane& lane) const;
  void leave(uint32_t client);
  void markDamaged(Session& session, bool damaged);
  bool leaveDamaged();
  bool holds(uint32_t client) const;
  void listFollowed();
  // The right to read the payload of the next batch, if one is published and whole.
  std::optional<Seen<Payload>> peek(const Lane& lane, Descriptor& descriptor) const;
  bool take(Lane& lane, BatchView& view);
  uint32_t cursorOf(uint32_t place) const;
  LaneCursor cursorAt(uint32_t first) const;
  void publishCursor(uint32_t first) const;
  void keepCursors() const;
  bool lanesWhole() const;

  std::shared_ptr<Region> region_;
  role::IndexReader role_;
  uint32_t topic_;
  int pauses_;
  Claim claim_;
  bool atEnd_ = false;
  bool attached_ = false;
  std::vector<Session> sessions_;   // by client
  int64_t damaged_ = 0;             // how many of them are: a release must not look through all of them
  std::vector<Lane> lanes_;         // by place: client * brokers + broker
  std::vector<uint32_t> followed_;  // places, ascending
  uint32_t turn_ = 0;               // the place at which the next poll begins
  std::deque<Unreleased> unreleased_;
  uint64_t next_ = 0;
  uint64_t released_ = 0;
  uint64_t messages_ = 0;
};

}  // namespace ringfence
