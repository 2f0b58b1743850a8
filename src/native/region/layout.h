// Every structure in a region, as one table: field, offset, writer. `npm run layout` writes the tables of
// docs/memory-layout.md from here: a field's comment is its meaning there, and a structure's says who reads it.
//
//   0          ┌──────────────────────────────┐
//              │ Header            (4 KiB)    │ identity, geometry, wishes for topics
//              ├──────────────────────────────┤
//              │ ProcessSlot  × processes     │ attached processes; liveness is the byte lock, not these bytes
//              │ TopicSlot    × topics        │ declared topics
//              │ IdentitySlot × 4·clients     │ names that publishers gave themselves
//              │ CursorSlot   × 4·clients     │ named cursors
//              │ ClientSlot   × clients       │ sessions claimed and closed
//              │ ReaderSlot   × topics·readers │ subscribers and their cursors
//              │ ProducerLine × brokers·clients │ a client's frontiers in its lane
//              │ LaneCursor   × topics·readers·clients·⌈brokers/4⌉ │ cursors in lanes whose topic has no order
//              │ Descriptor   × brokers·clients·laneSlots │ the lanes' descriptor rings
//              ├──────────────────────────────┤
//              │ EpochBlock   × epochBlocks   │ all that one sequencer epoch writes, and nothing else
//              ├──────────────────────────────┤
//              │ RingSlot       × rings       │ see ring_layout.h
//              │ RingReaderSlot × rings·ringReaders │
//              ├──────────────────────────────┤
//              │ payload      × brokers·clients │ the lanes' payload rings
//              │ ring data    × rings         │
//   regionBytes└──────────────────────────────┘
//
//   EpochBlock  ┌ EpochBlockHead                epoch, state, process; the sequencer's doorbell
//               │ TopicLine   × topics          committed count, trim frontier
//               │ SessionLine × clients         acknowledgements
//               │ IdentityLine × 4·clients      the sessions of identities, and what they committed
//               │ LaneLine    × brokers·clients scanned, released
//               │ GrantLine   × brokers·clients a broker's admission of a client
//               │ ReaderEnd   × topics·readers  readers found dead
//               │ FactLine    × clients·⌈window/8⌉ committed ahead of a gap, under order `total`
//               └ IndexEntry  × topics·indexEntries
//
// Rules: one writer a line; positions are absolute counts; a token is never zero and names its owner's generation. Lines
// that a successor reads exist twice: see sealed_line.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cursor_layout.h"
#include "doorbell_layout.h"
#include "identity_layout.h"
#include "line.h"
#include "roles.h"

