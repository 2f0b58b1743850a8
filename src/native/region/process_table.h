// The process table: a slot for each attached process, held by a lock that the system frees when the process ends.
#pragma once

#include <cstdint>
#include <string>

namespace ringfence {

// A process id in the process's own pid namespace. A foreign one names another process in this namespace, or none.
struct ProcessPid {
  uint32_t pid = 0;
  bool foreign = false;
};

struct ProcessView {
  uint32_t slot;
  uint64_t generation;
  ProcessPid pid;
  bool alive;
  std::string name;
};

// Slot 0 of the process table is reserved for the creator, so that its lock always tells whether the creator lives.
constexpr uint32_t creatorSlot = 0;

// The inode of this process's pid namespace; 0 if the system does not tell.
uint64_t ownPidNamespace();
ProcessPid seenFromHere(uint32_t pid, uint64_t pidNamespace);

}  // namespace ringfence
