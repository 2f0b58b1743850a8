// A schedule is a list of deviations from the default, each at a step of an actor.
//
// By default an actor runs until it blocks, then the next one runs; each store is visible to all at once, each load sees
// the newest value, and no process dies. A step is one verb or one system call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringfence::explore {

constexpr uint32_t actorsMax = 12;

enum class Kind : uint8_t {
  preempt,  // ahead of the step another actor runs: `to`
  kill,     // ahead of the step its process is killed
  stop,     // ahead of the step its process is stopped, until no other can run
  next,     // when the step blocks, `to` runs next, out of turn
  hold,     // what the step stores is held back, until a fence or a call lets it out; `holdLine`: so is what the actor stores
            // in the same line from then on
  stale,    // the step's load sees an older value: the `to`-th before the newest; + `staleLine`: so do those of a snapshot,
            // + `staleAll`: so do all that follow, of all memory as it was then
  leak,     // the line that the step fetches has leaked out of the cache where it is dirty
};
constexpr uint32_t kinds = 7;
constexpr uint8_t holdLine = 1;
constexpr uint8_t staleLine = 16;
constexpr uint8_t staleAll = 32;

struct Deviation {
  uint8_t actor;
  Kind kind;
  uint8_t to;
  uint32_t step;

  bool operator==(const Deviation&) const = default;
};

using Schedule = std::vector<Deviation>;

// What else could have happened at a step: the search makes further schedules of it.
struct Chances {
  uint32_t step;
  uint16_t others;     // actors that could run instead
  uint16_t nextOnes;   // actors that could run next
  uint8_t actor;
  uint8_t stale;       // older values that the load could have seen
  uint8_t staleLine;   // the same, where other words of its line have changed as well
  uint8_t faulted;     // the oldest of them that only the planted fault lets the load see; 0 none
  uint8_t leaks;       // 1: the line is dirty in another cache
  bool kill, stop, hold;
};

// "writer:12:preempt=1 reader:4:stale=1", and back. Actors are numbers, in the order in which they begin.
std::string textOf(const Schedule& schedule);
bool scheduleOf(const std::string& text, Schedule& schedule);

}  // namespace ringfence::explore
