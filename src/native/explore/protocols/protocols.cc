#include "explore/world.h"
#include "log.h"
#include "ring.h"

namespace ringfence::explore {

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> all = {ringProtocol(), logProtocol()};
  return all;
}

}  // namespace ringfence::explore
