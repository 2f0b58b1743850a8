#include "mutants.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <set>

#include "coverage.h"
#include "judging.h"
#include "model.h"
#include "sites.h"
#include "verdicts.h"

namespace ringfence::explore {

namespace {

std::vector<Fault> faultsOf(Verb verb) {
  switch (verb) {
    case Verb::write:
      return {Fault::dropped};
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
    case Verb::ring:
    case Verb::replace:
    case Verb::take:
      return {Fault::torn, Fault::dropped};
    default:
      return {};
  }
}

std::string placeOf(const Place& place) {
  const char* name = std::strrchr(place.file, '/');
  return std::string(name == nullptr ? place.file : name + 1) + ":" + std::to_string(place.line);
}

struct Site {
  SiteSeen seen;
  // That execute it, cheapest first. Those that do without a deviation come before the others.
  struct By {
    const Configuration* configuration;
    const Protocol* protocol;
    bool atOnce;
    uint32_t steps;
  };
  std::vector<By> by;
};

// The sites of all protocols, as the schedules without a fault execute them.
class Sites {
 public:
  // False when a schedule fails: its configuration then looks for no mutant.
  bool find(uint64_t seed) {
    bool sound = true;
    for (const Protocol& protocol : protocols()) {
      for (const Configuration& configuration : protocol.configurations) {
        sound = execute(protocol, configuration, seed) && sound;
      }
    }
    for (auto& [place, site] : sites_) std::sort(site.by.begin(), site.by.end(), &cheaper);
    return sound;
  }

  std::vector<const Site*> all() const {
    std::vector<const Site*> sites;
    for (const SiteSeen& seen : named_) sites.push_back(&sites_.at(keyOf(seen)));
    return sites;
  }

 private:
  using Key = std::pair<uint64_t, Verb>;
  static Key keyOf(const SiteSeen& seen) { return {seen.place.key(), seen.verb}; }

  static bool cheaper(const Site::By& a, const Site::By& b) {
    return a.atOnce != b.atOnce ? a.atOnce : a.steps < b.steps;
  }

  bool execute(const Protocol& protocol, const Configuration& configuration, uint64_t seed) {
    std::map<Key, uint64_t> before = counts();
    runOnce(configuration, {});
    std::map<Key, uint64_t> atOnce = counts();
    const Found clean = search(configuration, {.deviations = 1, .randomSchedules = 300, .seconds = 20, .seed = seed});
    named_.clear();
    for (const SiteSeen& seen : Coverage::sites()) {
      if (ofTheExplorer(seen.place)) continue;
      named_.push_back(seen);
      const Key key = keyOf(seen);
      Site& site = sites_[key];
      site.seen = seen;
      if (seen.times == before[key] || !clean.failure.empty()) continue;
      site.by.push_back({&configuration, &protocol, atOnce[key] != before[key], clean.points});
    }
    if (clean.failure.empty()) return true;
    std::printf("%s %s fails without a fault: %s\n", protocol.name, configuration.name, clean.failure.c_str());
    return false;
  }

  static std::map<Key, uint64_t> counts() {
    std::map<Key, uint64_t> counts;
    for (const SiteSeen& seen : Coverage::sites()) counts[keyOf(seen)] = seen.times;
    return counts;
  }

  std::map<Key, Site> sites_;
  std::vector<SiteSeen> named_;  // of all schedules so far, with the names that follow from them
};

struct Planted {
  const SiteSeen* site;
  Fault fault;
};

void plant(const void* what) {
  const auto* planted = static_cast<const Planted*>(what);
  if (planted == nullptr) return Coverage::plantNone();
  Coverage::plant(*planted->site, planted->fault);
}

// Runs the judgements, so many at a time, and holds them against the page's table.
class Table {
 public:
  Table(const Mutants& wanted, Verdicts& verdicts) : wanted_(wanted), verdicts_(verdicts) {}

  void judge(const Site& site) {
    Tried tried;
    bool ofProtocol = wanted_.protocol.empty();
    for (const Site::By& by : site.by) {
      ofProtocol = ofProtocol || wanted_.protocol == by.protocol->name;
      if (wanted_.configuration.empty() || wanted_.configuration == by.configuration->name) tried.push_back(by.configuration);
    }
    if (!ofProtocol || tried.empty() || site.seen.name.find(wanted_.site) == std::string::npos) return;
    sites_ += 1;
    for (const Fault fault : faultsOf(site.seen.verb)) {
      seen_ += 1;
      if ((seen_ - 1) % wanted_.every != 0) continue;
      if (running_.size() >= wanted_.jobs) finish();
      const Planted planted{&site.seen, fault};
      running_.push_back({planted, Judging(tried, wanted_.limits, &plant, &planted)});
    }
  }

