#include "verb_cost.h"

#include <sys/mman.h>

#include <algorithm>

#include "region/flush.h"
#include "region/futex.h"
#include "region/publication.h"

namespace ringfence {

namespace {

struct Writer {};

struct Fields {
  uint64_t token;
  uint64_t one;
  uint64_t two;
  uint64_t others[5];
};

using Shared = Line<Fields, Writer>;

constexpr uint64_t repeats = 20'000;
constexpr int rounds = 100;

// Nanoseconds of one turn. Each turn gets another value to store, and returns what it loaded.
template <class Turn>
__attribute__((noinline)) double leastNanos(Turn turn) {
  double least = 1e9;
  for (int round = 0; round < rounds; round += 1) {
    uint64_t sum = 0;
    const uint64_t started = monotonicNanos();
    for (uint64_t i = 1; i <= repeats; i += 1) sum += turn(i);
    least = std::min(least, static_cast<double>(monotonicNanos() - started) / static_cast<double>(repeats));
    asm volatile("" : : "r"(sum));  // so that the loads are made
  }
  return least;
}

uint64_t sumOf(const Fields& fields) {
  uint64_t sum = fields.token + fields.one + fields.two;
  for (const uint64_t other : fields.others) sum += other;
  return sum;
}

// The verbs are to compile to what stands in `byHand`: functions of `memory`, which are the instructions.
struct Measured {
  const char* verb;
  double (*byHand)(Fields& fields);
  double (*withVerbs)(const Publication& p, Shared& line);
};

constexpr memory::Site here{};

const Measured measured[] = {
    {"set twice and publish",
     [](Fields& fields) {
       return leastNanos([&](uint64_t i) {
         memory::store(fields.one, i, here);
         memory::store(fields.two, i, here);
         memory::storeRelease(fields.token, i, here);
         return i;
       });
     },
     [](const Publication& p, Shared& line) {
       return leastNanos([&](uint64_t i) {
         p.on(Writer(), line).set<&Fields::one>(i).set<&Fields::two>(i).publish<&Fields::token>(i);
         return i;
       });
     }},
    {"observe",
     [](Fields& fields) {
       return leastNanos([&](uint64_t) { return memory::loadAcquire(fields.token, here); });
     },
     [](const Publication& p, Shared& line) {
       return leastNanos([&](uint64_t) { return p.observe<&Fields::token>(line); });
     }},
    {"snapshot of a line",
     [](Fields& fields) {
       return leastNanos([&](uint64_t) {
         memory::loadAcquire(fields.token, here);
         uint64_t words[sizeof(Fields) / sizeof(uint64_t)];
         const auto* from = reinterpret_cast<const uint64_t*>(&fields);
         for (size_t i = 0; i < sizeof(Fields) / sizeof(uint64_t); i += 1) words[i] = memory::load(from[i], here);
         Fields local;
         std::memcpy(&local, words, sizeof(local));
         return sumOf(local);
       });
     },
     [](const Publication& p, Shared& line) {
       return leastNanos([&](uint64_t) { return sumOf(p.snapshot<&Fields::token>(line)); });
     }},
    {"publish, full fence, observe",
     [](Fields& fields) {
       return leastNanos([&](uint64_t i) {
         memory::storeRelease(fields.token, i, here);
         memory::fullFence(here);
         return memory::loadAcquire(fields.two, here);
       });
     },
     [](const Publication& p, Shared& line) {
       return leastNanos([&](uint64_t i) {
         p.on(Writer(), line).publish<&Fields::token>(i);
         const Fenced fenced = p.fullFence();
         return p.observeBehind<&Fields::two>(fenced, line);
       });
     }},
};

}  // namespace

Status verbCosts(std::vector<VerbCost>& found) {
  void* at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return Status::failed("noSpace", "no memory for a line");
  auto& line = *static_cast<Shared*>(at);
  auto& fields = *static_cast<Fields*>(at);
  const bool flushes = memory::flushInstructions() != nullptr;
  const Publication coherent(Coherence::coherent);
  const Publication flushed(Coherence::flushed);
  found.clear();
  for (const Measured& each : measured) {
    VerbCost cost{each.verb, each.byHand(fields), each.withVerbs(coherent, line), -1};
    if (flushes) cost.flushed = each.withVerbs(flushed, line);
    found.push_back(cost);
  }
  munmap(at, sizeof(Shared));
  return Status::fine();
}

}  // namespace ringfence
