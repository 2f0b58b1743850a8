// Spinning: waits without giving up the core.
#pragma once

#if !defined(__x86_64__)
#include <thread>
#endif

namespace ringfence {

// Tells the processor that this thread waits for another one.
inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace ringfence