namespace ringfence {

constexpr size_t pageBytes = 4096;
constexpr uint64_t regionMagic = 0x52494e4746454e43ULL;  // "RINGFENC"
constexpr uint32_t layoutVersion = 15;
// The next multiple of a power of two.
constexpr uint64_t roundUp(uint64_t n, uint64_t unit) { return (n + unit - 1) & ~(unit - 1); }
constexpr uint32_t brokersMax = 32;
constexpr uint32_t clientsMax = 256;
constexpr uint32_t topicsMax = 64;
constexpr uint32_t readersMax = 64;
constexpr uint32_t processesMax = 512;
constexpr uint32_t topicNameBytes = 64;
constexpr uint32_t nameBytes = 32;
constexpr uint32_t epochBlocksMax = 8;

// Chosen when the region is created, fixed for its life.
// Read by each process that attaches; from then on it uses its own copy.
struct Geometry {
  uint32_t brokers;
  uint32_t clients;           // session slots
  uint32_t topics;
  uint32_t readers;           // reader slots of each topic
  uint32_t laneSlots;         // descriptors of a lane, a power of two
  uint32_t indexEntries;      // index entries of a topic, a power of two
  uint32_t epochBlocks;
  uint32_t processes;         // process slots
  uint64_t lanePayloadBytes;  // payload ring of a lane, a power of two
  uint64_t batchBytes;        // the largest batch, a power of two, at most 1/8 of a lane
  uint32_t rings;             // 0: none, and the two below mean nothing
  uint32_t ringReaders;       // reader slots of each ring
  uint64_t ringBytes;         // data of a ring, a power of two, at least a page
};

// Read by each process that attaches, and by `ringfence doctor`.
struct Identity {
  uint64_t magic;        // `regionMagic`; published last, after a fence
  uint32_t version;      // `layoutVersion`
  uint32_t reserved;
  uint64_t layoutHash;   // over the sizes and offsets of the structures
  uint64_t regionBytes;  // size of the whole
  uint64_t regionId[2];  // random
  uint64_t bootId[2];    // of the host's boot: a region of another is refused
};

// Read by each process that attaches, and by `ringfence doctor`.
struct BirthLine {
  uint64_t createdMillis;        // wall clock
  uint32_t creatorPid;
  uint32_t coherence;            // how writes are made visible: 0 coherent, 1 flushed
  uint64_t creatorPidNamespace;  // inode of the pid namespace that `creatorPid` counts in
  uint64_t reserved[4];
  uint64_t seal;                 // of `Identity`, `Geometry`, and the words before it
};

// Read by the sequencer, which answers in its `ServiceLine`.
struct TopicWishes {
  uint64_t wanted;  // counted up by each that asks for a place
  uint64_t reserved[6];
  uint64_t seal;    // of the others; published last
};

struct alignas(pageBytes) Header {
  Line<Identity, role::Creator> identity;          //   0
  Line<Geometry, role::Creator> geometry;          //  64
  Line<BirthLine, role::Creator> birth;            // 128
  Line<TopicWishes, role::NameGiver> topicWishes;  // 192
  HostLine<CursorWaiters> cursorWaiters[cursorWaiterLines];  // 256
};

// A process's progress with a claim's lock: a process that finds the lock held looks up its holder here.
enum ClaimState : uint32_t { claimNone = 0, claimWanted = 1, claimHeld = 2 };

// Read by processes that ask whether it lives, by diagnostics, and by processes that ring it.
struct ProcessOwner {
  uint64_t generation;    // published last; 0 never taken
  uint32_t pid;           // for people; no decision depends on it
  uint32_t naming;        // 1 it wants the names lock, 2 it has it; only for errors
  uint64_t pidNamespace;  // inode of the one `pid` counts in
  char name[nameBytes];
  uint64_t claiming;      // (lock − first slot lock + 1) × 4, and 1 or 2 as above; only for errors
};

struct ProcessSlot {
  Line<ProcessOwner, role::Process> owner;  //   0
  HostLine<BellLine> bell;                  //  64  rings the process
  HostLine<SleepLine> sleep;                // 128  what the process sleeps for
};

// Read by all.
struct TopicSlot {
  uint64_t generation;  // counts the topics that were declared here; published last
  uint64_t seal;        // of the fields below, and of the generation under which they are declared; 0 none
  uint32_t order;       // 0 `none`, 2 `total`, 5 `session`
  uint32_t ack;         // 0 `none`, 1 `ordered`, 2 `durable`
  uint32_t nameLength;
  uint32_t reserved0;
  uint64_t baseEntries;   // of a restored topic: entries that its index had before, and its counts begin there
  uint64_t baseMessages;  // messages of these entries
  uint64_t baseNanos;     // when the last of them was committed, in wall clock
  uint64_t reserved[1];
  char name[topicNameBytes];
};

// Read by the sequencer, the brokers and diagnostics.
struct alignas(lineBytes) ClientClaim {
  uint64_t generation;       // published last; with the slot, the session's id
  uint64_t topicGeneration;  // of the place `topic`: another is refused
  uint64_t processGeneration;
  uint32_t process;          // with its generation: the process whose death ends it
  uint32_t topic;            // its place
  uint64_t identityGeneration;
  uint64_t continues;        // the incarnation that it continues; 0: it is a newer one, and fences the present one
  uint32_t identity;         // the identity's slot + 1, 0 none
  uint32_t reserved0;
  uint64_t reserved[1];
};

// Read by the sequencer, and by processes that claim a slot.
struct alignas(lineBytes) ClientLine {
  uint64_t closingGeneration;  // everything is published: that generation may be ended, its lanes may be another's
  uint64_t reserved[7];
};

struct ClientSlot {
  Line<ClientClaim, role::Claimant> claim;  //   0
  Line<ClientLine, role::LaneWriter> line;  //  64
};

// Read by the client, which writes to no lane before all are granted.
struct alignas(lineBytes) GrantLine {
  uint64_t grantedGeneration;  // the session of that generation may use the lane
  uint64_t reserved[7];
};

// Read by the sequencer and diagnostics.
struct alignas(lineBytes) ReaderClaim {
  uint64_t generation;   // published last
  uint64_t processGeneration;
  uint32_t process;      // with its generation: the process whose death ends it
  uint32_t reserved0;
  char name[nameBytes];  // named in the errors of publishers
  uint64_t reserved1;
};

// Read by the sequencer and diagnostics.
struct alignas(lineBytes) ReaderLine {
  uint64_t cursor;              // index entries below are no longer needed, 2^64 - 1: none are; under order `none` batches released
  uint64_t attachedGeneration;  // from here on the cursor of that generation holds
  uint64_t detachedGeneration;  // from here on it does not
  uint64_t leftNanos;           // monotonic clock when the last one detached
  uint64_t replicaKey;          // of a replica's reader: which replica it is
  uint64_t replicasRequired;    // the same: by its server
  uint64_t syncedSeal;          // of the two above, the generation and the cursor: what lies below that is on the replica's disk
  uint64_t read;                // of a reader that needs none: index entries below are read. For reports
};

struct ReaderSlot {
  Line<ReaderClaim, role::Claimant> claim;   //   0
  Line<ReaderLine, role::IndexReader> line;    //  64
  Line<StoredLine, role::IndexReader> stored;  // 128
};

// Read by diagnostics; no decision depends on it.
struct alignas(lineBytes) ProducerLine {
  uint64_t generation;         // of the session; published last, when it takes the lane
  uint64_t writtenBatches;     // absolute, continues from the former owner's
  uint64_t publishedBatches;   // absolute
  uint64_t writtenMessages;    // of this generation
  uint64_t publishedMessages;  // of this generation
  uint64_t fullEvents;         // how often there was no room
  uint64_t reserved[2];
};

constexpr uint32_t lanesOfCursor = 4;
// Read by the sequencer and diagnostics. It counts only while both generations are those of the present: otherwise the
// subscriber has not looked at the session yet, and holds all of it.
struct alignas(lineBytes) LaneCursor {
  uint64_t sessionGeneration;     // of the lanes' session
  uint64_t readerGeneration;      // of the subscriber's claim
  uint64_t leftGeneration;        // of a damaged session: the subscriber holds nothing of it, and takes nothing more
  uint64_t taken[lanesOfCursor];  // by broker: descriptors of the lane below are no longer needed
  uint64_t seal;                  // of the others ([Seals](#seals)); published last
};

// Read by the sequencer, and under order `none` by subscribers, once, into their own memory.
struct alignas(lineBytes) Descriptor {
  uint64_t token;            // published last: `readyToken(written count, generation)`
  uint64_t sessionKey;       // session id × 2^16
  uint64_t batchSequence;    // of the session, over all its lanes, from 0
  uint64_t firstMessage;     // of the session, from 0
  uint64_t payloadPosition;  // absolute
  uint32_t payloadBytes;     // of the records, without the table
  uint32_t messageCount;
  uint32_t uniformBytes;     // length of every record, 0 when the table tells the lengths
  uint32_t crc;              // CRC-32C of bytes 8 to 51
  uint64_t publishedNanos;   // wall clock when the batch was sealed; its token may follow later
};

// The records of a batch, and the table of their lengths: in the lane's payload.
struct Payload { using Maker = Region; using Role = role::LaneWriter; using Passer = role::Sequencer; };
template <>
struct Covers<Descriptor> : Token<&Descriptor::token, Payload> {};

// `unknown` is in no block: the head was damaged.
enum class EpochState : uint32_t { free = 0, announced = 1, serving = 2, stopped = 3, unknown = 4 };

// Read by all: the largest epoch of all heads is the present one.
struct alignas(lineBytes) BlockHead {
  uint64_t word;               // epoch × 2^24, state × 2^16, and a checksum of these; published after the fields below
  uint64_t again;              // the same: where `word` is damaged, this one holds
  uint64_t processGeneration;  // of the slot
  uint32_t process;            // slot of the epoch's process
  uint32_t pid;                // for people; no decision depends on it
  uint64_t pidNamespace;       // inode of the one `pid` counts in
  uint64_t source;             // the epoch that it continues; 0 none
  uint64_t reserved[2];
};

// Read by processes that wait for a topic's place or for replicas, by standbys and by diagnostics.
struct alignas(lineBytes) ServiceLine {
  uint64_t pulse;           // counts up while the epoch's process runs, also while its sequencer sleeps
  uint64_t passes;          // over the lanes
  uint64_t commits;
  uint64_t wishesAnswered;  // `wanted` as it was answered last
  uint64_t wishesRefused;   // the same, where no topic could be freed
  uint64_t copies;          // replicas that must have a durable record × 2^32, and a checksum of these
  uint64_t copiesAgain;     // the same: where `copies` is damaged, this one holds
  uint64_t reserved[1];
};

struct EpochBlockHead {
  Line<BlockHead, role::Sequencer> head;        //   0
  Line<ServiceLine, role::Sequencer> service;   //  64
  HostLine<BellLine> bell;                      // 128  rings the sequencer
  HostLine<SleepLine> sleep;                    // 192  what the sequencer sleeps for
};

struct TopicLine {
  // Read by subscribers and diagnostics.
  struct alignas(lineBytes) Committed {
    uint64_t entries;  // index entries below are there
    uint64_t messages;
    uint64_t bytes;
    uint64_t orderedNanos;  // of the newest entry: none gets an older time
    uint64_t reserved[3];
    uint64_t seal;     // of the others; published last
  };
  // Read by subscribers that attach, and by diagnostics.
  struct alignas(lineBytes) Retention {
    uint64_t trim;          // entries below must not be read; taken back when a reader attached meanwhile
    uint64_t trimMessages;  // messages below `trim`
    uint64_t gatingReader;  // reader slot + 1 that holds the trim frontier back, 0 none
    uint64_t firstEntry;    // where this topic's entries begin, after those of the former topics
    uint64_t freedMark;     // `freedMarkOf` the generation whose place is free, or was; or `freeingMarkOf`
    uint64_t firmTrim;      // no attached reader needs what lies below: never taken back
    uint64_t unreplicated;  // 1: no reader holds the trim frontier back, but no replica has what lies above
    uint64_t seal;          // of the others; published last
  };
  // Read by a successor.
  struct alignas(lineBytes) Adoption {
    uint64_t generation;  // of the topic that the sequencer knows there
    uint64_t slotSeal;    // of the topic's slot
    uint32_t order;       // 0 `none`, 2 `total`, 5 `session`
    uint32_t named;       // 1 it was declared by the server, and is never freed
    uint64_t ack;         // 0 `none`, 1 `ordered`, 2 `durable`
    uint64_t reserved[3];
    uint64_t seal;        // of the others; published last
  };
  Line<TopicLine::Committed, role::Sequencer> committed;       //   0
  Line<TopicLine::Retention, role::Sequencer> retention;       //  64
  Line<TopicLine::Adoption, role::Sequencer> adoption;         // 128
  Line<TopicLine::Committed, role::Sequencer> committedSpare;  // 192
  Line<TopicLine::Retention, role::Sequencer> retentionSpare;  // 256
};

// `endTopicGone`: its topic was freed before the sequencer adopted the session. `endOutlived`: a gap lasted longer than the
// lease. `endFenced`: a newer session has its identity; also of one that was not adopted, because it came too late.
enum EndReason : uint32_t {
  endNone = 0, endClosed = 1, endDied = 2, endCorrupt = 3, endTopicGone = 4, endOutlived = 5, endFenced = 6
};

struct SessionLine {
  // Read by the session's client, by the brokers, by clients that look for a free slot, and by diagnostics.
  struct alignas(lineBytes) Acknowledged {
    uint64_t generation;       // that was adopted; the other fields belong to it
    uint64_t batches;          // committed prefix; the next is expected
    uint64_t messages;         // of that prefix: what is acknowledged
    uint64_t endedGeneration;  // its slot may be taken
    uint32_t endReason;        // 1 closed, 2 died, 3 corrupt (also ahead of the end), 4 its topic was freed, 5 outlived, 6 fenced
    uint32_t unordered;        // place of its topic + 1 if that has order `none`, otherwise 0
    uint64_t leavingGeneration;  // under order `none`: no attached reader needs it; taken back when one attached meanwhile
    uint64_t reserved[1];
    uint64_t seal;             // of the others; published last
  };
  // Read by the session's client and diagnostics.
  struct alignas(lineBytes) Pressure {
    uint64_t held;           // batches that wait for an earlier one, now
    uint64_t heldTotal;      // batches that had to wait for an earlier one, ever
    uint64_t duplicates;     // dropped
    uint64_t purged;         // dropped behind a gap when the session ended
    uint64_t gapSinceNanos;  // monotonic clock, 0 while there is no gap
    uint64_t reserved[3];
  };
  // Read by a successor; of its identity by the session's client.
  struct alignas(lineBytes) Adoption {
    uint64_t generation;        // that was adopted; as in the claim, which may have been damaged since
    uint64_t topicGeneration;
    uint64_t processGeneration;
    uint32_t process;
    uint32_t topic;             // its place
    uint16_t order;             // 0 `none`, 2 `total`, 5 `session`
    uint16_t identity;          // the identity's slot + 1, 0 none
    uint32_t incarnation;       // of the identity
    uint64_t identityGeneration;
    uint64_t base;              // records of the identity that were committed before the session
    uint64_t seal;              // of the others; published last
  };
  Line<SessionLine::Acknowledged, role::Sequencer> acknowledged;       //   0
  Line<SessionLine::Pressure, role::Sequencer> pressure;               //  64
  Line<SessionLine::Adoption, role::Sequencer> adoption;               // 128
  Line<SessionLine::Acknowledged, role::Sequencer> acknowledgedSpare;  // 192
};

constexpr uint32_t factsOfLine = 8;
// Read by a successor. A word for each place of the session's window, of a batch that is committed while an earlier one
// is missing: the low half of its sequence number × 2^32, and its messages. It stays until the place's next batch.
struct alignas(lineBytes) FactLine {
  uint64_t facts[factsOfLine];
};

struct LaneLine {
  // Read by the lane's client, when it takes the lane and when it looks for room, by diagnostics, and under order `none`
  // by subscribers, when they find the session.
  struct alignas(lineBytes) Frontiers {
    uint64_t generation;       // of the session; read under order `none`
    uint64_t scanned;          // descriptors seen
    uint64_t released;         // below, slots and payload may be used again
    uint64_t payloadEnd;       // payload position after the last scanned batch
    uint64_t payloadReleased;  // payload position below which all room may be used again
    uint64_t trim;             // under order `none`: not to be read below; taken back when a reader attached meanwhile
    uint64_t firstIndex;       // scanned count when this generation began
    uint64_t seal;             // of the others; published last
  };
  // Read by diagnostics.
  struct alignas(lineBytes) Counts {
    uint64_t held;
    uint64_t ordered;
    uint64_t orderedMessages;
    uint64_t delivered;
    uint64_t deliveredMessages;
    uint64_t duplicates;
    uint64_t purged;
    uint64_t firstIndex;  // scanned count when this generation began
  };
  Line<LaneLine::Frontiers, role::Sequencer> frontiers;       //   0
  Line<LaneLine::Counts, role::Sequencer> counts;             //  64
  Line<LaneLine::Frontiers, role::Sequencer> frontiersSpare;  // 128
};

// Read by the sequencer, by subscribers that look for a free slot, and by diagnostics.
struct alignas(lineBytes) ReaderEnd {
  uint64_t endedGeneration;  // that reader is dead: its cursor holds nothing
  uint64_t reserved[7];
};

// Read by subscribers, once, into their own memory.
struct alignas(lineBytes) IndexEntry {
  uint64_t token;            // `readyToken(entry number, epoch)`
  uint64_t sessionKey;       // session id × 2^16
  uint64_t batchSequence;    // in the session
  uint64_t firstPosition;    // of its first message in the topic: dense
  uint64_t firstMessage;     // of its first message in the session
  uint32_t messageCount;
  uint32_t payloadBytes;
  uint32_t lane;             // where the records are
  uint32_t uniformBytes;
  uint64_t payloadPosition;  // absolute
  uint64_t seal;             // `token` xor the checksums of both lines; published last
  uint64_t publishedNanos;   // of the descriptor
  uint64_t orderedNanos;     // wall clock when its epoch was committed; never before that of an earlier entry
  uint64_t laneIndex;        // of its descriptor in the lane
  uint64_t identityGeneration;
  uint64_t identityRecord;   // its first message among all of its identity
  uint32_t identity;         // the identity's slot + 1, 0 none
  uint32_t incarnation;      // of the identity
  uint64_t reserved[1];
};

// The sequencer has seen the payload, and passes it on.
template <>
struct Covers<IndexEntry> : Token<&IndexEntry::seal, Payload> {};

static_assert(sizeof(Geometry) == 64 && sizeof(Identity) == 64 && sizeof(BirthLine) == 64);
static_assert(sizeof(Header) == pageBytes && offsetof(Header, cursorWaiters) == 256 && sizeof(ProcessOwner) == 64);
static_assert(sizeof(ProcessSlot) == 192 && sizeof(TopicSlot) == 128 && offsetof(TopicSlot, name) == 64);
static_assert(sizeof(ClientClaim) == 64 && sizeof(ClientSlot) == 128 && sizeof(GrantLine) == 64);
static_assert(sizeof(ReaderClaim) == 64 && sizeof(ReaderSlot) == 192 && sizeof(ProducerLine) == 64);
static_assert(sizeof(LaneCursor) == 64 && sizeof(Descriptor) == 64 && offsetof(Descriptor, crc) == 52);
static_assert(sizeof(BlockHead) == 64 && sizeof(ServiceLine) == 64 && sizeof(EpochBlockHead) == 256);
static_assert(sizeof(TopicLine) == 320 && sizeof(SessionLine) == 256 && sizeof(LaneLine) == 192);
static_assert(sizeof(FactLine) == 64 && sizeof(ReaderEnd) == 64 && sizeof(IndexEntry) == 128 && offsetof(IndexEntry, seal) == 64);

// Offsets of all arrays, computed from the geometry alone, so that creator and attacher agree by construction.
struct Layout {
  Geometry geometry;
  uint64_t processes, topics, identitySlots, cursorSlots, clients, readers, producers, laneCursors, descriptors;
  uint64_t blocks, blockBytes;
  uint64_t blockTopics, blockSessions, blockIdentities, blockLanes, blockGrants, blockReaderEnds, blockFacts, blockIndex;  // relative to a block
  uint64_t ringSlots, ringReaderSlots;
  uint64_t payload, ringData, regionBytes;

