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
};

// `full` when every slot is taken; `busy`, naming the process, when other processes are just taking all remaining
// slots: try again soon. claimReader fails with `gone` when the topic has been freed; a session learns that by its end.
Status claimClient(Region& region, TopicPlace topic, Claim& claim);
Status claimReader(Region& region, TopicPlace topic, const std::string& name, Claim& claim);
// Gives a reader's place back: from here on its cursor holds nothing.
void leavePlace(const Region& region, uint32_t topic, uint32_t reader, uint64_t generation);

// True once another session may have the slot: its last one has ended, or was closed before it was adopted.
bool sessionOver(const Region& region, uint32_t client, uint64_t generation);
// Session slots that the sequencer will free with its next look: their clients have closed them or are dead.
uint32_t sessionsEnding(const Region& region);
// Reader slots of the topic that the sequencer will free with its next look: their processes are dead.
uint32_t readersEnding(const Region& region, uint32_t topic);

}  // namespace ringfence
