#include "explore/world.h"
#include "lanes.h"
#include "log.h"
#include "regions.h"
#include "ring.h"

namespace ringfence::explore {

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> all = {ringProtocol(), logProtocol(), lanesProtocol(), claimProtocol(), regionProtocol()};
  return all;
}

}  // namespace ringfence::explore
