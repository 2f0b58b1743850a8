// The file that stands for a DAX device refuses what a device refuses: to be read, resized, allocated or renamed over.
#pragma once

#include <cstdint>

namespace ringfence::test {

// How many such calls this process has made on it.
uint64_t& refusedCalls();

}  // namespace ringfence::test
