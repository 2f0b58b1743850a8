// Lines in the header's page that belong to no structure: for the processes and threads of a test to count in.
#pragma once

#include "region/region.h"

namespace ringfence::test {

struct Scratch {
  uint64_t count;
  uint64_t reserved[7];
};

struct Player {};

inline Line<Scratch, Player>& scratch(const Region& region, uint32_t i) {
  return reinterpret_cast<Line<Scratch, Player>*>(region.mapping()->base() + pageBytes / 2)[i];
}

}  // namespace ringfence::test
