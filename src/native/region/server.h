// The process that serves a region's log, and those of the other epochs, for errors and diagnostics that name them.
#pragma once

#include <string>
#include <vector>

#include "epochs.h"
#include "region.h"
#include "waiter.h"

namespace ringfence {

// An epoch's process. Its pid is 0 when it is unknown, its name empty when another process has its slot in the process
// table now.
struct EpochProcess {
  Epoch epoch;
  bool held = false;  // the lock of its block, by a living process
  bool own = false;   // by this one
  ProcessPid pid;
  std::string name;
};

struct ServerView {
  ServerState state;
  // The process of the largest epoch, or the region's creator before there is one.
  bool alive;
  bool own;       // it is this process
  ProcessPid pid;
  std::string name;
  uint64_t epoch;
  uint64_t pulse;
  bool recoverable;
};

ServerView serverOf(const Region& region);

// The process of the epoch in that block.
EpochProcess processOf(const Region& region, uint64_t block);

// One for each block.
std::vector<EpochProcess> epochsOf(const Region& region);

}  // namespace ringfence
