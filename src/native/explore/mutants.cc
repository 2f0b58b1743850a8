#include "mutants.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <set>

#include "coverage.h"
#include "judging.h"
#include "model.h"
#include "sites.h"
#include "verdicts.h"

namespace ringfence::explore {

namespace {

// Over flushed memory an actor's own stores and loads keep their order: that is judged over coherent memory.
std::vector<Fault> faultsOf(const SiteSeen& site) {
  const bool lines = Model::now().hasLines();
  std::vector<Fault> faults;
  switch (site.verb) {
    case Verb::write:
      return {Fault::dropped};
    case Verb::publish:
      if (!lines) faults.push_back(Fault::plain);
      if (site.followsStore) faults.push_back(Fault::swapped);
      return faults;
    case Verb::observe:
      return lines ? faults : std::vector<Fault>{Fault::plain};
    case Verb::storeFence:
    case Verb::loadFence:
    case Verb::fullFence:
      return {Fault::dropped};
    case Verb::wrote:
    case Verb::willRead:
      return lines ? std::vector<Fault>{Fault::dropped} : faults;
    case Verb::ring:
    case Verb::take:
    case Verb::raise:
    case Verb::lower:
      return lines ? std::vector<Fault>{Fault::dropped} : std::vector<Fault>{Fault::torn, Fault::dropped};
    default:
      return faults;
  }
}

std::string placeOf(const Place& place) {
  const char* name = std::strrchr(place.file, '/');
  return std::string(name == nullptr ? place.file : name + 1) + ":" + std::to_string(place.line);
}

// Whether one of the texts, which bars separate, is so.
template <class Is>
bool anyOf(const std::string& texts, Is is) {
  for (size_t at = 0; at <= texts.size();) {
    const size_t end = std::min(texts.find('|', at), texts.size());
    if (is(texts.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

bool wants(const Mutants& wanted, const Configuration& configuration) {
  return wanted.configuration.empty() || anyOf(wanted.configuration, [&](const std::string& name) { return name == configuration.name; });
}

struct Site {
  SiteSeen seen;
  // The configurations that execute it, cheapest first; those that need a deviation come after all others.
  struct By {
    const Configuration* configuration;
    const Protocol* protocol;
    bool atOnce;
    uint32_t steps;
  };
  std::vector<By> by;
};

// The sites, as the schedules without a fault execute them.
class Sites {
 public:
  // False when a schedule fails: its configuration then looks for no mutant. The configurations of other protocols than
  // the wanted one help to look for mutants of the sites that they execute as well.
  bool find(const Mutants& wanted) {
    bool sound = true;
    for (const Protocol& protocol : protocols()) {
      const bool helps = !wanted.protocol.empty() && wanted.protocol != protocol.name;
      const double seconds = wanted.site.empty() ? 3 : 0.2;
      const Limits limits = {.deviations = helps ? 0U : 1U, .randomSchedules = 300, .seconds = seconds, .seed = wanted.limits.seed};
      for (const Configuration& configuration : protocol.configurations) {
        if (!wants(wanted, configuration)) continue;
        sound = execute(protocol, configuration, limits) && sound;
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

  bool execute(const Protocol& protocol, const Configuration& configuration, const Limits& limits) {
    std::map<Key, uint64_t> before = counts();
    runOnce(configuration, {});
    std::map<Key, uint64_t> atOnce = counts();
    const Found clean = search(configuration, limits);
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

// The configurations that show what faults of a site do, where a search of all that execute it hardly comes to that. A
// site's name begins so.
struct Shown {
  const char* site;
  const char* configuration;
};
constexpr Shown shown[] = {
    {"LaneWriter::close, publish ClientLine.closingGeneration", "withdrawn"},
    {"leftItsPlace, observe ReaderLine.detachedGeneration", "passes on"},
    {"leftItsPlace, loadFence", "passes on"},
    {"LaneReader::attach, fullFence", "farewell"},
    {"Reading::session, loadFence", "last pass"},
    {"headsOf, observe BlockHead.word", "half served"},
    {"ringBell, ring BellLine.bell", "resumed"},
    {"publishRetention, write TopicLine::Retention.gatingReader", "stopped"},
    {"publishRetention, write TopicLine::Retention.firstEntry", "places"},
    {"readSealed, loadFence", "asking for room"},
    {"publishRetention, write TopicLine::Retention.unreplicated", "refused"},
    {"publishRetention, write TopicLine::Retention.firstEntry", "watched anew"},
    {"publishRetention, write TopicLine::Retention.firmTrim", "watched anew"},
    {"publishRetention, write TopicLine::Retention", "watched"},
    {"publishAcknowledged, write SessionLine::Acknowledged.leavingGeneration", "revisited"},
    {"closingOf, loadFence", "quits"},
    {"leftItsPlace", "quits"},
    {"LaneReader::peek, loadFence", "scanned"},
    {"Reading::cursors, willRead ReaderLine", "taken back"},
    {"Reading::cursors, fullFence (2)", "taken back"},
    {"Reading::cursors", "taken back anew"},
    {"Reading::session, loadFence", "cleared"},
    {"ended, ", "torn"},
    {"copiesOf", "raised"},
    {"eitherWhole, loadFence", "overtaken"},
    {"readFormer, willRead ServiceLine", "raised"},
    {"readFormer, fullFence (2)", "raised"},
    {"clearIdentity", "remains"},
    {"Region::wakeSequencer, fullFence", "asleep"},
    {"EpochView::believes, fullFence", "believed"},
    {"IndexReader::publishCursor, fullFence", "attaching"},
    {"LappedReader::letGo, wrote", "lapped at rest"},
    {"IndexReader::publishCursor, write ReaderLine.syncedSeal", "seat"},
};

// None where none is known, or is tried. The first text that fits counts, with all its rows; of several protocols that have
// a configuration of such a name, each one's.
Tried showing(const std::string& site, const Tried& tried) {
  const auto known = std::ranges::find_if(shown, [&](const Shown& one) { return site.starts_with(one.site); });
  Tried those;
  if (known == std::end(shown)) return those;
  const auto shows = [&](const Configuration* by) {
    return std::ranges::any_of(shown, [&](const Shown& one) {
      return std::strcmp(one.site, known->site) == 0 && std::strcmp(one.configuration, by->name) == 0;
    });
  };
  std::ranges::copy_if(tried, std::back_inserter(those), shows);
  if (!those.empty()) return those;
  // A short search may not have come to the site there.
  for (const Protocol& protocol : protocols()) {
    for (const Configuration& one : protocol.configurations) {
      if (shows(&one)) those.push_back(&one);
    }
  }
  return those;
}

struct Mutant {
  const Site* site;
  Fault fault;
  Tried tried;
};

void plant(const void* what) {
  const auto* planted = static_cast<const Mutant*>(what);
  if (planted == nullptr) return Coverage::plantNone();
  Coverage::plant(planted->site->seen, planted->fault);
}

// Runs the judgements, several at a time, compares them with the page's table, and counts them by protocol.
class Table {
 public:
  Table(const Mutants& wanted, Verdicts& verdicts) : wanted_(wanted), verdicts_(verdicts) {}

  void judge(const std::vector<const Site*>& sites) {
    std::vector<Mutant> mutants;
    size_t seen = 0;
    for (const Site* site : sites) {
      const Tried tried = triedOf(*site);
      if (tried.empty()) continue;
      for (const Fault fault : faultsOf(site->seen)) {
        const Mutant mutant{site, fault, tried};
        const bool isListed = listed(mutant) != nullptr;
        if (wanted_.which == (isListed ? Which::open : Which::listed)) continue;
        if (seen++ % wanted_.every == 0) mutants.push_back(mutant);
      }
    }
    total_ = mutants.size();
    for (const Mutant& mutant : mutants) {
      if (running_.size() >= wanted_.jobs) finish();
      Limits limits = wanted_.limits;
      // Spend little time on a mutant that will hardly be found.
      if (listed(mutant) != nullptr || !mutant.site->seen.acts) limits.seconds = std::min(limits.seconds, 10.0) / 10;
      const Tried first = showing(mutant.site->seen.name, mutant.tried);
      running_.push_back({mutant, Judging(first, mutant.tried, limits, &plant, &mutant), seconds()});
    }
    while (!running_.empty()) finish();
  }

  bool end(bool whole) {
    std::printf("\n%-8s %6s %8s %6s %7s %5s %8s\n", "protocol", "sites", "mutants", "found", "listed", "idle",
                "neither");
    for (const auto& [protocol, count] : counts_) {
      std::printf("%-8s %6zu %8zu %6zu %7zu %5zu %8zu\n", protocol.c_str(), count.sites.size(), count.mutants, count.found,
                  count.listed, count.idle, count.neither);
    }
    const Count& all = all_;
    std::printf("%zu sites, %zu mutants: %zu found, %zu listed as equivalent, %zu idle, %zu neither; %.0f s\n",
                all.sites.size(), all.mutants, all.found, all.listed, all.idle, all.neither + wrongly_, seconds() - began_);
    bool sound = all.neither == 0 && wrongly_ == 0;
    for (const Listed& one : verdicts_.equivalent) {
      if (!whole || one.met) continue;
      std::printf("listed, but no such mutant survives: %s, %s\n", one.site.c_str(), one.fault.c_str());
      sound = false;
    }
    return sound;
  }

 private:
  struct Running {
    Mutant mutant;
    Judging judging;
    double since;
  };

  struct Count {
    std::set<const Site*> sites;
    size_t mutants = 0;
    size_t found = 0;
    size_t listed = 0;
    size_t idle = 0;
    size_t neither = 0;
  };

  static double seconds() {
    timespec at{};
    clock_gettime(CLOCK_MONOTONIC, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
  }

  // The configurations that look for its mutants; none where the site is not wanted.
  Tried triedOf(const Site& site) const {
    Tried tried;
    bool wanted = wanted_.protocol.empty();
    for (const Site::By& by : site.by) {
      wanted = wanted || wanted_.protocol == by.protocol->name;
      if (wants(wanted_, *by.configuration)) tried.push_back(by.configuration);
    }
    return wanted && named(placeOf(site.seen.place) + " " + site.seen.name) ? tried : Tried{};
  }

  // Whether it has one of the wanted texts.
  bool named(const std::string& name) const {
    return anyOf(wanted_.site, [&](const std::string& text) { return name.find(text) != std::string::npos; });
  }

  Listed* listed(const Mutant& mutant) const {
    return listedOf(verdicts_.equivalent, mutant.site->seen.name, nameOf(mutant.fault));
  }

  // In the row of each protocol that executes its site.
  void count(const Mutant& mutant, size_t Count::*as) {
    const auto add = [&](Count& to) {
      to.sites.insert(mutant.site);
      to.mutants += 1;
      to.*as += 1;
    };
    std::set<std::string> names;
    for (const Site::By& by : mutant.site->by) names.insert(by.protocol->name);
    for (const std::string& name : names) {
      if (wanted_.protocol.empty() || wanted_.protocol == name) add(counts_[name]);
    }
    add(all_);
  }

  void say(const Mutant& mutant, const std::string& how, double took) {
    const SiteSeen& site = mutant.site->seen;
    std::printf("%4zu/%zu %4.1f s %-26s %-64s %-8s %s\n", done_, total_, took, placeOf(site.place).c_str(), site.name.c_str(),
                nameOf(mutant.fault), how.c_str());
    std::fflush(stdout);
  }

  void finish() {
    Running first = running_.front();
    running_.pop_front();
    const Verdict verdict = first.judging.verdict();
    done_ += 1;
    const double took = seconds() - first.since;
    Listed* known = listed(first.mutant);
    if (known != nullptr && verdict.found && standsForMany(*known)) known = nullptr;
    if (known != nullptr) known->met = true;
    if (verdict.found) {
      wrongly_ += known == nullptr && !verdict.alsoWithout ? 0 : 1;
      count(first.mutant, &Count::found);
      const char* how = verdict.alsoWithout ? "FAILS WITHOUT THE FAULT, TOO " : known != nullptr ? "FOUND, THOUGH LISTED " : "found       ";
      return say(first.mutant, how + verdict.configuration + " \"" + verdict.schedule + "\": " + verdict.failure, took);
    }
    if (known == nullptr && !verdict.acts) {
      count(first.mutant, &Count::idle);
      return say(first.mutant, "idle        it has nothing to do", took);
    }
    if (known == nullptr) {
      count(first.mutant, &Count::neither);
      const std::string more = verdict.seesMore.empty() ? "" : "    could see more: " + verdict.seesMore;
      return say(first.mutant, "SURVIVES" + more, took);
    }
    count(first.mutant, &Count::listed);
    say(first.mutant, "equivalent  " + known->reason, took);
  }

  const Mutants& wanted_;
  Verdicts& verdicts_;
  std::deque<Running> running_;
  std::map<std::string, Count> counts_;
  Count all_;
  size_t wrongly_ = 0;
  size_t done_ = 0;
  size_t total_ = 0;
  double began_ = seconds();
};

using Executed = std::set<uint64_t>;

// Adds the places that are executed when each configuration has so much time, and ends once nothing is missing. Over
// coherent memory a verb that only writes back or invalidates does nothing: so both models execute.
template <class Missing>
void execute(Executed& executed, double seconds, uint64_t seed, Missing missing) {
  Model& chosen = Model::now();
  for (Model* model : Model::all()) {
    Model::choose(*model);
    Coverage::forget();
    for (const Protocol& protocol : protocols()) {
      for (const Configuration& one : protocol.configurations) {
        if (!missing()) break;
        search(one, {.deviations = 1, .randomSchedules = 1000, .seconds = seconds, .seed = seed});
        for (const SiteSeen& seen : Coverage::sites()) executed.insert(seen.place.key());
      }
    }
  }
  Model::choose(chosen);
  Coverage::forget();
}

// Each place in the sources where a verb stands is executed, or listed with a reason. Only what a short search does not
// reach is searched for at length.
bool allExecuted(Verdicts& verdicts, uint64_t seed) {
  Executed executed;
  const std::vector<Place> places = compiledPlaces();
  const auto explained = [&](const Place& place) {
    return executed.contains(place.key()) || listedOf(verdicts.notExecuted, functionOf(place), "") != nullptr;
  };
  for (const double seconds : {0.1, 1.0, 10.0}) {
    execute(executed, seconds, seed, [&] { return !std::ranges::all_of(places, explained); });
  }
  bool sound = true;
  for (const Place& place : places) {
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
  const bool whole = wanted.protocol.empty() && wanted.configuration.empty() && wanted.site.empty() && wanted.every == 1 &&
                     wanted.which == Which::all;
  const bool executed = !whole || allExecuted(verdicts, wanted.limits.seed);
  Coverage::forget();
  Sites sites;
  const bool sound = sites.find(wanted);
  Table table(wanted, verdicts);
  table.judge(sites.all());
  return table.end(whole) && executed && sound;
}

}  // namespace ringfence::explore
