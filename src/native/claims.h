// Taking slots of the shared tables: topics, sessions, readers. All under the claims lock, tried without waiting.
#pragma once

#include <string>

#include "region.h"

namespace ringfence {

struct TopicView {
  uint32_t index;
  uint32_t order;
  uint32_t ack;
  std::string name;
};

std::vector<TopicView> topicsOf(const Region& region);

struct Claim {
  uint32_t slot = 0;
  uint64_t generation = 0;
  uint64_t clientId = 0;
};

// `busy` when somebody else holds the claims lock: try again in a moment. `full` when every slot is taken.
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic);
Status claimClient(Region& region, uint32_t topic, uint64_t brokerMask, Claim& claim);
Status claimReader(Region& region, uint32_t topic, const std::string& name, Claim& claim);

}  // namespace ringfence
