#include "judging.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <set>

#include "coverage.h"
#include "shrinking.h"

namespace ringfence::explore {

namespace {

constexpr double patience = 10;  // seconds: the limit of a mutant that may be found
// The stages of a judgement, which run one after the other until one finds the fault. `seconds` is what all its
// configurations have together when the limit is `patience`; each gets `least` of it at least.
struct Stage {
  size_t configurations;  // their number, cheapest first
  Limits limits;
  double least = 0.1;
  bool patient = false;  // not for a mutant that will hardly be found
};
constexpr Stage stages[] = {
    {100, {.deviations = 0, .seconds = 1, .seed = 1}},
    {100, {.deviations = 0, .seconds = 3, .seed = 7, .directed = 50}},
    {100, {.deviations = 0, .seconds = 8, .seed = 9, .around = 1000}},
    {100, {.deviations = 0, .seconds = 3, .seed = 2, .nearSchedules = 200}},
    {100, {.deviations = 0, .seconds = 6, .seed = 8, .directed = 1000}, 1},
    {100, {.deviations = 0, .seconds = 6, .seed = 3, .nearSchedules = 2000}},
    {10, {.deviations = 1, .seconds = 3, .seed = 4}},
    {100, {.deviations = 0, .seconds = 8, .seed = 5, .nearSchedules = 100'000}, 0.5},
    {100, {.deviations = 0, .seconds = 6, .seed = 10, .heldLines = 1000}, 0.3},
    {3, {.deviations = 2, .randomSchedules = 2000, .seconds = 4, .seed = 6}},
    {100, {.deviations = 0, .seconds = 30, .seed = 11, .around = 100'000}, 2, true},
    {100, {.deviations = 0, .seconds = 30, .seed = 12, .directed = 100'000}, 2, true},
};

// Bounds the processor time of a judgement, because a fault can make the code loop without a step. All stages together
// have less: 12 times the limit, and more for each configuration.
void boundTime(double seconds) {
  const auto most = static_cast<rlim_t>(30 + 3 * seconds);
  const rlimit limit{most, most};
  setrlimit(RLIMIT_CPU, &limit);
}

void writeAll(int to, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(to, text.data() + done, text.size() - done);
    if (count <= 0) return;
    done += static_cast<size_t>(count);
  }
}

std::string readAll(int from) {
  std::string text;
  char bytes[4096];
  for (;;) {
    const ssize_t count = read(from, bytes, sizeof(bytes));
    if (count <= 0) return text;
    text.append(bytes, static_cast<size_t>(count));
  }
}

void failsWithout(const Tried& tried, Verdict& verdict) {
  Schedule schedule;
  if (!scheduleOf(verdict.schedule, schedule)) return;
  for (const Configuration* one : tried) {
    if (verdict.configuration == one->name) verdict.alsoWithout = !runOnce(*one, schedule).empty();
  }
}

// The configurations in which the planted fault has done something: of an order of loads, let one see more. The later stages
// spend their time on these alone.
class Acting {
 public:
  explicit Acting(const Tried& tried) : tried_(tried) {}

  void note(const Configuration* one) {
    if (Coverage::plantedActs()) acting_.insert(one);
    if (Coverage::plantedSees()) seeing_.insert(one);
  }
  bool none() const { return acting_.empty(); }
  Tried those() const {
    const auto& some = Coverage::plantedOrdersLoads() && !seeing_.empty() ? seeing_ : acting_;
    Tried those;
    std::copy_if(tried_.begin(), tried_.end(), std::back_inserter(those), [&](const Configuration* one) { return some.contains(one); });
    return those;
  }

 private:
  const Tried& tried_;
  std::set<const Configuration*> acting_;
  std::set<const Configuration*> seeing_;
};

std::string takeLine(std::string& text) {
  const size_t end = text.find('\n');
  const std::string line = text.substr(0, end);
  text.erase(0, end == std::string::npos ? end : end + 1);
  return line;
}

}  // namespace

Verdict judge(const Tried& tried, const Limits& limits) {
  forgetReached();
  Acting acting(tried);
  for (const Stage& stage : stages) {
    // A fault whose verb has had nothing to do so far will hardly be found.
    if (&stage > &stages[3] && acting.none()) break;
    if (stage.patient && limits.seconds < patience) continue;
    const Tried now = &stage > &stages[3] ? acting.those() : tried;
    const size_t count = std::min(now.size(), stage.configurations);
    for (size_t i = 0; i < count; i += 1) {
      Limits own = stage.limits;
      own.seed += limits.seed;
      own.seconds = std::max(stage.least, own.seconds / static_cast<double>(count)) * std::min(limits.seconds, patience) / patience;
      Coverage::plantedRests();
      const Found found = search(*now[i], own);
      acting.note(now[i]);
      if (found.failure.empty()) continue;
      return {true, false, true, now[i]->name, textOf(shrunk(*now[i], found.schedule)), found.failure};
    }
  }
  return {false, false, !acting.none(), "", "", ""};
}

Judging::Judging(const Tried& first, const Tried& tried, const Limits& limits, void (*plant)(const void*), const void* what) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(stdout);
  child_ = fork();
  if (child_ < 0) std::abort();
  if (child_ == 0) {
    boundTime(limits.seconds * static_cast<double>(tried.size() + 6));
    if (std::freopen("/dev/null", "w", stderr) == nullptr) std::abort();
    plant(what);
    Verdict verdict = first.empty() ? Verdict{} : judge(first, limits);
    if (!verdict.found) verdict = judge(tried, limits);
    if (!verdict.found) {
      writeAll(ends[1], verdict.acts ? "survives\n" + Coverage::whatSeesMore() + "\n" : "idle\n");
    } else {
      plant(nullptr);
      failsWithout(tried, verdict);
      const std::string without = verdict.alsoWithout ? "found without\n" : "found\n";
      writeAll(ends[1], without + verdict.configuration + "\n" + verdict.schedule + "\n" + verdict.failure + "\n");
    }
    _exit(0);
  }
  ::close(ends[1]);
  from_ = ends[0];
}

Verdict Judging::verdict() {
  std::string text = readAll(from_);
  ::close(from_);
  int status = 0;
  waitpid(child_, &status, 0);
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const bool endless = signal == SIGXCPU || signal == SIGKILL;
    return {true, false, true, "", "", endless ? "it goes round without a step" : "it ends with signal " + std::to_string(signal)};
  }
  Verdict verdict;
  const std::string what = takeLine(text);
  verdict.found = what.starts_with("found");
  verdict.alsoWithout = what == "found without";
  verdict.acts = what != "idle";
  if (!verdict.found) {
    verdict.seesMore = takeLine(text);
    return verdict;
  }
  verdict.configuration = takeLine(text);
  verdict.schedule = takeLine(text);
  verdict.failure = takeLine(text);
  return verdict;
}

}  // namespace ringfence::explore
