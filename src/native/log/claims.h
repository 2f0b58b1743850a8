// Taking slots of the shared tables of sessions and readers. Each slot is claimed under a lock of its own, which is tried
// without waiting (claim_locks.h).
#pragma once

#include <string>

#include "region/region.h"
#include "topics.h"

namespace ringfence {

struct Claim {
  uint32_t slot = 0;
  uint64_t generation = 0;
  uint64_t clientId = 0;  // of a session: its id
};

// `full` when every slot is taken; `busy`, with its holder, when only slots are left that other processes are taking at
// this moment: try again in a moment. A reader is told `gone` when the topic was freed; a session's end says so.
Status claimClient(Region& region, TopicPlace topic, uint64_t brokerMask, Claim& claim);
Status claimReader(Region& region, TopicPlace topic, const std::string& name, Claim& claim);

// True once the slot may be another session's: its last one has ended, or was given up before it was adopted.
bool sessionOver(const Region& region, uint32_t client, uint64_t generation);
// Session slots that come free as soon as the sequencer looks: their clients have closed, or are dead.
uint32_t sessionsEnding(const Region& region);
// Reader slots of the topic that come free as soon as the sequencer looks: their processes are dead.
uint32_t readersEnding(const Region& region, uint32_t topic);

}  // namespace ringfence
