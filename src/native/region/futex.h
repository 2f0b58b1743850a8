// The futex, on a shared word. It works between the processes of one host.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstdint>

namespace ringfence {

// Sleeps while *word == expected. `timeoutNanos` < 0 waits without a limit. May wake spuriously.
inline void futexWait(const uint32_t* word, uint32_t expected, int64_t timeoutNanos) {
  timespec limit{};
  limit.tv_sec = timeoutNanos / 1'000'000'000;
  limit.tv_nsec = timeoutNanos % 1'000'000'000;
  syscall(SYS_futex, word, FUTEX_WAIT, expected, timeoutNanos < 0 ? nullptr : &limit, nullptr, 0);
}

// Wakes all sleepers and returns their number.
inline uint32_t futexWake(const uint32_t* word) {
  const long woken = syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  return woken < 0 ? 0 : static_cast<uint32_t>(woken);
}

inline uint64_t monotonicNanos() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t wallNanos() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace ringfence
