// Identities: names that publishers give themselves in a topic, and that survive their processes and the server's.
//
//   IdentitySlot   the name, given under the names lock          of no epoch
//   IdentityLine   its session and what it committed             of the epoch's block, by the sequencer alone
#pragma once

#include <cstddef>
#include <cstdint>

#include "line.h"
#include "roles.h"

namespace ringfence {

constexpr uint32_t identitiesOfClient = 4;  // slots of identities for each session slot
constexpr uint32_t identityNameBytes = 64;

// Read by publishers, by the sequencer at an adoption, and by diagnostics. Free once its topic's generation is over.
struct IdentitySlot {
  uint64_t generation;       // counts the identities that were named here; published last
  uint64_t seal;             // of the fields below, and of the generation under which they were named; or `unnamedMarkOf`
  uint64_t topicGeneration;
  uint32_t topic;            // its place
  uint32_t nameLength;
  uint64_t base;             // records that were committed before its first session, of a restored one
  uint64_t reserved[3];
  char name[identityNameBytes];
};

struct IdentityLine {
  // Read by a successor and diagnostics.
  struct alignas(lineBytes) Standing {
    uint64_t generation;         // of the slot; the other fields belong to it
    uint64_t base;               // records that were committed before that session
    uint64_t sessionGeneration;  // with its slot: the session that has the identity
    uint32_t client;             // the session's slot + 1, 0 none: then all that it committed is in the base
    uint32_t incarnation;        // counts the sessions that had the identity
    uint32_t damaged;            // 1: what it committed was lost to damage from outside, and no session gets it any more
    uint32_t reserved0;
    uint64_t reserved[2];
    uint64_t seal;               // of the others; published last
  };
  Line<IdentityLine::Standing, role::Sequencer> standing;       //   0
  Line<IdentityLine::Standing, role::Sequencer> standingSpare;  //  64
};

static_assert(sizeof(IdentitySlot) == 128 && offsetof(IdentitySlot, name) == 64 && sizeof(IdentityLine) == 128);

}  // namespace ringfence
