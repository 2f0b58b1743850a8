// The configurations of replicas: what is said to be durable is on disks.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol replicasProtocol();

}  // namespace ringfence::explore
