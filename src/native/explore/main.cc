// The explorer: runs ringfence's protocols under schedules that it chooses. See docs/memory-model.md.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "address_space.h"
#include "coverage.h"
#include "defects.h"
#include "litmus.h"
#include "model.h"
#include "mutants.h"
#include "search.h"
#include "shrinking.h"
#include "trace.h"

namespace ringfence::explore {

namespace {

struct Wanted {
  std::string protocol;
  std::string configuration;
  std::string model = "weak";
  std::string schedule;
  std::string site;
  uint32_t every = 1;
  uint32_t jobs = 1;
  bool hasSchedule = false;
  bool litmus = false;
  bool mutants = false;
  bool defects = false;
  bool sites = false;
  Which which = Which::all;
  bool seeded = false;
  Limits limits;
};

int help() {
  std::puts(
      "explore [--protocol NAME] [--configuration NAME] [--model weak|lines] [--deviations N] [--random N]\n"
      "        [--seed S] [--seconds T] [--schedules M] [--schedule TEXT] [--litmus] [--mutants [--site TEXT] [--every N] [--jobs N]\n"
      "        [--open|--listed]] [--sites] [--defects]\n\n"
      "Runs every schedule of a protocol's configurations with at most N deviations (2), then N at random.\n"
      "  --schedules ends after the first M of each configuration\n"
      "  --schedule  runs the one that a failure has printed, and shows each step\n"
      "  --litmus    runs the tests of the memory models themselves\n"
      "  --mutants   plants each fault of each verb, one of N, N at a time, and searches for it: --open those that\n"
      "              docs/memory-model.md does not list, --listed the others\n"
      "  --sites     tells the sites that no schedule executes\n"
      "  --defects   plants the defects that have names, and searches for them: stores outside of their writer's\n"
      "              lines, cursors that fall; defects of the protocols, or with --model lines write-backs and\n"
      "              invalidations that are left out\n");
  for (const Protocol& protocol : protocols()) {
    std::printf("%-10s %s\n", protocol.name, protocol.says);
    for (const Configuration& one : protocol.configurations) std::printf("  %-16s %s\n", one.name, one.says);
  }
  return 0;
}

bool read(int count, char** words, Wanted& wanted) {
  for (int i = 1; i < count; i += 1) {
    const std::string word = words[i];
    if (word == "--open" || word == "--listed") {
      wanted.which = word == "--open" ? Which::open : Which::listed;
      continue;
    }
    if (word == "--sites") {
      wanted.sites = true;
      continue;
    }
    if (word == "--litmus" || word == "--mutants" || word == "--defects") {
      (word == "--litmus" ? wanted.litmus : word == "--mutants" ? wanted.mutants : wanted.defects) = true;
      continue;
    }
    if (i + 1 == count) return false;
    const std::string value = words[i += 1];
    if (word == "--protocol") {
      wanted.protocol = value;
    } else if (word == "--configuration") {
      wanted.configuration = value;
    } else if (word == "--model") {
      wanted.model = value;
    } else if (word == "--deviations") {
      wanted.limits.deviations = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    } else if (word == "--random") {
      wanted.limits.randomSchedules = std::strtoull(value.c_str(), nullptr, 10);
    } else if (word == "--seed") {
      wanted.limits.seed = std::strtoull(value.c_str(), nullptr, 10);
      wanted.seeded = true;
    } else if (word == "--seconds") {
      wanted.limits.seconds = std::strtod(value.c_str(), nullptr);
    } else if (word == "--schedules") {
      wanted.limits.schedules = std::strtoull(value.c_str(), nullptr, 10);
    } else if (word == "--every" || word == "--jobs") {
      const auto number = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
      if (number == 0) return false;
      (word == "--every" ? wanted.every : wanted.jobs) = number;
    } else if (word == "--site") {
      wanted.site = value;
    } else if (word == "--schedule") {
      wanted.schedule = value;
      wanted.hasSchedule = true;
    } else {
      return false;
    }
  }
  return true;
}

void show(const Configuration& configuration, const Schedule& schedule) {
  Scheduler::now().onTrace = &Trace::note;
  const std::string failure = runOnce(configuration, schedule, true);
  std::printf("  => %s\n", failure.empty() ? "nothing fails" : failure.c_str());
}

// What was explored of a protocol: a row of docs/memory-model.md.
struct Explored {
  size_t configurations = 0, kills = 0, mortals = 0, stops = 0, stoppables = 0;
  uint64_t schedules = 0;
  uint32_t exhausted = ~0U;  // the least of all configurations
  double slowest = 1e9, fastest = 0;

