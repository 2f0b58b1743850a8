#include "search.h"

#include <time.h>

#include <algorithm>
#include <map>

#include "address_space.h"
#include "arena.h"
#include "coverage.h"
#include "memory.h"
#include "model.h"
#include "region/token.h"
#include "sleepers.h"
#include "store_checks.h"
#include "trace.h"

namespace ringfence::explore {

namespace {

double now() {
  timespec at{};
  // The processor's time: others share the machine.
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
}

// For each configuration whose schedule without deviations does not reach the planted fault, the shortest that do.
std::map<const Configuration*, std::vector<Schedule>> reached;

class Search {
 public:
  Search(const Configuration& configuration, const Limits& limits) : configuration_(configuration), limits_(limits) {}

  Found run() {
    began_ = now();
    learn();
    for (uint64_t i = 0; i < limits_.around && going(); i += 1) meet(i);
    for (uint64_t i = 0; i < limits_.directed && going(); i += 1) direct(i);
    for (uint64_t i = 0; i < limits_.heldLines && !Model::now().hasLines() && going(); i += 1) holdLines(i);
    for (uint64_t i = 0; i < limits_.nearSchedules && going(); i += 1) {
      if (i % 2 == 0) {
        wander(true);
      } else {
        prioritiseNear();
      }
    }
    for (uint32_t depth = 0; depth <= limits_.deviations && going(); depth += 1) {
      do {
        walk({}, depth);
      } while (Meetings::grown() && going());
      if (going()) found_.exhausted = depth;
    }
    found_.whole = going() || !found_.failure.empty();
    if (limits_.randomSchedules != 0) begin();
    for (uint64_t i = 0; i < limits_.randomSchedules && going(); i += 1) {
      if (i % 2 == 0) {
        wander(false);
      } else {
        prioritise();
      }
    }
    // A kill or a stop at a point that only deviations reach is one deviation more. What it leads to has such points as well.
    for (size_t i = 0; i < endings_.size() && going(); i += 1) {
      if (endings_[i].size() > limits_.deviations) once(Schedule(endings_[i]));
    }
    if (found_.failure.empty()) Meetings::keep(&configuration_);
    found_.seconds = now() - began_;
    return found_;
  }

 private:
  bool going() {
    if (!found_.failure.empty() || found_.schedules >= limits_.schedules) return false;
    return found_.schedules % 32 != 0 || now() - began_ < limits_.seconds;
  }

  bool once(const Schedule& schedule, Priorities* order = nullptr) {
    const std::string failure = runOnce(configuration_, schedule, false, order);
    found_.schedules += 1;
    found_.steps += Scheduler::now().steps();
    for (const Schedule& ending : Scheduler::now().newEndings()) endings_.push_back(ending);
    if (failure.empty()) return noteReached(), true;
    found_.failure = failure;
    found_.schedule = Scheduler::now().schedule();
    return false;
  }

  void noteReached() {
    constexpr size_t most = 16;
    if (!firstMarks_.empty() || Scheduler::now().marks().empty() || Scheduler::now().schedule().empty()) return;
    std::vector<Schedule>& known = reached[&configuration_];
    if (known.size() < most) return known.push_back(Scheduler::now().schedule());
    const auto longest = std::ranges::max_element(known, {}, &Schedule::size);
    if (Scheduler::now().schedule().size() < longest->size()) *longest = Scheduler::now().schedule();
  }

  // One of those, every other time. Null: there is none, or another schedule has its turn.
  const Schedule* reaching(uint64_t i) {
    const std::vector<Schedule>& known = reached[&configuration_];
    return i % 2 == 0 || known.empty() ? nullptr : &known[random() % known.size()];
  }

  // A schedule to begin with: the one without deviations, one that reaches the planted fault, or one at random.
  bool begins(uint64_t i, bool straight) {
    if (i == 0) return once({});
    if (const Schedule* known = reaching(i)) return once(Schedule(*known));
    Priorities order(random(), found_.points);
    if (straight) order.straightens();
    return once({}, &order);
  }

  // Which words several actors meet is not known at first: some schedules at random tell most of it.
  void learn() {
    const bool known = Meetings::recall(&configuration_);
    if (!known) Meetings::forget();
    begin();
    for (int i = 0; i < 100 && !known && limits_.deviations != 0 && going(); i += 1) {
      wander(false);
      begin();
    }
    Meetings::grown();
  }

