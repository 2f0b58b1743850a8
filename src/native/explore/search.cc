#include "search.h"

#include <time.h>

#include "address_space.h"
#include "arena.h"
#include "memory.h"
#include "model.h"
#include "region/token.h"
#include "sleepers.h"
#include "trace.h"

namespace ringfence::explore {

void forgetLooks();

namespace {

double now() {
  timespec at{};
  // The processor's time: others share the machine.
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
}

void freeOfDead(Process& process) { Files::closeAllOf(process); }

class Search {
 public:
  Search(const Configuration& configuration, const Limits& limits) : configuration_(configuration), limits_(limits) {}

  Found run() {
    const double began = now();
    began_ = began;
    learn();
    for (uint32_t depth = 0; depth <= limits_.deviations && going(); depth += 1) {
      do {
        walk({}, depth);
      } while (Meetings::grown() && going());
      if (going()) found_.exhausted = depth;
    }
    found_.whole = going() || !found_.failure.empty();
    for (uint64_t i = 0; i < limits_.randomSchedules && going(); i += 1) wander();
    found_.seconds = now() - began;
    return found_;
  }

 private:
  bool going() {
    if (!found_.failure.empty() || found_.schedules >= limits_.schedules) return false;
    return found_.schedules % 256 != 0 || now() - began_ < limits_.seconds;
  }

  bool once(const Schedule& schedule) {
    const std::string failure = runOnce(configuration_, schedule);
    found_.schedules += 1;
    found_.steps += Scheduler::now().steps();
    if (failure.empty()) return true;
    found_.failure = failure;
    found_.schedule = schedule;
    return false;
  }

  // Which words several actors meet is not known at first: some schedules at random tell most of it.
  void learn() {
    Meetings::forget();
    if (!once({})) return;
    found_.points = static_cast<uint32_t>(Scheduler::now().seen().size());
    if (limits_.deviations == 0) return;
    for (int i = 0; i < 100 && going(); i += 1) wander();
    Meetings::grown();
  }

  // All schedules that have `depth` deviations more than this one. Those with fewer were run before.
  void walk(const Schedule& schedule, uint32_t depth) {
    if (!going()) return;
    if (depth == 0) {
      once(schedule);
      return;
    }
    // It fails, or has no step left: then no more of it is of use.
    if (!once(schedule)) return;
    const std::vector<Chances> seen = Scheduler::now().seen();
    Schedule next = schedule;
    next.push_back({});
    for (const Chances& chances : seen) {
      eachDeviation(chances, [&](const Deviation& deviation) {
        next.back() = deviation;
        walk(next, depth - 1);
        return going();
      });
      if (!going()) return;
    }
  }

  template <class Each>
  static void eachDeviation(const Chances& at, Each each) {
    const auto deviation = [&](Kind kind, uint8_t to) { return Deviation{at.actor, kind, to, at.step}; };
    for (uint8_t to = 0; to < actorsMax; to += 1) {
      if ((at.others >> to & 1) != 0 && !each(deviation(Kind::preempt, to))) return;
      if ((at.nextOnes >> to & 1) != 0 && !each(deviation(Kind::next, to))) return;
    }
    if (at.kill && !each(deviation(Kind::kill, 0))) return;
    if (at.stop && !each(deviation(Kind::stop, 0))) return;
    if (at.hold && !each(deviation(Kind::hold, 0))) return;
    for (uint8_t to = 1; to <= at.stale; to += 1) {
      if (!each(deviation(Kind::stale, to))) return;
    }
    for (uint8_t to = 0; to < at.leaks; to += 1) {
      if (!each(deviation(Kind::leak, to))) return;
    }
  }

  // One deviation after the other, each somewhere behind the last.
  void wander() {
    Schedule schedule;
    const uint64_t deviations = 3 + random() % 5;
    for (uint64_t i = 0; i < deviations && going(); i += 1) {
      if (!schedule.empty() && !once(schedule)) return;
      if (schedule.empty()) runOnce(configuration_, schedule);
      const std::vector<Chances>& seen = Scheduler::now().seen();
      if (seen.empty()) break;
      std::vector<Deviation> all;
      // Nearer ones are more likely: what follows within a few steps meets in the same moment of the protocol.
      const uint64_t limit = random() % 2 == 0 ? seen.size() : std::min<uint64_t>(seen.size(), 40);
      for (int look = 0; look < 20 && all.empty(); look += 1) {
        eachDeviation(seen[random() % limit], [&](const Deviation& deviation) {
          all.push_back(deviation);
          return true;
        });
      }
      if (all.empty()) break;
      schedule.push_back(all[random() % all.size()]);
    }
    if (going()) once(schedule);
  }

  uint64_t random() { return mix64(limits_.seed * 0x9e3779b97f4a7c15ULL + (draws_ += 1)); }

  const Configuration& configuration_;
  const Limits limits_;
  Found found_;
  double began_ = 0;
  uint64_t draws_ = 0;
};

}  // namespace

std::string runOnce(const Configuration& configuration, const Schedule& schedule, bool tracing) {
  Scheduler& scheduler = Scheduler::now();
  Arena::open();
  AddressSpace::begin();
  Files::begin();
  Sleepers::begin();
  forgetDelayed();
  forgetLooks();
  Model::now().begin();
  scheduler.begin(schedule, tracing);
  scheduler.onDeath = &freeOfDead;
  scheduler.onRest = [](Actor& actor) { Model::now().rest(actor); };
  Trace::show(tracing);
  configuration.build();
  scheduler.run();
  scheduler.over();
  if (scheduler.failure().empty()) lookAtEnd();
  Trace::show(false);
  forgetLooks();
  Arena::reset();
  scheduler.ended();
  return scheduler.failure();
}

Found search(const Configuration& configuration, const Limits& limits) { return Search(configuration, limits).run(); }

Schedule shrunk(const Configuration& configuration, Schedule schedule) {
  for (size_t i = 0; i < schedule.size();) {
    Schedule fewer = schedule;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (runOnce(configuration, fewer).empty()) {
      i += 1;
    } else {
      schedule = fewer;
      i = 0;
    }
  }
  return schedule;
}

}  // namespace ringfence::explore