  bool end(bool whole) {
    while (!running_.empty()) finish();
    std::printf("%zu sites, %zu mutants: %zu found, %zu listed as equivalent, %zu neither\n", sites_, planted_, found_,
                listed_, planted_ - found_ - listed_ + wrongly_);
    bool sound = found_ + listed_ == planted_ && wrongly_ == 0;
    for (const Listed& one : verdicts_.equivalent) {
      if (!whole || one.met) continue;
      std::printf("listed, but no such mutant survives: %s, %s\n", one.site.c_str(), one.fault.c_str());
      sound = false;
    }
    return sound;
  }

 private:
  struct Running {
    Planted planted;
    Judging judging;
  };

  void finish() {
    Running first = running_.front();
    running_.pop_front();
    const Verdict verdict = first.judging.verdict();
    const SiteSeen& site = *first.planted.site;
    Listed* listed = listedOf(verdicts_.equivalent, site.name, nameOf(first.planted.fault));
    if (listed != nullptr && verdict.found && standsForMany(*listed)) listed = nullptr;
    if (listed != nullptr) listed->met = true;
    planted_ += 1;
    std::string how;
    if (verdict.found) {
      found_ += 1;
      how = std::string(verdict.alsoWithout ? "FAILS WITHOUT THE FAULT, TOO " : "") +
            (listed == nullptr ? "found       " : "FOUND, THOUGH LISTED ") + verdict.configuration + " \"" +
            verdict.schedule + "\": " + verdict.failure;
      wrongly_ += listed == nullptr && !verdict.alsoWithout ? 0 : 1;
    } else {
      listed_ += listed == nullptr ? 0 : 1;
      how = listed == nullptr ? "SURVIVES" : "equivalent  " + listed->reason;
    }
    std::printf("%-26s %-64s %-8s %s\n", placeOf(site.place).c_str(), site.name.c_str(), nameOf(first.planted.fault), how.c_str());
    std::fflush(stdout);
  }

  const Mutants& wanted_;
  Verdicts& verdicts_;
  std::deque<Running> running_;
  size_t sites_ = 0;
  size_t seen_ = 0;
  size_t planted_ = 0;
  size_t found_ = 0;
  size_t listed_ = 0;
  size_t wrongly_ = 0;
};

// Each place in the sources where a verb stands is executed, or listed with a reason. Over coherent memory a verb that
// only writes back or invalidates does nothing: so both models execute.
bool allExecuted(Verdicts& verdicts, uint64_t seed) {
  std::set<uint64_t> executed;
  Model& chosen = Model::now();
  for (Model* model : Model::all()) {
    Model::choose(*model);
    Coverage::forget();
    for (const Protocol& protocol : protocols()) {
      for (const Configuration& one : protocol.configurations) {
        search(one, {.deviations = 1, .randomSchedules = 1000, .seconds = 10, .seed = seed});
      }
    }
    for (const SiteSeen& seen : Coverage::sites()) executed.insert(seen.place.key());
  }
  Model::choose(chosen);
  Coverage::forget();
  bool sound = true;
  for (const Place& place : compiledPlaces()) {
    if (executed.contains(place.key())) continue;
    Listed* known = listedOf(verdicts.notExecuted, functionOf(place), "");
    if (known != nullptr) known->met = true;
    sound = sound && known != nullptr;
    std::printf("%-26s %-64s %s\n", placeOf(place).c_str(), functionOf(place).c_str(),
                known == nullptr ? "NOT EXECUTED" : ("not executed: " + known->reason).c_str());
  }
  for (const Listed& one : verdicts.notExecuted) {
    if (one.met) continue;
    std::printf("%s: listed as not executed, but all its sites are\n", one.site.c_str());
    sound = false;
  }
  return sound;
}

}  // namespace

bool executesAll(uint64_t seed) {
  Verdicts verdicts;
  return readVerdicts("weak", verdicts) && allExecuted(verdicts, seed);
}

bool mutants(const Mutants& wanted) {
  Verdicts verdicts;
  if (!readVerdicts(Model::now().hasLines() ? "lines" : "weak", verdicts)) {
    std::fputs("docs/memory-model.md cannot be read\n", stderr);
    return false;
  }
  const bool whole = wanted.protocol.empty() && wanted.configuration.empty() && wanted.site.empty() && wanted.every == 1;
  const bool executed = !whole || allExecuted(verdicts, wanted.limits.seed);
  Coverage::forget();
  Sites sites;
  const bool sound = sites.find(wanted.limits.seed);
  Table table(wanted, verdicts);
  for (const Site* site : sites.all()) table.judge(*site);
  return table.end(whole) && executed && sound;
}

}  // namespace ringfence::explore
