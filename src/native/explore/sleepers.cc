#include "sleepers.h"

#include <new>

#include "files.h"

namespace ringfence::explore {

namespace {

constexpr uint64_t lookNanos = 10'000'000;  // after which an actor that waits for one of its own process looks again

struct Sleeping {
  Actor* actor;
  Spot spot;
};

struct Polling {
  Actor* actor;
  const File* fifo;
};

std::vector<Sleeping> sleeping;
std::vector<Polling> polling;
std::vector<const void*> locked;

bool isLocked(const void* mutex) {
  for (const void* one : locked) {
    if (one == mutex) return true;
  }
  return false;
}

}  // namespace

void Sleepers::begin() {
  // Never destroyed: their contents lay in the arena, which was reset.
  new (&sleeping) std::vector<Sleeping>();
  new (&polling) std::vector<Polling>();
  new (&locked) std::vector<const void*>();
}

bool Sleepers::sleep(const Spot& spot, uint64_t deadlineNanos) {
  Scheduler& scheduler = Scheduler::now();
  Actor* actor = scheduler.current();
  sleeping.push_back({actor, spot});
  const bool woken = scheduler.wait("its doorbell", deadlineNanos);
  std::erase_if(sleeping, [&](const Sleeping& one) { return one.actor == actor; });
  return woken;
}

// Sleepers of dead processes do not count.
uint32_t Sleepers::wake(const Spot& spot) {
  uint32_t count = 0;
  for (const Sleeping& one : sleeping) {
    if (one.spot.file != spot.file || one.spot.offset != spot.offset || one.actor->state != Actor::waiting) continue;
    Scheduler::wake(*one.actor);
    count += 1;
  }
  return count;
}

bool Sleepers::poll(const File& fifo, uint64_t deadlineNanos) {
  if (fifo.bytes != 0) return true;
  Scheduler& scheduler = Scheduler::now();
  Actor* actor = scheduler.current();
  polling.push_back({actor, &fifo});
  scheduler.wait("its FIFO", deadlineNanos);
  std::erase_if(polling, [&](const Polling& one) { return one.actor == actor; });
  return fifo.bytes != 0;
}

void Sleepers::arrived(const File& fifo) {
  for (const Polling& one : polling) {
    if (one.fifo == &fifo && one.actor->state == Actor::waiting) Scheduler::wake(*one.actor);
  }
}

void Sleepers::lockMutex(const void* mutex) {
  Scheduler& scheduler = Scheduler::now();
  while (isLocked(mutex)) {
    if (scheduler.current() == nullptr) scheduler.fail("a mutex stays locked: no actor is left that could unlock it");
    scheduler.giveWay(lookNanos);
  }
  locked.push_back(mutex);
}

void Sleepers::unlockMutex(const void* mutex) { std::erase(locked, mutex); }

void Sleepers::awaitEnd(Actor& actor) {
  Scheduler& scheduler = Scheduler::now();
  if (scheduler.current() == nullptr) scheduler.fail("a thread is awaited that does not run yet");
  actor.awaitedBy = scheduler.current();
  while (actor.state != Actor::ended) scheduler.wait("a thread's end");
}

}  // namespace ringfence::explore
