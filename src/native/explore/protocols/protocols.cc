#include "explore/world.h"
#include "durable/cursors.h"
#include "durable/replicas.h"
#include "bells.h"
#include "identity.h"
#include "lanes.h"
#include "log.h"
#include "regions.h"
#include "ring.h"
#include "takeover.h"

namespace ringfence::explore {

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> all = {ringProtocol(), logProtocol(), lanesProtocol(), claimProtocol(), regionProtocol(), takeoverProtocol(),
                                            identityProtocol(), replicasProtocol(), cursorsProtocol(), bellProtocol()};
  return all;
}

}  // namespace ringfence::explore
