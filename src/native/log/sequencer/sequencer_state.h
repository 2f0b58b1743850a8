// The state of the order: plain data in the sequencer's own memory, with free functions over it, which pass() calls in
// turn. Only one thread at a time uses it (Sequencer).
//
//   in the block of the epoch          here
//   TopicLine, index entries           Topic: the counts, and the batch of each kept entry
//   LaneLine, descriptors in lanes     Lane: the frontiers, and the state of each slot
//   SessionLine, FactLine              Session: the acknowledged prefix, and what is committed ahead of a gap
//   IdentityLine                       IdentityRecord: the identity's session, and what was committed before it
//   nowhere                            held batches, the open epoch, the totals
//
// A successor recovers it from what is in the block (recovery.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "log/topics.h"
#include "region/region.h"
#include "reports.h"

namespace ringfence {

// Where the counts of a log begin. Tests begin high, as after a long life.
struct FirstCounts {
  uint64_t entries = 0, messages = 0;              // of each topic
  uint64_t laneIndex = 0, payloadPosition = 0;     // of each lane
  uint64_t batches = 0, sessionMessages = 0;       // of each session
};

struct SequencerOptions {
  uint64_t epochMicros = 500;
  bool manual = false;
  bool ignoreSessionOrder = false;
  uint64_t leaseMillis = 0;  // how long a gap of a session may last; 0: for ever
  uint32_t share = 4;        // lanes of a session, and free slots, that a pass between two sleeps looks at (Sweep::share)
  uint32_t copies = 0;       // replicas that must have a durable record; 0: as many as a former server said, or `ownReplicas`
  uint32_t ownReplicas = 0;  // that the serving process writes
  FirstCounts first{};
};

}  // namespace ringfence

namespace ringfence::sequencing {

constexpr size_t readyLimit = 4096;  // batches of one epoch

// How much of what clients may have written a pass looks at: all of it, or of what is mostly at rest a share, a next one in
// each pass.
enum class Sweep : uint8_t { whole, share };

// `unordered`: under order `none`, kept by the attached readers alone.
enum class Slot : uint8_t { none, held, ordered, unordered, done };

struct Pending {  // a descriptor, copied and checked
  uint64_t tag = 0;  // batch sequence + 1, 0 = empty
  uint64_t laneIndex = 0;
  uint64_t firstMessage = 0;
  uint64_t payloadPosition = 0;
  uint64_t publishedNanos = 0;
  uint32_t lane = 0;
  uint32_t payloadBytes = 0;
  uint32_t messages = 0;
  uint32_t uniformBytes = 0;
  bool emitted = false;
};

// Slots that a former epoch left behind the first one that is to be scanned again, from `Lane::scanned` on. Those that it
// ordered, or was done with, are passed as they are.
struct FoundSlots {
  uint64_t end = 0;                    // index behind the last of them
  uint64_t payloadEnd = 0;             // behind the last of them: where the slot's next owner begins
  uint64_t first = 0;
  std::vector<uint64_t> payloadEnds{};  // of each, from `first` on
};

struct Lane {
  uint64_t generation = 0;
  uint64_t scanned = 0;
  uint64_t released = 0;
  uint64_t payloadEnd = 0;
  uint64_t firstIndex = 0;
  uint64_t held = 0, ordered = 0, orderedMessages = 0, delivered = 0, deliveredMessages = 0;
  uint64_t duplicates = 0, purged = 0;
  std::optional<Seen<Payload>> payload{};  // of the scanned batches: their entries in the index cover it as well
  bool dirty = false;    // in `dirtyLanes`
  bool watched = false;  // in `watchedLanes`
  bool tail = false;     // the last scan ended at a slot that is not ready
  uint64_t trim = 0;         // under order `none`, as published
  uint64_t deliveredTo = 0;  // the same: counted as delivered up to here
  FoundSlots found{};
  bool broken = false;  // its line was damaged before a takeover: it is given to no other session
  uint64_t waitsFor = 0;  // sequence of a batch that the last scan left behind, too far ahead of its session; 0 = none
  // By slot:
  std::vector<Slot> state;
  std::vector<uint32_t> topic;
  std::vector<uint64_t> entry;
  std::vector<uint64_t> start;
  std::vector<uint32_t> messages;  // under order `none`
};

struct Session {
  uint64_t generation = 0;
  uint64_t id = 0;
  uint32_t topic = 0;
  uint64_t topicGeneration = 0;
  std::string topicName;
  uint32_t order = orderSession;
  uint32_t process = 0;
  uint64_t processGeneration = 0;
  bool active = false;
  bool ending = false;
  bool told = false;  // its end has been reported
  bool leaving = false;  // under order `none`: no reader needs it
  bool untaken = false;  // the same: it would end, but for a reader that has not taken its batches
  bool fenced = false;   // a newer session waits for its identity: it ends at once
  bool refused = false;  // it ended as it began, and was never adopted
  uint32_t endReason = endNone;
  uint64_t endedGeneration = 0;   // of the last ended session of this slot
  uint64_t expected = 0;          // next sequence to emit; all below it are emitted
  uint64_t expectedMessages = 0;
  uint64_t held = 0, heldTotal = 0, duplicates = 0, purged = 0;
  uint64_t gapSinceNanos = 0;
  uint64_t gapNanos = 0;         // counted towards the lease
  uint64_t gapCountedNanos = 0;  // monotonic clock of the pass that counted last; 0: none since the prefix moved
  uint64_t gapExpected = 0;      // the batch that was missing then
  uint32_t identity = 0;         // slot + 1, 0 none
  uint32_t incarnation = 0;      // of the identity, as the two below
  uint64_t identityGeneration = 0;
  uint64_t base = 0;             // records of the identity that were committed before the session
  uint64_t seen = 0, seenMessages = 0;  // under order `none`, which has no committed prefix
  bool dirty = false;
  uint32_t nextBroker = 0;  // whose lane the next scan begins with
  bool swept = false;       // the last pass has scanned all its lanes
  std::vector<Pending> window;
};

// An identity: its session, or what its sessions have committed.
struct IdentityRecord {
  uint64_t generation = 0;   // of the slot; 0: no session has had it yet
  uint32_t incarnation = 0;  // how many sessions had it
  uint32_t client = 0;       // slot + 1 of the session that has it, 0 none
  uint64_t sessionGeneration = 0;
  uint64_t base = 0;         // records committed before that session, or in all
  bool damaged = false;      // what it committed was lost to damage from outside
};

constexpr uint32_t noLane = ~0U;

struct Kept {  // the batch of an index entry
  uint32_t lane = 0;  // `noLane`: the entry was damaged before a takeover
  uint32_t messages = 0;
  uint64_t laneIndex = 0;
  uint64_t generation = 0;
};

struct Topic {
  std::string name;
  uint64_t generation = 0;
  uint64_t seal = 0;        // of the slot when it was adopted
  uint64_t mark = 0;        // published as Retention::freedMark
  bool free = false;        // until a next topic declared in its place is adopted
  bool named = false;       // declared by the server: it is never freed
  uint64_t usedNanos = 0;   // when its last session or dead reader ended
  uint64_t firstEntry = 0;
  uint32_t order = 0;
  uint32_t ack = 0;
  uint64_t committed = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t orderedNanos = 0;  // of the newest entry
  uint64_t pending = 0;  // emitted, not yet committed
  uint64_t trim = 0;
  uint64_t trimMessages = 0;
  uint64_t firmTrim = 0;  // as `trim`, once no reader needs what lies below
  uint64_t delivered = 0;
  uint64_t gating = 0;  // reader slot + 1
  uint64_t publishedGating = 0;
  uint64_t synced = 0;        // of a durable topic: entries below have been on a replica's disk
  bool unreplicated = false;  // the same: no reader holds the trim frontier back, but no replica has what would go
  bool publishedUnreplicated = false;
  uint64_t gatingSinceNanos = 0;
  bool dirty = false;
  std::vector<Kept> kept;
};

struct TopicPlaces {
  uint32_t free = 0;
  uint64_t wishAnswered = 0, wishRefused = 0;
};

struct Ready {
  uint32_t client;
  Pending batch;
};

struct Totals {
  uint64_t passes = 0, commits = 0, batches = 0, messages = 0, duplicates = 0, purged = 0;
};

struct SequencerState {
  const Region& region;
  const Publication publication;
  const role::Sequencer role;
  const Geometry geometry;
  const SequencerOptions options;
  uint64_t epoch = 0;
  uint64_t pulse = 0;
  uint32_t copies = 0;  // replicas that must have a durable record; 0: as many as replicas say

