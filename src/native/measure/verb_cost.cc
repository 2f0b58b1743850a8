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

constexpr uint64_t turns = 5'000;
constexpr int rounds = 10'000;

// Nanoseconds of one turn. Each turn gets another value to store, and returns what it loaded. Nothing is known of memory
// from one turn to the next, as nothing is from one call of a reader or writer to the next.
template <class Turn>
__attribute__((noinline)) double nanosOf(Turn turn) {
  uint64_t sum = 0;
  const uint64_t started = monotonicNanos();
  for (uint64_t i = 1; i <= turns; i += 1) {
    asm volatile("" : : : "memory");
    sum += turn(i);
  }
  const uint64_t ended = monotonicNanos();
  asm volatile("" : : "r"(sum));  // so that the loads are made
  return static_cast<double>(ended - started) / static_cast<double>(turns);
}

// Has them in this process's own memory, as a snapshot's reader has.
uint64_t kept(const Fields& fields) {
  asm volatile("" : : "m"(fields));
  return fields.token;
}

// The verbs are to cost what stands in `byHand`: functions of `memory`, which are the instructions. A turn with verbs also
// copies its region's publication, as each function does that publishes or observes.
struct Measured {
  const char* verb;
  double (*byHand)(Fields& fields);
  double (*withVerbs)(const Publication& regions, Shared& line);
};

constexpr memory::Site here{};

const Measured measured[] = {
    {"set twice and publish",
     [](Fields& fields) {
       return nanosOf([&](uint64_t i) {
         memory::store(fields.one, i, here);
         memory::store(fields.two, i, here);
         memory::storeRelease(fields.token, i, here);
         return i;
       });
     },
     [](const Publication& regions, Shared& line) {
       return nanosOf([&](uint64_t i) {
         const Publication p = regions;
         p.on(Writer(), line).set<&Fields::one>(i).set<&Fields::two>(i).publish<&Fields::token>(i);
         return i;
       });
     }},
    {"observe",
     [](Fields& fields) {
       return nanosOf([&](uint64_t) { return memory::loadAcquire(fields.token, here); });
     },
     [](const Publication& regions, Shared& line) {
       return nanosOf([&](uint64_t) {
         const Publication p = regions;
         return p.observe<&Fields::token>(line);
       });
     }},
    {"snapshot of a line",
     [](Fields& fields) {
       return nanosOf([&](uint64_t) {
         memory::loadAcquire(fields.token, here);
         const auto word = [](const uint64_t& from) { return memory::load(from, here); };
         const uint64_t(&others)[5] = fields.others;
         return kept({memory::loadAcquire(fields.token, here), word(fields.one), word(fields.two),
                      {word(others[0]), word(others[1]), word(others[2]), word(others[3]), word(others[4])}});
       });
     },
     [](const Publication& regions, Shared& line) {
       return nanosOf([&](uint64_t) {
         const Publication p = regions;
         return kept(p.snapshot<&Fields::token>(line));
       });
     }},
    {"publish, full fence, observe",
     [](Fields& fields) {
       return nanosOf([&](uint64_t i) {
         memory::storeRelease(fields.token, i, here);
         memory::fullFence(here);
         return memory::loadAcquire(fields.two, here);
       });
     },
     [](const Publication& regions, Shared& line) {
       return nanosOf([&](uint64_t i) {
         const Publication p = regions;
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
  for (const Measured& each : measured) found.push_back({each.verb, 1e9, 1e9, flushes ? 1e9 : -1});
  // In turns, so that all have the same of the machine.
  for (int round = 0; round < rounds; round += 1) {
    for (size_t i = 0; i < found.size(); i += 1) {
      const Measured& each = measured[i];
      found[i].byHand = std::min(found[i].byHand, each.byHand(fields));
      found[i].coherent = std::min(found[i].coherent, each.withVerbs(coherent, line));
      if (flushes && round % 100 == 0) found[i].flushed = std::min(found[i].flushed, each.withVerbs(flushed, line));
    }
  }
  munmap(at, sizeof(Shared));
  return Status::fine();
}

}  // namespace ringfence
