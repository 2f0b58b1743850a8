// Rings: one writer, many readers, frames of any length, each reader at its own pace.
//
//   RingSlot       ┌ claim  RingClaim        its writer                           (lock of the ring's slot)
//                  │ name   RingName         its name                             (names lock)
//                  │ lead   RingLead         how far it is published              (the writer)
//                  └ table  RingTable        counts attached and departed readers (all readers, atomically)
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

struct alignas(lineBytes) RingClaim {
  uint64_t generation;  // published last
  uint64_t processGeneration;
  uint64_t writerSeal;  // of the process, its generation, and the ring's generation
  uint32_t process;
  uint32_t reserved0;
  uint64_t reserved1[4];
};

struct alignas(lineBytes) RingName {
  uint32_t naming;  // advances by two with each name: odd while a name is being written
  uint32_t seal;    // of the name; 0 before the first one
  char name[nameBytes];
  uint64_t reserved[3];
};

struct alignas(lineBytes) RingLead {
  uint64_t position;  // frames below are published
  uint64_t generation;
  uint64_t closedMark;  // of the generation that has ended
  uint64_t announced;   // the next `position`, published ahead of it; equal once that is published
  uint64_t frames;
  uint64_t fullEvents;
  uint64_t evictions;
  uint32_t waitsForRoom;
  uint32_t reserved0;
};

// The ring's bytes, of which `position` says how far they are written.
struct Frames { using Maker = RingMemory; using Role = role::RingWriter; };
template <> struct Covers<&RingLead::position> { using Type = Frames; };

struct alignas(lineBytes) RingTable {
  uint64_t readersVersion;
  uint64_t reserved[7];
};

struct RingSlot {
  Line<RingClaim, role::Claimant> claim;  //   0
  Line<RingName, role::NameGiver> name;   //  64
  Line<RingLead, role::RingWriter> lead;  // 128
  HostLine<RingTable> table;              // 192
};

// A ring has a writer of that generation only once its lead says where that writer begins.
template <> struct Covers<&RingClaim::generation> { using Type = Line<RingLead, role::RingWriter>; };

struct alignas(lineBytes) RingReaderClaim {
  uint64_t generation;  // published last
  uint64_t processGeneration;
  uint32_t process;
  uint32_t reserved0;
  char name[readerNameBytes];
  uint64_t reserved1[2];
};

struct alignas(lineBytes) RingReaderLine {
  uint64_t attachedGeneration;  // not below the claim's: it advances where the reader comes back
  uint64_t detachedGeneration;
  uint64_t read;       // frames below are taken from the ring
  uint64_t delivered;  // handlers of frames below have begun
  uint64_t handled;    // handlers of frames below have ended
  uint64_t released;   // bytes below may be reused
  uint64_t baseline;   // where the reader began
  uint64_t seal;       // of the words before it, while it is attached; published last
};

struct alignas(lineBytes) RingReaderFate {
  uint64_t endedGeneration;    // of a reader that was found dead
  uint64_t evictedGeneration;  // of a reader that was too slow
  uint64_t evictedFrom;
  uint64_t evictedTo;
  uint64_t reserved[4];
};

struct RingReaderSlot {
  Line<RingReaderClaim, role::Claimant> claim;   //   0
  Line<RingReaderLine, role::RingReader> line;   //  64
  Line<RingReaderFate, role::RingWriter> fate;   // 128
};

// A frame in the ring: this header, then the payload, then padding to eight bytes.
struct FrameHeader {
  uint32_t length;  // of header and payload, without the padding
  uint16_t kind;
  uint16_t flags;
  uint32_t type;
  uint32_t sender;
  uint32_t senderGeneration;
  uint32_t checksum;  // of the other fields and the frame's position
  double correlation;
};

static_assert(sizeof(RingClaim) == 64 && sizeof(RingReaderClaim) == 64);
static_assert(sizeof(RingName) == 64 && sizeof(RingLead) == 64);
static_assert(sizeof(RingSlot) == 256 && sizeof(RingReaderSlot) == 192);
static_assert(sizeof(FrameHeader) == 32);

constexpr uint64_t frameBytesOf(uint64_t payloadBytes) {
  return roundUp(sizeof(FrameHeader) + payloadBytes, 8);
}

}  // namespace ringfence
