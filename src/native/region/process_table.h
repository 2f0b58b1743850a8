// The process table: a slot for each attached process, held by a lock that the system frees when the process is gone.
#pragma once

#include <cstdint>
#include <string>

namespace ringfence {

// A process id as its process sees it. A foreign one counts in another pid namespace: here it is another process, or none.
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

// Slot 0 of the process table is its creator's alone, so that its lock tells for good whether the creator lives.
constexpr uint32_t creatorSlot = 0;

// The pid namespace that this process counts in, by its inode; 0 where the system does not say.
uint64_t ownPidNamespace();
ProcessPid seenFromHere(uint32_t pid, uint64_t pidNamespace);

}  // namespace ringfence