  // The schedule without deviations, with which each at random begins.
  void begin() {
    if (!going() || !once({})) return;
    first_ = Scheduler::now().seen();
    firstMarks_ = Scheduler::now().marks();
    found_.points = static_cast<uint32_t>(first_.size());
  }

  // All schedules that have `depth` deviations more than this one. Those with fewer were run before.
  void walk(const Schedule& schedule, uint32_t depth) {
    if (!going()) return;
    if (depth == 0) {
      once(schedule);
      return;
    }
    // Do not extend a schedule that fails, or that has no step left.
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
    for (uint8_t to = 1; to <= at.staleLine; to += 1) {
      if (!each(deviation(Kind::stale, static_cast<uint8_t>(to + staleLine)))) return;
    }
    if (at.stale != 0 && Model::now().lags() && !each(deviation(Kind::stale, at.stale + staleAll))) return;
    for (uint8_t to = 0; to < at.leaks; to += 1) {
      if (!each(deviation(Kind::leak, to))) return;
    }
  }

  // One deviation after the other, each somewhere behind the last. `near`: fewer, most of them near the planted fault.
  void wander(bool near) {
    Schedule schedule;
    const uint64_t deviations = near ? 1 + random() % 3 : 3 + random() % 5;
    if (const Schedule* known = near ? reaching(random()) : nullptr) schedule = *known;
    for (uint64_t i = 0; i < deviations && going(); i += 1) {
      if (!schedule.empty() && !once(schedule)) return;
      const std::vector<Chances>& seen = schedule.empty() ? first_ : Scheduler::now().seen();
      const std::vector<uint32_t>& marks = schedule.empty() ? firstMarks_ : Scheduler::now().marks();
      if (seen.empty()) break;
      std::vector<Deviation> all;
      for (int look = 0; look < 20 && all.empty(); look += 1) {
        eachDeviation(seen[near ? drawnNear(marks, seen.size()) : drawn(seen.size())], [&](const Deviation& deviation) {
          all.push_back(deviation);
          return true;
        });
      }
      if (all.empty()) break;
      schedule.push_back(all[random() % all.size()]);
    }
    if (going()) once(schedule);
  }

  // Nearer ones are more likely: what follows within a few steps meets in the same moment of the protocol.
  size_t drawn(size_t count) { return random() % (random() % 2 == 0 ? count : std::min<size_t>(count, 40)); }

  // A step shortly ahead of one of the marks, or behind it.
  size_t drawnNear(const std::vector<uint32_t>& marks, size_t count) {
    constexpr uint64_t ahead = 12;
    constexpr uint64_t around = 24;
    if (marks.empty() || random() % 4 == 0) return drawn(count);
    const uint64_t mark = marks[random() % marks.size()] + random() % around;
    return std::min<size_t>(mark < ahead ? 0 : mark - ahead, count - 1);
  }

  void prioritise() {
    Priorities order(random(), found_.points);
    once({}, &order);
  }

  // Twice the same order: the second time it also holds stores back, reads older values or changes priorities shortly
  // ahead of or behind the planted fault.
  void prioritiseNear() {
    const uint64_t seed = random();
    Priorities order(seed, found_.points);
    if (!once({}, &order)) return;
    const std::vector<uint32_t> marks = Scheduler::now().marks();
    if (marks.empty()) return;
    for (int again = 0; again < 3 && going(); again += 1) {
      Priorities nearer(seed, found_.points);
      nearer.gather(marks[random() % marks.size()], random());
      once({}, &nearer);
    }
  }

  // Around a schedule at random: at each of the steps that lead to the planted fault another actor runs, or the fault's own
  // process is stopped. Then a load sees an older value than it could without the fault.
  void meet(uint64_t i) {
    if (!begins(i, true)) return;
    const Schedule base = Scheduler::now().schedule();
    const std::vector<Chances> seen = Scheduler::now().seen();
    const std::vector<uint32_t> marks = Scheduler::now().marks();
    constexpr size_t most = 24;
    for (size_t look = 0; look < most && !marks.empty() && going(); look += 1) {
      const size_t drawn = marks.size() <= most ? look : random() % marks.size();
      if (drawn >= marks.size()) continue;
      meetAhead(base, seen, marks[drawn]);
      meetBehind(base, seen, marks[drawn]);
    }
  }

