// Actors that wait for one another: on a word of shared memory, for a mutex of their process, for a thread's end.
#pragma once

#include "address_space.h"
#include "scheduler.h"

namespace ringfence::explore {

class Sleepers {
 public:
  static void begin();
  // False when the deadline passed before the actor was woken.
  static bool sleep(const Spot& spot, uint64_t deadlineNanos);
  static uint32_t wake(const Spot& spot);

  // The same until the FIFO has bytes.
  static bool poll(const File& fifo, uint64_t deadlineNanos);
  static void arrived(const File& fifo);

  static void lockMutex(const void* mutex);
  static void unlockMutex(const void* mutex);
  static void awaitEnd(Actor& actor);
};

}  // namespace ringfence::explore
