// The process that serves a region's log, by name: for those who have to say whom they wait for.
#pragma once

#include <string>

#include "region.h"
#include "waiter.h"

namespace ringfence {

struct ServerView {
  ServerState state;
  // The process whose life is the log's: its server, or the region's creator as long as none serves yet.
  bool alive;
  bool own;       // it is this process
  ProcessPid pid;  // 0: its place in the process table is another's by now
  std::string name;
};

ServerView serverOf(const Region& region);

}  // namespace ringfence