  // The same behind the fault, where it has not made visible yet what it should have.
  void meetBehind(const Schedule& base, const std::vector<Chances>& seen, uint32_t mark) {
    if (mark >= seen.size()) return;
    uint32_t left = 6;
    for (size_t i = mark + 1; i < seen.size() && left != 0 && going(); i += 1) {
      if (seen[i].actor != seen[mark].actor || seen[i].others == 0) continue;
      left -= 1;
      meetAt(upTo(base, seen, i), seen[i]);
    }
  }

  void meetAhead(const Schedule& base, const std::vector<Chances>& seen, uint32_t mark) {
    if (mark >= seen.size()) return;
    // Of a line that was fetched no later load sees more: go back as far as the fetch.
    uint32_t left = Model::now().hasLines() ? 12 : 6;
    for (size_t i = mark + 1; i-- > 0 && left != 0 && going();) {
      const Chances& at = seen[i];
      if (at.actor != seen[mark].actor || at.others == 0) continue;
      left -= 1;
      meetAt(upTo(base, seen, i), at);
    }
    if (Model::now().hasLines() || !going()) return;
    const size_t i = mark - std::min<size_t>(mark, random() % 64);
    if (seen[i].actor == seen[mark].actor && seen[i].others != 0) meetAt(upTo(base, seen, i), seen[i]);
  }

  void meetAt(Schedule met, const Chances& at) {
    met.push_back({});
    for (uint8_t to = 0; to < actorsMax && going(); to += 1) {
      if ((at.others >> to & 1) == 0) continue;
      met.back() = {at.actor, Kind::preempt, to, at.step};
      if (once(met)) seeOlder(met, std::vector<Chances>(Scheduler::now().seen()));
    }
    // A stopped actor lets the others have several turns.
    met.back() = {at.actor, Kind::stop, 0, at.step};
    if (at.stop && going() && once(met)) seeOlder(met, std::vector<Chances>(Scheduler::now().seen()));
  }

  // The deviations of a schedule that it has met before that step.
  static Schedule upTo(const Schedule& schedule, const std::vector<Chances>& seen, size_t step) {
    Schedule met;
    for (const Deviation& one : schedule) {
      const auto is = [&](const Chances& at) { return at.actor == one.actor && at.step == one.step; };
      if (std::none_of(seen.begin() + static_cast<std::ptrdiff_t>(step), seen.end(), is)) met.push_back(one);
    }
    return met;
  }

  // What the planted fault lets happen, and nothing else does, around a schedule at random: a load sees an older value
  // than it could; a store that was made ahead of the fault is held while others run behind it.
  void direct(uint64_t i) {
    if (!begins(i, random() % 2 == 0)) return;
    const Schedule base = Scheduler::now().schedule();
    const std::vector<Chances> seen = Scheduler::now().seen();
    const std::vector<uint32_t> marks = Scheduler::now().marks();
    seeOlder(base, seen);
    for (int look = 0; look < 2 && !marks.empty() && going(); look += 1) {
      const uint32_t mark = marks[random() % marks.size()];
      holdAhead(base, seen, mark);
      if (look == 0 && leavesHalf() && mark < seen.size() && going()) dieBehind(base, seen, mark);
      if (Model::now().lags() && mark < seen.size()) lagAhead(base, seen, mark);
    }
  }

  void with(Schedule schedule, const Deviation& deviation) {
    schedule.push_back(deviation);
    once(schedule);
  }

  void seeOlder(const Schedule& base, const std::vector<Chances>& seen) {
    std::vector<Deviation> older;
    for (const Chances& at : seen) {
      if (at.faulted == 0) continue;
      older.push_back({at.actor, Kind::stale, at.faulted, at.step});
      if (Model::now().lags()) older.push_back({at.actor, Kind::stale, static_cast<uint8_t>(at.faulted + staleAll), at.step});
      if (at.staleLine != 0) older.push_back({at.actor, Kind::stale, static_cast<uint8_t>(at.faulted + staleLine), at.step});
    }
    constexpr size_t most = 8;
    for (size_t i = 0; i < most && !older.empty() && going(); i += 1) {
      const size_t drawn = older.size() <= most ? i : random() % older.size();
      if (drawn < older.size()) with(base, older[drawn]);
    }
  }

