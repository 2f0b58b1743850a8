// The instructions that write cache lines back to memory, and that drop them from the cache, on the host's own lines.
#pragma once

#include <cstddef>

namespace ringfence::memory {

// Writes back each line of [at, at + bytes): under way until the next store fence or full fence of this thread.
void writeBackLines(const void* at, size_t bytes);
// Writes back and drops each line of [at, at + bytes): done only behind the next full fence of this thread, and perhaps
// ahead of the loads that stand before it.
void dropLines(const void* at, size_t bytes);
// Orders the write-backs of this thread before its later stores.
void orderWriteBacks();
// Orders the loads of this thread before its later drops.
void orderLoads();
// Orders all write-backs, drops, stores and loads of this thread before its later ones.
void orderAll();

// The instructions that this processor uses, for diagnostics: "clwb, clflushopt". Null where it has none.
const char* flushInstructions();

}  // namespace ringfence::memory