  // Places of a session's window: as many as its lanes hold batches, rounded up to a power of two.
  uint64_t windowPlaces() const {
    uint64_t places = factsOfLine;
    while (places < uint64_t{geometry.brokers} * geometry.laneSlots) places <<= 1;
    return places;
  }
  uint64_t factLines() const { return windowPlaces() / factsOfLine; }  // of a session
  uint32_t identities() const { return identitiesOfClient * geometry.clients; }
  uint32_t cursors() const { return cursorsOfClient * geometry.clients; }
  uint64_t lanes() const { return uint64_t{geometry.brokers} * geometry.clients; }
  // The lines of a subscriber's cursors in the lanes of a session, and where a lane's is in its line.
  uint64_t cursorLines() const { return (geometry.brokers + lanesOfCursor - 1) / lanesOfCursor; }
  uint64_t cursorAt(uint64_t lane) const { return lane / geometry.clients % lanesOfCursor; }
};

// The whole region as its creator laid it out: what a process that observes the magic number may map and read.
struct Whole {
  using Maker = Region;
  using Role = role::Creator;
  using Passer = role::Creator;
};
template <>
struct Covers<Identity> : Token<&Identity::magic, Whole> {};

// Bytes of a batch in its lane: the records and, when their lengths differ, a table of lengths on a 4-byte boundary.
constexpr uint64_t batchBytesOf(uint64_t payloadBytes, uint64_t messages, uint32_t uniformBytes) {
  return uniformBytes != 0 ? payloadBytes : ((payloadBytes + 3) & ~uint64_t{3}) + messages * sizeof(uint32_t);
}

// A session's id, unique in the region for ever. It has the 48 bits that a session key has room for.
constexpr uint64_t sessionIdOf(const Geometry& geometry, uint32_t slot, uint64_t generation) {
  return ((generation - 1) * geometry.clients + slot + 1) & ((uint64_t{1} << 48) - 1);
}

// False when a count is outside its limits or the sizes do not fit together.
bool geometryValid(const Geometry& geometry);
Layout layoutOf(const Geometry& geometry);
uint64_t layoutHash();

}  // namespace ringfence
