// Every structure in a region, as one table: field, offset, writer. docs/memory-layout.md shows the same.
//
//   0          ┌──────────────────────────────┐
//              │ Header            (4 KiB)    │ identity, geometry, control, sequencer's doorbell
//              ├──────────────────────────────┤
//              │ ProcessSlot  × processes     │ attached processes; liveness is the byte lock, not these bytes
//              │ TopicSlot    × topics        │ declared topics
//              │ ClientSlot   × clients       │ sessions claimed and closed
//              │ GrantLine    × brokers·clients │ a broker's admission of a client
//              │ ReaderSlot   × topics·readers │ subscribers and their cursors
//              │ ProducerLine × brokers·clients │ a client's frontiers in its lane
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
//   EpochBlock  ┌ BlockHeader
//               │ TopicLine   × topics          committed count, trim frontier
//               │ SessionLine × clients         acknowledgements
//               │ LaneLine    × brokers·clients scanned, released
//               │ ReaderEnd   × topics·readers  readers found dead
//               └ IndexEntry  × topics·indexEntries
//
// Rules: one writer a line; positions are absolute counts; a token is never zero and names its owner's generation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "line.h"
#include "roles.h"

namespace ringfence {

constexpr size_t pageBytes = 4096;
constexpr uint64_t regionMagic = 0x52494e4746454e43ULL;  // "RINGFENC"
constexpr uint32_t layoutVersion = 6;

// The next multiple of a power of two.
constexpr uint64_t roundUp(uint64_t n, uint64_t unit) { return (n + unit - 1) & ~(unit - 1); }

constexpr uint32_t brokersMax = 32;
constexpr uint32_t clientsMax = 256;
constexpr uint32_t topicsMax = 64;
constexpr uint32_t readersMax = 64;
constexpr uint32_t processesMax = 512;
constexpr uint32_t topicNameBytes = 64;
constexpr uint32_t nameBytes = 32;

// Chosen when the region is created, fixed for its life.
struct Geometry {
  uint32_t brokers;
  uint32_t clients;
  uint32_t topics;
  uint32_t readers;
  uint32_t laneSlots;
  uint32_t indexEntries;
  uint32_t epochBlocks;
  uint32_t processes;
  uint64_t lanePayloadBytes;
  uint64_t batchBytes;
  uint32_t rings;  // 0: none
  uint32_t ringReaders;
  uint64_t ringBytes;
};

// Words that no likely damage turns into each other: a client that reads "stopped" waits for nothing more.
enum ServingState : uint32_t { servingNone = 0, servingActive = 0x56524553, servingStopped = 0x504f5453 };

struct Identity {  // written by the creator before the region is published
  uint64_t magic;
  uint32_t version;
  uint32_t reserved;
  uint64_t layoutHash;
  uint64_t regionBytes;
  uint64_t regionId[2];
  uint64_t bootId[2];
};

struct BirthLine {  // creator
  uint64_t createdMillis;
  uint32_t creatorPid;
  uint32_t coherence;
  uint64_t creatorPidNamespace;
  uint64_t reserved[4];
  uint64_t seal;  // of all that the creator writes: Identity, Geometry, and the words before it
};

struct ControlLine {  // the lease holder
  uint64_t epoch;
  uint32_t state;  // ServingState
  uint32_t sequencerProcess;
  uint64_t sequencerGeneration;
  uint64_t reserved[5];
};

struct BellLine {  // a doorbell: any process of the host bumps it, it carries no data
  uint32_t bell;
  uint32_t reserved[15];
};

// What a sleeper is to be rung for. So commits wake neither a server that only admits clients nor a process that waits
// for a ring.
enum SleepBits : uint32_t {
  awake = 0,
  sleepsForData = 1,  // the log's
  sleepsForRoom = 2,
  sleepsForAdmission = 4,
  sleepsForCursor = 8,
  sleepsForFrames = 16,  // of a ring
  sleepsForEnd = 32,     // of the log, with no other wait
  sleepsForAll = 63
};

struct SleepLine {  // the sleeper sets the bits; the process that rings it takes all at once
  uint32_t sleeps;
  uint32_t reserved[15];
};

struct TopicWishes {  // a process that declares a topic and finds no place, under the names lock
  uint64_t wanted;    // counts the requests for a place
  uint64_t reserved[6];
  uint64_t seal;
};

struct alignas(pageBytes) Header {
  Line<Identity, role::Creator> identity;          //   0
  Line<Geometry, role::Creator> geometry;          //  64
  Line<BirthLine, role::Creator> birth;            // 128
  Line<ControlLine, role::Sequencer> control;      // 192
  HostLine<BellLine> sequencerBell;                // 256
  HostLine<SleepLine> sequencerSleep;              // 320
  Line<TopicWishes, role::NameGiver> topicWishes;  // 384
};

// A process's progress with a claim's lock: a process that finds the lock held looks up its holder here.
enum ClaimState : uint32_t { claimNone = 0, claimWanted = 1, claimHeld = 2 };

struct ProcessOwner {   // the process that holds the slot's byte lock
  uint64_t generation;  // published last
  uint32_t pid;
  uint32_t naming;        // ClaimState of the names lock
  uint64_t pidNamespace;  // of `pid`; 0 unknown
  char name[nameBytes];
  uint64_t claiming;  // lock of the slot that it claims, times 4, plus its ClaimState; 0 none
};

struct ProcessSlot {
  Line<ProcessOwner, role::Process> owner;  //   0
  HostLine<BellLine> bell;                  //  64
  HostLine<SleepLine> sleep;                // 128
};

struct TopicSlot {      // the process that declares it, under the names lock
  uint64_t generation;  // counts the topics declared here; published last
  uint64_t seal;        // of the fields below and the generation under which they are declared; 0 none
  uint32_t order;
  uint32_t ack;
  uint32_t nameLength;
  uint32_t reserved0;
  uint64_t reserved[4];
  char name[topicNameBytes];
};

struct alignas(lineBytes) ClientClaim {  // the opening client, under the slot's lock
  uint64_t generation;                   // published last; with the slot it is the session's id
  uint64_t topicGeneration;
  uint64_t processGeneration;
  uint32_t process;
  uint32_t topic;
  uint64_t reserved[4];
};

struct ClientLine {            // the client; its slot's next session may close as well
  uint64_t closingGeneration;  // all batches are published, the session may end
  uint64_t reserved[7];
};

struct ClientSlot {
  Line<ClientClaim, role::Claimant> claim;  //  0
  HostLine<ClientLine> line;                // 64
};

struct alignas(lineBytes) GrantLine {  // the broker
  uint64_t grantedGeneration;
  uint64_t reserved[7];
};

struct alignas(lineBytes) ReaderClaim {  // the attaching subscriber, under the slot's lock
  uint64_t generation;                   // published last
  uint64_t processGeneration;
  uint32_t process;
  uint32_t reserved0;
  char name[nameBytes];
  uint64_t reserved1;
};

struct alignas(lineBytes) ReaderLine {  // the subscriber
  uint64_t cursor;                      // index entries that it has released
  uint64_t attachedGeneration;
  uint64_t detachedGeneration;
  uint64_t leftNanos;  // monotonic clock when it detached
  uint64_t reserved[4];
};

struct ReaderSlot {
  Line<ReaderClaim, role::Claimant> claim;   //  0
  Line<ReaderLine, role::IndexReader> line;  // 64
};

struct alignas(lineBytes) ProducerLine {  // the lane's client
  uint64_t generation;      // published last, when it takes the lane
  uint64_t writtenBatches;  // absolute, continues from the former owner
  uint64_t publishedBatches;
  uint64_t writtenMessages;  // of this generation
  uint64_t publishedMessages;
  uint64_t fullEvents;
  uint64_t reserved[2];
};

struct alignas(lineBytes) Descriptor {  // the lane's client; 64 bytes, one line
  uint64_t token;                       // published last
  uint64_t sessionKey;                  // session id << 16
  uint64_t batchSequence;
  uint64_t firstMessage;
  uint64_t payloadPosition;
  uint32_t payloadBytes;
  uint32_t messageCount;
  uint32_t uniformBytes;  // record length when all are equal, otherwise 0 and a table of lengths follows the records
  uint32_t crc;           // of the fields above except the token
  uint64_t publishedNanos;
};

// The records of a batch, and the table of their lengths: in the lane's payload.
struct Payload { using Maker = Region; using Role = role::LaneWriter; };
template <>
struct Covers<&Descriptor::token> { using Type = Payload; };

struct alignas(lineBytes) BlockHeader {  // the sequencer of that epoch, like all structures below
  uint64_t epoch;
  uint64_t process;
  uint64_t processGeneration;
  uint64_t passes;
  uint64_t commits;
  uint64_t wishesAnswered;  // the last answered request for a topic's place
  uint64_t wishesRefused;   // the last refused one
  uint64_t reserved[1];
};

struct TopicLine {
  struct alignas(lineBytes) Committed {
    uint64_t entries;
    uint64_t messages;
    uint64_t bytes;
    uint64_t reserved[4];
    uint64_t seal;  // of the words before it, as in each line that others rely on (sealed_line.h); published last
  };
  struct alignas(lineBytes) Retention {
    uint64_t trim;       // entries below are trimmed and must not be read
    uint64_t delivered;  // entries below are released by every attached reader
    uint64_t trimMessages;
    uint64_t gatingReader;  // slot + 1 of the reader that holds back the trim frontier, 0 = none
    uint64_t firstEntry;    // where this topic's entries begin, after those of the place's former topics
    uint64_t freedMark;     // of the generation whose place is free, or is being freed (topics.h)
    uint64_t reserved[1];
    uint64_t seal;
  };
  Line<TopicLine::Committed, role::Sequencer> committed;  //  0
  Line<TopicLine::Retention, role::Sequencer> retention;  // 64
};

// `endTopicGone`: the session's topic was freed before the sequencer adopted the session.
enum EndReason : uint32_t { endNone = 0, endClosed = 1, endDied = 2, endCorrupt = 3, endTopicGone = 4 };

struct SessionLine {
  struct alignas(lineBytes) Acknowledged {
    uint64_t generation;
    uint64_t batches;  // committed prefix
    uint64_t messages;
    uint64_t endedGeneration;
    uint32_t endReason;
    uint32_t reserved0;
    uint64_t reserved[2];
    uint64_t seal;
  };
  struct alignas(lineBytes) Pressure {
    uint64_t held;
    uint64_t heldTotal;
    uint64_t duplicates;
    uint64_t purged;
    uint64_t gapSinceNanos;  // 0 while there is no gap
    uint64_t reserved[3];
  };
  Line<SessionLine::Acknowledged, role::Sequencer> acknowledged;  //  0
  Line<SessionLine::Pressure, role::Sequencer> pressure;          // 64
};

struct LaneLine {
  struct alignas(lineBytes) Frontiers {
    uint64_t generation;
    uint64_t scanned;     // descriptors scanned
    uint64_t released;    // descriptors whose slot and payload may be reused
    uint64_t payloadEnd;  // payload position after the last scanned batch
    uint64_t payloadReleased;  // payload position below which all room may be reused
    uint64_t reserved[2];
    uint64_t seal;
  };
  struct alignas(lineBytes) Counts {  // of this generation, in batches and messages
    uint64_t held;
    uint64_t ordered;
    uint64_t orderedMessages;
    uint64_t delivered;
    uint64_t deliveredMessages;
    uint64_t duplicates;
    uint64_t purged;
    uint64_t firstIndex;  // scanned count when this generation began
  };
  Line<LaneLine::Frontiers, role::Sequencer> frontiers;  //  0
  Line<LaneLine::Counts, role::Sequencer> counts;        // 64
};

struct alignas(lineBytes) ReaderEnd {
  uint64_t endedGeneration;
  uint64_t reserved[7];
};

struct alignas(lineBytes) IndexEntry {  // two lines
  uint64_t token;
  uint64_t sessionKey;
  uint64_t batchSequence;
  uint64_t firstPosition;  // of its first message in the topic
  uint64_t firstMessage;   // of its first message in the session
  uint32_t messageCount;
  uint32_t payloadBytes;
  uint32_t lane;  // broker * clients + client
  uint32_t uniformBytes;
  uint64_t laneIndex;
  uint64_t seal;  // the token, mixed with a checksum of both lines; published last
  uint64_t payloadPosition;
  uint64_t publishedNanos;
  uint64_t orderedNanos;
  uint64_t reserved[4];
};

// The sequencer has seen the payload, and passes it on.
template <>
struct Covers<&IndexEntry::seal> { using Type = Payload; };

static_assert(sizeof(Geometry) == 64);
static_assert(sizeof(Identity) == 64 && sizeof(BirthLine) == 64 && sizeof(ControlLine) == 64);
static_assert(sizeof(Header) == pageBytes);
static_assert(offsetof(Header, control) == 192 && offsetof(Header, sequencerBell) == 256);
static_assert(offsetof(Header, sequencerSleep) == 320 && offsetof(Header, topicWishes) == 384);
static_assert(sizeof(ProcessOwner) == 64 && sizeof(ProcessSlot) == 192);
static_assert(sizeof(TopicSlot) == 128 && offsetof(TopicSlot, name) == 64);
static_assert(sizeof(ClientClaim) == 64 && sizeof(ClientSlot) == 128);
static_assert(sizeof(GrantLine) == 64);
static_assert(sizeof(ReaderClaim) == 64 && sizeof(ReaderSlot) == 128);
static_assert(sizeof(ProducerLine) == 64);
static_assert(sizeof(Descriptor) == 64 && offsetof(Descriptor, crc) == 52);
static_assert(sizeof(BlockHeader) == 64);
static_assert(sizeof(TopicLine) == 128 && sizeof(SessionLine) == 128 && sizeof(LaneLine) == 128);
static_assert(sizeof(ReaderEnd) == 64);
static_assert(sizeof(IndexEntry) == 128 && offsetof(IndexEntry, seal) == 64);

// Offsets of all arrays, computed from the geometry alone, so that creator and attacher agree by construction.
struct Layout {
  Geometry geometry;
  uint64_t processes, topics, clients, grants, readers, producers, descriptors;
  uint64_t blocks, blockBytes;
  uint64_t blockTopics, blockSessions, blockLanes, blockReaderEnds, blockIndex;  // relative to a block
  uint64_t ringSlots, ringReaderSlots;
  uint64_t payload, ringData, regionBytes;

  uint64_t lanes() const { return uint64_t{geometry.brokers} * geometry.clients; }
};

// What an attaching process reads of a header.
struct HeaderCopy {
  Identity identity;
  Geometry geometry;
  BirthLine birth;
  ControlLine control;
};
static_assert(offsetof(HeaderCopy, geometry) == offsetof(Header, geometry));
static_assert(offsetof(HeaderCopy, birth) == offsetof(Header, birth));
static_assert(offsetof(HeaderCopy, control) == offsetof(Header, control));

// The whole region as its creator laid it out: what a process that observes the magic number may map and read.
struct Whole {
  using Maker = Region;
  using Role = role::Creator;
};
template <>
struct Covers<&Identity::magic> {
  using Type = Whole;
};

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