  void add(const Found& found, double rate) {
    configurations += 1;
    schedules += found.schedules;
    exhausted = std::min(exhausted, found.exhausted);
    slowest = std::min(slowest, rate);
    fastest = std::max(fastest, rate);
    kills += Coverage::kills();
    mortals += Coverage::mortals();
    stops += Coverage::stops();
    stoppables += Coverage::stoppables();
  }
  void say(const char* protocol, const std::string& model) const {
    std::printf("| `%s` | %zu | `%s` | %u | %llu | %.0f–%.0f | %zu of %zu | %zu of %zu |\n", protocol, configurations,
                model.c_str(), exhausted, static_cast<unsigned long long>(schedules), slowest, fastest, kills, mortals, stops, stoppables);
  }
};

// Prints the failure and returns false when it finds one.
bool explore(const Protocol& protocol, const Configuration& configuration, const Wanted& wanted, Explored& explored) {
  Coverage::forget();
  const Found found = search(configuration, wanted.limits);
  const double rate = found.seconds > 0 ? static_cast<double>(found.schedules) / found.seconds : 0;
  explored.add(found, rate);
  std::printf("%-8s %-16s %-6s %6u steps  all of %u%s  %9llu schedules  %6.0f/s  %4zu of %4zu kills  %4zu of %4zu stops\n",
              protocol.name, configuration.name, wanted.model.c_str(), found.points, found.exhausted,
              found.whole ? "" : " (cut short)", static_cast<unsigned long long>(found.schedules), rate,
              Coverage::kills(), Coverage::mortals(), Coverage::stops(), Coverage::stoppables());
  std::fflush(stdout);
  if (found.failure.empty()) return true;
  const Schedule schedule = shrunk(configuration, found.schedule);
  std::printf("\n%s %s fails: %s\n", protocol.name, configuration.name, found.failure.c_str());
  std::printf("  seed %llu, schedule \"%s\"\n", static_cast<unsigned long long>(wanted.limits.seed), textOf(schedule).c_str());
  show(configuration, schedule);
  return false;
}

int run(const Wanted& wanted) {
  bool known = false;
  bool sound = true;
  for (const Protocol& protocol : protocols()) {
    if (!wanted.protocol.empty() && wanted.protocol != protocol.name) continue;
    Explored explored;
    for (const Configuration& configuration : protocol.configurations) {
      if (!wanted.configuration.empty() && wanted.configuration != configuration.name) continue;
      known = true;
      if (wanted.hasSchedule) {
        Schedule schedule;
        if (!scheduleOf(wanted.schedule, schedule)) return 2;
        show(configuration, schedule);
      } else {
        sound = explore(protocol, configuration, wanted, explored) && sound;
      }
    }
    if (explored.configurations > 1) explored.say(protocol.name, wanted.model);
  }
  if (!known) std::fputs("there is no such protocol, or configuration\n", stderr);
  return !known ? 2 : sound ? 0 : 1;
}

}  // namespace

}  // namespace ringfence::explore

int main(int count, char** words) {
  using namespace ringfence::explore;
  AddressSpace::guard();
  if (count == 2 && (std::strcmp(words[1], "--help") == 0 || std::strcmp(words[1], "-h") == 0)) return help();
  Wanted wanted;
  if (!read(count, words, wanted)) return help(), 2;
  if (wanted.model != "weak" && wanted.model != "lines") return std::fputs("the model is weak or lines\n", stderr), 2;
  const bool isWeak = wanted.model == "weak";
  Model::choose(*Model::all()[isWeak ? 0 : 1]);
  if (wanted.litmus) return litmus() ? 0 : 1;
  if (wanted.sites) return executesAll(wanted.limits.seed) ? 0 : 1;
  if (wanted.defects) return defects(wanted.limits) ? 0 : 1;
  if (wanted.mutants) {
    return mutants({wanted.protocol, wanted.configuration, wanted.site, wanted.every, wanted.which, wanted.jobs, wanted.limits}) ? 0 : 1;
  }
  return run(wanted);
}
