// Lines that the sequencer writes and others decide by: the last word of each is a checksum of the others. A reader that
// finds the two apart looks at a line that is being written, or was changed from outside, and goes by what it saw before.
// The sequencer writes each of them again ten times a second, so that damage ends by itself.
#pragma once

#include "publication.h"
#include "token.h"

namespace ringfence {

template <class Line>
uint64_t sealOf(const Line& line) {
  static_assert(offsetof(Line, seal) == sizeof(Line) - sizeof(uint64_t));
  // A line of zeros is sealed by zero: one that no sequencer has written yet says that there is nothing.
  static const Line nothing{};
  static const uint64_t none = crc32c(&nothing, offsetof(Line, seal));
  return (crc32c(&line, offsetof(Line, seal)) ^ none) * 0x9e3779b97f4a7c15ULL;
}

// SYNC: published behind the fields of `shared`, which were written from `local`; pairs with the observe in readSealed.
template <class Line>
uint64_t publishSeal(const Publication& p, Line& shared, const Line& local) {
  const uint64_t seal = sealOf(local);
  p.wrote(&shared, sizeof(shared));
  p.publish(shared.seal, seal);
  return seal;
}

// SYNC: the seal is observed before the fields, so that what it seals was written before it. False when they disagree.
template <class Line>
bool readSealed(const Publication& p, const Line& shared, Line& local) {
  const uint64_t seal = p.observe(shared.seal);
  local = p.copyOut(shared);
  return sealOf(local) == seal;
}

}  // namespace ringfence
