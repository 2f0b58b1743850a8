// The words by which processes wake each other: a bell, which the sleeper sleeps on, and what it sleeps for.
#pragma once

#include <cstdint>

#include "line.h"
#include "roles.h"

namespace ringfence {

// Written by any process that wakes the sleeper, with an atomic increment. Read by its sleeper, as the futex it sleeps
// on, and to learn that a process cannot ring it by its FIFO.
struct BellLine {
  uint32_t bell;     // counts rings, may wrap
  uint32_t unheard;  // counts those that reached neither the sleeper's FIFO nor a thread, may wrap
  uint32_t reserved[14];
};

// What a sleeper is to be rung for. So commits wake neither a server that only admits clients nor a process that waits
// for a ring.
enum SleepBits : uint32_t {
  awake = 0,
  sleepsForData = 1,  // the log's
  sleepsForRoom = 2,
  sleepsForAdmission = 4,
  sleepsForCursor = 8,
  sleepsForFrames = 16,  // of a ring
  sleepsForEnd = 32,     // of the log, with no other wait
  sleepsForAll = 63
};

// Written by the sleeper, which sets what it sleeps for, and by a ringing process, which takes the word: exchanges it
// for 0, all bits at once, before it increments the bell. Read by each process after it has published.
struct SleepLine {
  uint64_t fifo;  // which FIFO the sleeper's event loop polls: of device and inode; 0 it sleeps on the bell
  // 0 awake; bits 1, 2, 4, 8, 16, 32: sleeps until there is data of the log, room, an admission, progress of a ring's
  // reader, a ring's frame, the end of the log
  uint32_t sleeps;
  uint32_t looks;  // 1 while the process looks again and again instead of sleeping
  uint32_t reserved[12];
};

template <> struct OwnerOf<SleepLine> { using Role = role::Sleeper; };

constexpr uint32_t cursorWaiterLines = 8;
constexpr uint32_t slotsOfWaiterLine = 64;

// Written by processes that sleep until a ring's reader progresses, each of which changes its own bit in one atomic step.
// Read by each process that has published a reader's cursors, which looks at the sleep words of these slots alone.
struct CursorWaiters {
  uint64_t slots;  // bit n: the process in slot 64 × line + n sleeps for that, or has not slept for anything else since
  uint64_t reserved[7];
};

template <> struct OwnerOf<CursorWaiters> { using Role = role::Sleeper; };

}  // namespace ringfence
