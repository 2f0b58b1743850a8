// Taking slots of the shared tables: topics, sessions, readers. Each slot is claimed under a lock of its own, a new name
// under the names lock; both are tried without waiting (claim_locks.h).
#pragma once

#include <string>

#include "region/region.h"

namespace ringfence {

struct TopicView {
  uint32_t index;
  uint32_t order;
  uint32_t ack;
  std::string name;
};

// What lies in a slot of the topic table: `damaged` where it is not what was declared, so that its name is not known.
enum class TopicState { none, declared, damaged };
TopicState topicAt(const Region& region, uint32_t index, TopicView& topic);

// Without those that are damaged.
std::vector<TopicView> topicsOf(const Region& region);

struct Claim {
  uint32_t slot = 0;
  uint64_t generation = 0;
  uint64_t clientId = 0;  // of a session: its id
};

// `full` when every slot is taken; `busy`, with its holder, when only slots are left that other processes are taking at
// this moment, or when another one gives a new name: try again in a moment.
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic);
Status claimClient(Region& region, uint32_t topic, uint64_t brokerMask, Claim& claim);
Status claimReader(Region& region, uint32_t topic, const std::string& name, Claim& claim);

// True once the slot may be another session's: its last one has ended, or was given up before it was adopted.
bool sessionOver(const Region& region, uint32_t client, uint64_t generation);
// Session slots that come free as soon as the sequencer looks: their clients have closed, or are dead.
uint32_t sessionsEnding(const Region& region);
// Reader slots of the topic that come free as soon as the sequencer looks: their processes are dead.
uint32_t readersEnding(const Region& region, uint32_t topic);

}  // namespace ringfence