  // Other hosts fetch a dirty line while later ones are not written back yet.
  void leakBehind(const Schedule& base, const Deviation& run) {
    Schedule schedule = base;
    schedule.push_back(run);
    constexpr size_t most = 8;
    std::vector<Deviation> leaks;
    for (const Chances& at : Scheduler::now().seen()) {
      if (at.leaks != 0 && leaks.size() < most) leaks.push_back({at.actor, Kind::leak, 0, at.step});
    }
    for (size_t i = 0; i < leaks.size() && going(); i += 1) with(schedule, leaks[i]);
  }

  // The actor goes on with lines that it has fetched before the others ran, while what it has stored is not written back.
  void fetchAhead(const Schedule& base, const Deviation& run, const std::vector<Chances>& seen) {
    Schedule schedule = base;
    schedule.push_back(run);
    uint32_t left = 4;
    for (const Chances& at : seen) {
      if (at.actor != run.actor || at.stale == 0) continue;
      if (left == 0 || !going()) return;
      left -= 1;
      with(schedule, {at.actor, Kind::stale, at.stale, at.step});
    }
  }

  // Behind the fault another actor runs, or the process is stopped until all others have come to rest.
  std::vector<Deviation> runsBehind(const std::vector<Chances>& seen, uint32_t mark) {
    constexpr size_t nearest = 6;
    constexpr size_t most = 40;
    std::vector<Deviation> runs;
    std::vector<Deviation> stops;
    const uint8_t actor = seen[mark].actor;
    const size_t wanted = random() % 2 == 0 ? nearest : most;
    for (size_t i = mark + 1; i < seen.size() && runs.size() < wanted; i += 1) {
      if (seen[i].actor != actor) continue;
      if (seen[i].stop && stops.size() < nearest / 2) stops.push_back({actor, Kind::stop, 0, seen[i].step});
      if (seen[i].others == 0) continue;
      std::vector<uint8_t> others;
      for (uint8_t to = 0; to < actorsMax; to += 1) {
        if ((seen[i].others >> to & 1) != 0) others.push_back(to);
      }
      runs.push_back({actor, Kind::preempt, others[random() % others.size()], seen[i].step});
    }
    runs.insert(runs.end(), stops.begin(), stops.end());
    return runs;
  }

  // Where a fence could run others only because of the held store, the schedule that holds it tells.
  void holdAhead(const Schedule& base, const std::vector<Chances>& seen, uint32_t mark) {
    constexpr size_t aheadMost = 48;
    constexpr size_t nearest = 16;
    constexpr size_t most = 16;
    if (mark >= seen.size()) return;
    std::vector<Deviation> holds;
    for (size_t i = mark + 1; i-- > 0 && holds.size() < aheadMost;) {
      if (seen[i].actor == seen[mark].actor && seen[i].hold) holds.push_back({seen[i].actor, Kind::hold, 0, seen[i].step});
    }
    for (size_t i = 0; i < most && !holds.empty() && going(); i += 1) {
      Schedule held = base;
      held.push_back(holds[random() % (i % 2 == 0 ? std::min(nearest, holds.size()) : holds.size())]);
      if (!once(held) || Scheduler::now().marks().empty()) continue;
      runBehind(held, std::vector<Chances>(Scheduler::now().seen()), Scheduler::now().marks()[0]);
    }
    runBehind(base, seen, mark);
  }

  // What was stored in a line ahead of the fault is held, and another actor runs somewhere behind the fault.
  void holdLines(uint64_t i) {
    constexpr size_t tries = 32;
    constexpr size_t aheadMost = 96;
    if (!begins(i, true) || Scheduler::now().marks().empty()) return;
    const Schedule base = Scheduler::now().schedule();
    const std::vector<Chances> seen = Scheduler::now().seen();
    const std::vector<uint32_t> marks = Scheduler::now().marks();
    for (size_t look = 0; look < tries && going(); look += 1) {
      const uint32_t mark = marks[random() % marks.size()];
      const size_t at = mark - std::min<size_t>(mark, random() % aheadMost);
      if (mark >= seen.size() || seen[at].actor != seen[mark].actor || !seen[at].hold) continue;
      Schedule held = upTo(base, seen, at);
      held.push_back({seen[at].actor, Kind::hold, holdLine, seen[at].step});
      if (!once(held) || Scheduler::now().marks().empty()) continue;
      runAnyBehind(held, seen[at].actor, std::vector<Chances>(Scheduler::now().seen()), Scheduler::now().marks()[0]);
    }
  }