  std::vector<Topic> topics{};
  TopicPlaces places{};
  std::vector<Session> sessions{};  // by client slot
  std::vector<IdentityRecord> identities{};
  std::vector<Lane> lanes{};

  // What a pass goes through, so that its cost follows the work and not the geometry. The sequencer alone keeps it, and each
  // is complete: it is derived from the tables above, and from no hint of another process.
  std::vector<uint32_t> active{};        // the slots of active sessions, in their order
  std::vector<uint32_t> dirtyLanes{};    // changed since they were published; some may be in it twice, or clean again
  std::vector<uint32_t> watchedLanes{};  // may lack room: changed since they were found to have it
  uint32_t nextClaim = 0;                // the free slot that the next share begins with

  // The open epoch: emitted batches that are not committed yet.
  std::vector<Ready> ready{};
  uint64_t readySinceNanos = 0;

  uint32_t firstClient = 0;  // where the round robin begins
  bool roomWanted = false;
  bool leaseRuns = false;  // a gap counts towards the lease
  bool endsToTell = false;  // a session was fenced, or has outlived its lease
  std::vector<SessionReport> untold{};  // unreported ended sessions that have lost their slots
  Totals totals{};
};

// The lane's place in `lanes`.
inline uint32_t laneOf(const SequencerState& order, uint32_t broker, uint32_t client) {
  return static_cast<uint32_t>(order.region.laneOf(broker, client));
}

inline Lane& watch(SequencerState& order, Lane& lane) {
  if (!lane.watched) order.watchedLanes.push_back(static_cast<uint32_t>(&lane - order.lanes.data()));
  lane.watched = true;
  return lane;
}

// Of each change of the lane that its line shows.
inline void markDirty(SequencerState& order, Lane& lane) {
  if (!lane.dirty) order.dirtyLanes.push_back(static_cast<uint32_t>(&lane - order.lanes.data()));
  watch(order, lane).dirty = true;
}

void activate(SequencerState& order, uint32_t client);
void deactivate(SequencerState& order, uint32_t client);

// The state for a region in which no batch is ordered yet.
SequencerState emptyState(const Region& region, const SequencerOptions& options, role::Sequencer role);

}  // namespace ringfence::sequencing
