// Identities and leases: sessions that are fenced by newer ones, or outlived, while they go on.
#pragma once

#include "explore/world.h"

namespace ringfence::explore {

Protocol identityProtocol();

}  // namespace ringfence::explore
