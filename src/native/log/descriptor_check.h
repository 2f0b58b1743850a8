// Checks of a descriptor that was copied out of a lane, before any of its numbers is used as an address: the lane's
// client is not trusted, and the memory may be damaged.
#pragma once

#include "region/token.h"

namespace ringfence {

inline bool descriptorSound(const Geometry& g, const Descriptor& d, uint64_t sessionId) {
  const uint64_t offset = d.payloadPosition & (g.lanePayloadBytes - 1);
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  if (d.crc != descriptorCrc(d) || d.sessionKey >> 16 != sessionId) return false;
  if (d.messageCount == 0 || bytes > g.batchBytes || offset + bytes > g.lanePayloadBytes) return false;
  if (offset % lineBytes != 0) return false;
  return d.uniformBytes == 0 || uint64_t{d.uniformBytes} * d.messageCount == d.payloadBytes;
}

// Whether the batch lies behind the one before it, which ends at `payloadEnd`, and at most a lap ahead of it.
inline bool descriptorFollows(const Geometry& g, const Descriptor& d, uint64_t payloadEnd) {
  return d.payloadPosition >= payloadEnd && d.payloadPosition - payloadEnd <= g.lanePayloadBytes;
}

// Where the room of the batch ends: the next batch begins there, or at the lane's next lap.
inline uint64_t payloadEndOf(const Descriptor& d) {
  return roundUp(d.payloadPosition + batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes), lineBytes);
}

}  // namespace ringfence
