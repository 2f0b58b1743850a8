#include "mutants.h"

#include <cstdio>
#include <cstring>
#include <vector>

#include "coverage.h"
#include "model.h"

namespace ringfence::explore {

namespace {

// What is tried for each mutant, one after the other, until one finds it.
constexpr Limits stages[] = {
    {1, 100, ~uint64_t{0}, 1, 1},
    {0, 3000, ~uint64_t{0}, 2, 2},
    {2, 20000, ~uint64_t{0}, 10, 3},
};

std::vector<Fault> faultsOf(Verb verb) {
  switch (verb) {
    case Verb::publish:
      return {Fault::plain, Fault::swapped};
    case Verb::observe:
      return {Fault::plain};
    case Verb::storeFence:
    case Verb::loadFence:
    case Verb::fullFence:
      return {Fault::dropped};
    case Verb::wrote:
    case Verb::willRead:
      return Model::now().hasLines() ? std::vector<Fault>{Fault::dropped} : std::vector<Fault>{};
    default:
      return {};
  }
}

bool ofTheExplorer(const Place& place) { return std::strstr(place.file, "/explore/") != nullptr; }

struct Verdict {
  bool found = false;
  const char* configuration = "";
  size_t deviations = 0;
  std::string failure;
};

// By all configurations of the protocol, or by the one.
Verdict judge(const Protocol& protocol, const Limits& limits, const char* only = nullptr) {
  for (const Limits& stage : stages) {
    for (const Configuration& configuration : protocol.configurations) {
      if (only != nullptr && std::strcmp(only, configuration.name) != 0) continue;
      Limits own = stage;
      own.seed += limits.seed;
      if (own.seconds > limits.seconds) own.seconds = limits.seconds;
      const Found found = search(configuration, own);
      if (!found.failure.empty()) return {true, configuration.name, found.schedule.size(), found.failure};
    }
  }
  return {};
}

}  // namespace

// The sites are those that the protocol's schedules have executed.
bool mutants(const std::string& wanted, const std::string& only, const std::string& part, const Limits& limits) {
  size_t sites = 0;
  size_t planted = 0;
  size_t found = 0;
  for (const Protocol& protocol : protocols()) {
    if (!wanted.empty() && wanted != protocol.name) continue;
    Coverage::forget();
    for (const Configuration& configuration : protocol.configurations) {
      const Found clean = search(configuration, {1, 500, ~uint64_t{0}, 1e9, limits.seed});
      if (clean.failure.empty()) continue;
      std::printf("%s %s fails without a fault: %s\n", protocol.name, configuration.name, clean.failure.c_str());
      return false;
    }
    for (const SiteSeen& site : Coverage::sites()) {
      if (ofTheExplorer(site.place) || site.name.find(part) == std::string::npos) continue;
      sites += 1;
      const char* name = std::strrchr(site.place.file, '/');
      std::printf("site %s:%u %s\n", name == nullptr ? site.place.file : name + 1, site.place.line, nameOf(site.verb));
      for (const Fault fault : faultsOf(site.verb)) {
        planted += 1;
        Coverage::plant(site, fault);
        const Verdict verdict = judge(protocol, limits, only.empty() ? nullptr : only.c_str());
        Coverage::plantNone();
        found += verdict.found ? 1 : 0;
        const std::string how = verdict.found ? std::string("found    ") + verdict.configuration + ", " +
                                                    std::to_string(verdict.deviations) + " deviations: " + verdict.failure
                                              : "survives";
        std::printf("%-8s %-62s %-8s %s\n", protocol.name, site.name.c_str(), nameOf(fault), how.c_str());
        std::fflush(stdout);
      }
    }
  }
  std::printf("%zu sites, %zu mutants, %zu found, %zu survive\n", sites, planted, found, planted - found);
  return found == planted;
}

bool defects(const Limits& limits) {
  struct Defect {
    const char* name;
    const char* protocol;
    const char* configuration;
  };
  constexpr Defect all[] = {
      {"rejoin after the end", "ring", "late reader"},
      {"room flag of a later writer", "ring", "late writer"},
      {"an attachment gives room back in silence", "ring", "attach"},
      {"a ring without a writer never ends", "ring", "open"},
      {"hold of a removed name", "region", "holding"},
      {"start between epoch and state", "log", "start"},
  };
  bool found = true;
  for (const Defect& defect : all) {
    for (const Protocol& protocol : protocols()) {
      if (std::strcmp(protocol.name, defect.protocol) != 0) continue;
      Coverage::plantDefect(defect.name);
      const Verdict verdict = judge(protocol, limits, defect.configuration);
      Coverage::plantDefect("");
      found = found && verdict.found;
      std::printf("%-8s %-42s %s %s, %zu deviations: %s\n", protocol.name, defect.name, verdict.found ? "found" : "SURVIVES",
                  verdict.configuration, verdict.deviations, verdict.failure.c_str());
      std::fflush(stdout);
    }
  }
  return found;
}

}  // namespace ringfence::explore
