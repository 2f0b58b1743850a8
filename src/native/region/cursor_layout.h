// Named cursors: how far a topic was read and handled, under a name that survives its readers and the server's processes.
//
//   CursorSlot   all of it, written under the slot's lock                of no epoch
//   StoredLine   a replica's word that its files have what cursors said  of a reader's place (layout.h)
#pragma once

#include <cstddef>
#include <cstdint>

#include "line.h"
#include "roles.h"

namespace ringfence {

constexpr uint32_t cursorsOfClient = 4;  // slots of cursors for each session slot
constexpr uint32_t cursorNameBytes = 64;

struct CursorSlot {
  // Read by subscribers that ask for the cursor, by replicas, and by diagnostics. Free without a name, once its topic's
  // generation is over, and once it has expired.
  struct alignas(lineBytes) Cursor {
    uint64_t topicGeneration;
    uint32_t topic;        // its place
    uint32_t nameLength;   // 0 no cursor
    uint64_t committed;    // position + 1: the records below are handled; 0 none
    uint32_t holding;      // counts those who had a cursor of this slot
    uint32_t changes;      // counts what was written here, may wrap
    uint64_t processGeneration;
    uint32_t process;      // with its generation: the process that holds it
    uint32_t held;         // 0 its last holder has left
    uint64_t touchedMillis;  // wall clock of the last opening, commit or leaving
    uint64_t expiresMillis;  // so long behind that it is forgotten, unless it is held
    uint64_t wantedMicros; // monotonic clock behind the last commit whose holder waits until it is on disks
    char name[cursorNameBytes];
    uint64_t reserved[6];
    uint64_t seal;         // of the others; published last
  };
  Line<CursorSlot::Cursor, role::Claimant> cursor;  //   0
  Line<CursorSlot::Cursor, role::Claimant> spare;   // 192
};

// Read by holders of cursors that wait for a durable commit.
struct alignas(lineBytes) StoredLine {
  uint64_t generation;        // of the reader's claim
  uint64_t replicaKey;        // which replica it is
  uint64_t replicasRequired;  // by its server
  uint64_t storedMicros;      // monotonic clock: what cursors said until then is in the replica's files
  uint64_t reserved[3];
  uint64_t seal;              // of the others; published last
};

static_assert(sizeof(CursorSlot) == 384 && sizeof(StoredLine) == 64);

}  // namespace ringfence