  // Another actor runs at the first step behind the mark at which it can, or at any of the next ones.
  void runAnyBehind(const Schedule& base, uint8_t actor, const std::vector<Chances>& seen, uint32_t mark) {
    constexpr size_t behindMost = 48;
    std::vector<Deviation> runs;
    for (size_t i = mark + 1; i < seen.size() && i <= mark + behindMost; i += 1) {
      for (uint8_t to = 0; to < actorsMax && seen[i].actor == actor; to += 1) {
        if ((seen[i].others >> to & 1) != 0) runs.push_back({actor, Kind::preempt, to, seen[i].step});
      }
    }
    if (!runs.empty()) with(base, runs[random() % 2 == 0 ? 0 : random() % runs.size()]);
  }

  void runBehind(const Schedule& base, const std::vector<Chances>& seen, uint32_t mark) {
    constexpr size_t most = 4;
    if (mark >= seen.size()) return;
    const std::vector<Deviation> runs = runsBehind(seen, mark);
    for (size_t i = 0; i < most && !runs.empty() && going(); i += 1) {
      const Deviation& run = runs[random() % runs.size()];
      with(base, run);
      if (!Model::now().hasLines() || !going()) continue;
      const std::vector<Chances> behind = Scheduler::now().seen();
      leakBehind(base, run);
      fetchAhead(base, run, behind);
    }
  }

  // Whether a process that dies behind the fault leaves less in memory, where its dirty lines leak, than without it.
  static bool leavesHalf() {
    return Coverage::plantedIsWriteBack() || Coverage::plantedIsWrite() || (Model::now().hasLines() && Coverage::planted() == Fault::swapped);
  }

  // Its process dies behind a store or a write-back that is left out, or between two stores that are swapped, and what it has
  // left dirty leaks. Right behind it, or as it writes the line again: of a line and its spare one is not whole until then.
  void dieBehind(const Schedule& base, const std::vector<Chances>& seen, uint32_t mark) {
    constexpr size_t most = 6;
    std::vector<Deviation> deaths;
    for (size_t i = mark + 1; i < seen.size(); i += 1) {
      if (seen[i].actor == seen[mark].actor && seen[i].kill) deaths.push_back({seen[i].actor, Kind::kill, 0, seen[i].step});
    }
    const bool nearest = deaths.size() <= most || random() % 2 == 0;
    for (size_t i = 0; i < std::min(most, deaths.size()) && going(); i += 1) {
      const Deviation death = deaths[nearest ? i : random() % deaths.size()];
      with(base, death);
      if (going()) leakBehind(base, death);
    }
  }

  // The actor sees all memory as it was some time before, as if it had loaded ahead of its stores.
  void lagAhead(const Schedule& base, const std::vector<Chances>& seen, uint32_t mark) {
    constexpr size_t most = 8;
    std::vector<Deviation> lags;
    for (size_t i = std::min<size_t>(mark + 1, seen.size()); i-- > 0 && lags.size() < most;) {
      if (seen[i].actor != seen[mark].actor || seen[i].stale == 0) continue;
      lags.push_back({seen[i].actor, Kind::stale, static_cast<uint8_t>(seen[i].stale + staleAll), seen[i].step});
    }
    for (size_t i = 0; i < lags.size() && going(); i += 1) with(base, lags[i]);
  }

  uint64_t random() { return mix64(limits_.seed * 0x9e3779b97f4a7c15ULL + (draws_ += 1)); }

  const Configuration& configuration_;
  const Limits limits_;
  Found found_;
  std::vector<Chances> first_;  // of the schedule without deviations
  std::vector<uint32_t> firstMarks_;
  std::vector<Schedule> endings_;  // one for each point at which a process could be killed or stopped
  double began_ = 0;
  uint64_t draws_ = 0;
};

}  // namespace

void forgetReached() { reached.clear(); }

Found search(const Configuration& configuration, const Limits& limits) { return Search(configuration, limits).run(); }

}  // namespace ringfence::explore
