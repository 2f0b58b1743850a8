#include "explore/world.h"
#include "ring.h"

namespace ringfence::explore {

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> all = {ringProtocol()};
  return all;
}

}  // namespace ringfence::explore
