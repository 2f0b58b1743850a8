// The process that serves a region's log, for errors that name it.
#pragma once

#include <string>

#include "region.h"
#include "waiter.h"

namespace ringfence {

struct ServerView {
  ServerState state;
  // The log's server, or the region's creator before there is one.
  bool alive;
  bool own;       // it is this process
  ProcessPid pid;  // 0: another process has its slot in the process table now
  std::string name;
};

ServerView serverOf(const Region& region);

}  // namespace ringfence
