// Rings: one writer, many readers, frames of any length, each reader at its own pace.
//
//   RingSlot       ┌ claim  RingClaim        its writer                           (lock of the ring's slot)
//                  │ name   RingName         its name                             (names lock)
//                  │ lead   RingLead         how far it is published              (the writer)
//                  │ table  RingTable        counts attached and departed readers (all readers, atomically)
//                  └ wait   RingWait         whether the writer waits for room    (the writer)
//   RingReaderSlot ┌ claim  RingReaderClaim  the process that reads               (lock of the place)
//                  │ line   RingReaderLine   its cursors                          (the reader)
//                  └ fate   RingReaderFate   ended or evicted                     (the ring's writer)
//
//   data (ringBytes, mapped twice, so that a frame is contiguous)
//   ┌────────┬──────────┬─────┬───────────┐┌────────┬─ ─
//   │ frame  │ frame    │frame│  free     ││ the same bytes again
//   └────────┴──────────┴─────┴───────────┘└────────┴─ ─
//   Positions count bytes since the ring was created. They continue under the next writer, whose frames are a new
//   generation: a drain target is a position together with its ring and generation.
#pragma once

#include "layout.h"
#include "roles.h"

namespace ringfence {

class RingMemory;

constexpr uint32_t ringsMax = 1024;
constexpr uint32_t ringReadersMax = 128;
constexpr uint32_t readerNameBytes = 24;

// Read by processes that want to write the ring, and by its readers, which check whether that process lives.
struct alignas(lineBytes) RingClaim {
  uint64_t generation;  // counts the writers; published last, after the lead; 0 never written
  uint64_t processGeneration;
  uint64_t writerSeal;  // of generation, process and its generation: the death of another process ends nothing
  uint32_t process;     // with its generation: the process whose death ends it, and that is rung for room
  uint32_t reserved0;
  uint64_t reserved1[4];
};

// Read by processes that look for a ring by its name.
struct alignas(lineBytes) RingName {
  uint32_t naming;       // counts namings, twice each: odd while there is no name
  uint32_t seal;         // of the name; 0 no name was ever given
  char name[nameBytes];  // whole where `naming` is even, and unchanged after the name was read
  uint64_t reserved[3];
};

// Read by its readers and diagnostics.
struct alignas(lineBytes) RingLead {
  uint64_t position;      // published last: frames below are whole; absolute, in bytes
  uint64_t generation;    // of its writer; stands in for the claim's where that was damaged
  // of the generation that publishes nothing more (`closedMarkOf`); for a writer that died, the next writer sets it
  uint64_t closedMark;
  // the position that is published next, written ahead of it: between two writers both are the same
  uint64_t announced;
  uint64_t frames;        // published since the ring was born
  uint64_t fullEvents;    // how often a writer began to wait for room
  uint64_t evictions;     // how often a reader was evicted
  uint64_t reserved;
};

// The ring's bytes, of which `position` says how far they are written.
struct Frames { using Maker = RingMemory; using Role = role::RingWriter; using Passer = role::RingWriter; };
template <> struct Covers<RingLead> : Token<&RingLead::position, Frames> {};

// Written by each reader that takes a place, leaves it or comes back to it, with an atomic increment. Read by the
// ring's writer.
struct alignas(lineBytes) RingTable {
  // incremented by each reader that comes, leaves or comes back: only then the writer looks through all slots
  uint64_t readersVersion;
  uint64_t reserved[7];
};

// Read by each reader that releases room: apart from the lead, which changes with each publication and would come from the
// writer's core again for this word.
struct alignas(lineBytes) RingWait {
  uint32_t waitsForRoom;  // 1 while the writer waits: a reader that releases rings it
  uint32_t reserved0;
  uint64_t reserved1[7];
};

struct RingSlot {
  Line<RingClaim, role::Claimant> claim;  //   0
  Line<RingName, role::NameGiver> name;   //  64
  Line<RingLead, role::RingWriter> lead;  // 128
  HostLine<RingTable> table;              // 192
  Line<RingWait, role::RingWriter> wait;  // 256
};

// A ring has a writer of that generation only once its lead says where that writer begins.
template <> struct Covers<RingClaim> : Token<&RingClaim::generation, Line<RingLead, role::RingWriter>> {};

// Read by the ring's writer, by processes that look for a free place, and by diagnostics.
struct alignas(lineBytes) RingReaderClaim {
  uint64_t generation;         // above all generations that the place has had, those of the line too; published last
  uint64_t processGeneration;
  uint32_t process;            // with its generation: the process whose death ends it, and that is rung for data
  uint32_t reserved0;
  char name[readerNameBytes];  // named to a writer that waits
  uint64_t reserved1[2];
};

// Read by the ring's writer (`released`), and by processes that wait for a cursor.
struct alignas(lineBytes) RingReaderLine {
  // from here on the cursors of that generation count: the claim's, and a later one each time that the reader comes
  // back
  uint64_t attachedGeneration;
  uint64_t detachedGeneration;  // from here on they do not
  uint64_t read;                // taken from the ring
  uint64_t delivered;           // the handler of everything below has begun
  uint64_t handled;             // the handler of everything below has ended
  uint64_t released;            // the bytes below are no longer needed
  uint64_t baseline;            // where it began: what lies below is not its own
  uint64_t seal;                // of the others, while it is attached; published last
};

// Read by the reader, by the writer itself, and by processes that count readers.
struct alignas(lineBytes) RingReaderFate {
  uint64_t endedGeneration;    // that reader was seen dead: its cursors hold nothing
  uint64_t evictedGeneration;  // that reader lost its room; published last
  uint64_t evictedFrom;        // what it had released
  uint64_t evictedTo;          // the position published then; the reader begins again after it
  uint64_t reserved[4];
};

struct RingReaderSlot {
  Line<RingReaderClaim, role::Claimant> claim;  //   0
  Line<RingReaderLine, role::RingReader> line;  //  64
  Line<RingReaderFate, role::RingWriter> fate;  // 128
};

// A frame in the ring: this header, then the payload, then padding to eight bytes.
// Written by the ring's writer, in front of each payload. Read by the readers, in place
// (`src/layers/ring/FrameCodec.ts` has the same offsets and the same checksum): each field once, and no field is used
// before the length and the checksum are right.
struct FrameHeader {
  uint32_t length;            // header and payload, at most a quarter of the ring
  // below 16 the swarm's (`src/layers/swarm/transport/FrameAddress.ts`), 16 a message of a plain ring
  uint16_t kind;
  uint16_t flags;             // 1: another part of this message follows; 2: it continues the part before
  uint32_t type;              // which message or procedure it is, for kinds that have several
  uint32_t sender;            // process slot
  uint32_t senderGeneration;  // of that slot
  uint32_t checksum;          // of the other fields and of the frame's position
  double correlation;         // an integer below 2^53: the addressee, and which request
};

static_assert(sizeof(RingClaim) == 64 && sizeof(RingReaderClaim) == 64);
static_assert(sizeof(RingName) == 64 && sizeof(RingLead) == 64);
static_assert(sizeof(RingWait) == 64 && sizeof(RingSlot) == 320 && sizeof(RingReaderSlot) == 192);
static_assert(sizeof(FrameHeader) == 32);

constexpr uint64_t frameBytesOf(uint64_t payloadBytes) {
  return roundUp(sizeof(FrameHeader) + payloadBytes, 8);
}

}  // namespace ringfence
