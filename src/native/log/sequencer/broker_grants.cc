// Grants lanes to adopted sessions, for one broker.
#include "broker_grants.h"

#include <sys/mman.h>

namespace ringfence {

// Only in the process that serves the log. Faults in the lane's pages here, in the broker, so that the client's first lap does not pay for them.
// SYNC: publishes the grant; pairs with the observe in LaneWriter::ready.
uint32_t grantLanes(const Region& region, uint32_t broker) {
  const Publication& p = region.publication();
  const uint64_t epoch = region.servedEpoch();
  if (epoch == 0) return 0;
  uint32_t granted = 0;
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    const uint64_t generation = p.observe<&ClientClaim::generation>(region.client(i).claim);
    const role::Broker role;
    auto& grant = region.grant(epoch, region.laneOf(broker, i));
    if (generation == 0 || p.own<&GrantLine::grantedGeneration>(role, grant) == generation) continue;
    if (p.observe<&SessionLine::Acknowledged::generation>(region.sessionLine(epoch, i).acknowledged) != generation) continue;
#ifdef MADV_POPULATE_WRITE
    madvise(region.laneBytes(region.laneOf(broker, i)), region.layout().geometry.lanePayloadBytes, MADV_POPULATE_WRITE);
#endif
    p.on(role, grant).publish<&GrantLine::grantedGeneration>(generation);
    granted += 1;
  }
  if (granted != 0) region.wakeProcesses(sleepsForData);
  return granted;
}

}  // namespace ringfence
