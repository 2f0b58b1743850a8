// Claims slots of the shared tables of sessions and readers, each under its own lock, which is tried without waiting
// (claim_locks.h).
#pragma once

#include <string>

#include "region/region.h"
#include "topics.h"

namespace ringfence {

struct Claim {
  uint32_t slot = 0;
  uint64_t generation = 0;
  uint64_t clientId = 0;  // of a session: its id
  bool unordered = false;  // its topic has order `none`
  bool durable = false;    // its topic has ack `durable`
  uint32_t topic = 0;      // its place
};

// The identity that a session claims: a newer claim fences the session that has it, and one that continues the incarnation
// of a former session of this publisher gets it only while no newer one had it.
struct IdentityClaim {
  int64_t slot = -1;  // negative: none
  uint64_t generation = 0;
  uint64_t continues = 0;
};

// `full` when every slot is taken; `busy`, naming the process, when other processes are just taking all remaining
// slots: try again soon. claimReader fails with `gone` when the topic has been freed; a session learns that by its end.
Status claimClient(Region& region, TopicPlace topic, Claim& claim, const IdentityClaim& identity = {});
Status claimReader(Region& region, TopicPlace topic, const std::string& name, Claim& claim);
// Gives a reader's place back: from here on its cursor holds nothing.
void leavePlace(const Region& region, uint32_t topic, uint32_t reader, uint64_t generation);

// True once the session of that generation has ended, or was closed before it was adopted.
bool sessionOver(const Region& region, uint32_t client, uint64_t generation);
// The slot of a session that is over is free once its client cannot write in the lanes any more: it has closed the slot,
// or is dead. Until then the slot is quarantined.
//
//   in use ── ended ──► quarantined ── closed by its client, or that dies ──► free
//     └────── closed by its client ── ended ─────────────────────────────────► free
enum class SlotState { free, inUse, quarantined };
SlotState slotState(const Region& region, uint32_t client);
// Session slots that the sequencer will free with its next look: their clients have closed them or are dead.
uint32_t sessionsEnding(const Region& region);
// Reader slots of the topic that the sequencer will free with its next look: their processes are dead.
uint32_t readersEnding(const Region& region, uint32_t topic);

}  // namespace ringfence
