#include "litmus.h"

#include <cstdio>
#include <functional>
#include <set>
#include <string>

#include "address_space.h"
#include "arena.h"
#include "model.h"
#include "search.h"
#include "words.h"

namespace ringfence::explore {

namespace {

// Words on lines of their own, in a file that all actors of a test have mapped.
struct alignas(64) LitmusLine {
  uint64_t word;
  uint64_t beside;
};

LitmusLine* lines = nullptr;
// The verbs, over the model that is explored.
Words p;
constexpr uint64_t unread = 9;
uint64_t results[4];  // of the schedule that runs
std::set<std::string> outcomes;

uint64_t& x() { return lines[0].word; }
uint64_t& besideX() { return lines[0].beside; }
uint64_t& y() { return lines[1].word; }
uint64_t& z() { return lines[2].word; }

// Each body is a process, and a host, of its own.
void hosts(std::initializer_list<std::function<void()>> bodies) {
  for (uint64_t& result : results) result = unread;
  Program maker("memory", false);
  maker.ahead([] {
    File& file = Files::make("");
    Files::resize(file, 4 * sizeof(LitmusLine));
    uint8_t* at = AddressSpace::reserve(file.bytes);
    AddressSpace::map(at, file.bytes, &file, 0);
    lines = reinterpret_cast<LitmusLine*>(at);
  });
  char name[] = "a";
  for (const auto& body : bodies) {
    Program(name, false).runs(body);
    name[0] += 1;
  }
  atEnd([] {
    const OutsideArena outside;
    std::string outcome;
    for (const uint64_t result : results) {
      if (result != unread) outcome += std::to_string(result);
    }
    outcomes.insert(outcome);
  });
}

// --- what each test does. The names say which verbs its sides have; results are what its loads have seen, in order.

void writtenWritten() {
  hosts({[] { p.write(x(), uint64_t{1}), p.write(y(), uint64_t{1}); },
         [] { results[0] = p.observe(y()), results[1] = p.read(x()); }});
}
void besidePublished() {
  hosts({[] { p.write(x(), uint64_t{1}), p.publish(besideX(), uint64_t{1}); },
         [] { results[0] = p.observe(besideX()), results[1] = p.read(x()); }});
}
void publishedObserved() {
  hosts({[] { p.write(x(), uint64_t{1}), p.wrote(&x(), 8), p.publish(y(), uint64_t{1}); },
         [] { results[0] = p.observe(y()), p.willRead(&x(), 8), results[1] = p.read(x()); }});
}
void unordered() {
  hosts({[] { p.write(x(), uint64_t{1}), p.wrote(&x(), 8), p.publish(y(), uint64_t{1}); },
         [] { results[0] = p.observe(y()), p.willReadUnordered(&x(), 8), results[1] = p.read(x()); }});
}
void unwritten() {
  hosts({[] { p.write(x(), uint64_t{1}), p.publish(y(), uint64_t{1}); },
         [] { results[0] = p.observe(y()), p.willRead(&x(), 8), results[1] = p.read(x()); }});
}
void cachedBefore(bool invalidated) {
  hosts({[] { p.write(x(), uint64_t{1}), p.wrote(&x(), 8), p.publish(y(), uint64_t{1}); },
         [=] {
           p.read(x());
           results[0] = p.observe(y());
           if (invalidated) p.willRead(&x(), 8);
           results[1] = p.read(x());
         }});
}
void uninvalidated() { cachedBefore(false); }
void invalidated() { cachedBefore(true); }
void readBetween() {
  // What this host itself has fetched since the fence is the oldest that it fetches again.
  hosts({[] { p.publish(x(), uint64_t{1}); },
         [] {
           results[0] = p.observe(x());
           p.willReadUnordered(&x(), 8);
           results[1] = p.read(x());
         }});
}
void readAhead() {
  // The invalidation is made ahead of the first read, not at the fences behind it.
  hosts({[] { p.publish(x(), uint64_t{1}), p.ring(z()); },
         [] {
           if (Model::now().hasLines()) memory::invalidate(&x(), 8, {});
           p.read(x());
           results[0] = p.read(z()), p.loadFence(), p.fullFence(), results[1] = p.read(x());
         }});
}
void readTwice() {
  hosts({[] { p.publish(x(), uint64_t{1}); }, [] { results[0] = p.read(x()), results[1] = p.read(x()); }});
}
void publishedRead() {
  hosts({[] { p.write(x(), uint64_t{1}), p.publish(y(), uint64_t{1}); },
         [] { results[0] = p.read(y()), results[1] = p.read(x()); }});
}
void readFencedRead() {
  hosts({[] { p.write(x(), uint64_t{1}), p.publish(y(), uint64_t{1}); },
         [] { results[0] = p.read(y()), p.loadFence(), results[1] = p.read(x()); }});
}
void fencedWritten() {
  hosts({[] { p.write(x(), uint64_t{1}), p.storeFence(), p.write(y(), uint64_t{1}); },
         [] { results[0] = p.observe(y()), results[1] = p.read(x()); }});
}
void writtenBesidePublished() {
  // A release store lets later plain stores pass it.
  hosts({[] { p.publish(x(), uint64_t{1}), p.write(y(), uint64_t{1}); },
         [] { results[0] = p.observe(y()), results[1] = p.read(x()); }});
}
void bothWays(bool fenced) {
  hosts({[=] {
           p.publish(x(), uint64_t{1});
           if (fenced) p.fullFence();
           results[0] = p.observe(y());
         },
         [=] {
           p.publish(y(), uint64_t{1});
           if (fenced) p.fullFence();
           results[1] = p.observe(x());
         }});
}
void storeThenLoad() { bothWays(false); }
void storeFenceLoad() { bothWays(true); }
void storeStoreFenceLoad() {
  hosts({[] { p.write(x(), uint64_t{1}), p.storeFence(), results[0] = p.observe(y()); },
         [] { p.write(y(), uint64_t{1}), p.storeFence(), results[1] = p.observe(x()); }});
}
void ownStore() {
  hosts({[] { p.write(x(), uint64_t{1}), results[0] = p.read(x()); }, [] { p.read(x()); }});
}
void sameWordTwice() {
  hosts({[] { p.write(x(), uint64_t{1}), p.write(x(), uint64_t{2}); },
         [] { results[0] = p.read(x()), results[1] = p.read(x()); }});
}
void copiedThenAsked(bool fenced) {
  // A reader copies, then asks whether what it copied was given up: the writer says so first.
  hosts({[] { p.publish(y(), uint64_t{1}), p.fullFence(), p.write(x(), uint64_t{1}); },
         [=] {
           results[0] = p.read(x());
           if (fenced) p.loadFence();
           results[1] = p.observe(y());
         }});
}
void askedUnfenced() { copiedThenAsked(false); }
void askedFenced() { copiedThenAsked(true); }
void passedOn() {
  hosts({[] { p.write(x(), uint64_t{1}), p.publish(y(), uint64_t{1}); },
         [] {
           if (p.observe(y()) == 1) p.publish(z(), uint64_t{1});
         },
         [] { results[0] = p.observe(z()), results[1] = p.read(x()); }});
}
void takenOnce() {
  hosts({[] { results[0] = p.take(reinterpret_cast<uint32_t&>(x())); },
         [] { p.ring(reinterpret_cast<uint32_t&>(x())); },
         [] { results[1] = p.take(reinterpret_cast<uint32_t&>(x())); }});
}
void countedTwice() {
  hosts({[] { p.ring(x()); }, [] { p.ring(x()); }, [] { p.ring(x()), results[0] = 0; }});
}

// Exactly these outcomes in each model. A test with none says nothing of that model.
struct Litmus {
  const char* name;
  void (*build)();
  std::set<std::string> weak;
  std::set<std::string> lines;
};

const Litmus tests[] = {
    {"message passing, merely written", &writtenWritten, {"00", "01", "10", "11"}, {"00", "01", "10", "11"}},
    {"message passing, published and observed", &publishedObserved, {"00", "01", "11"}, {"00", "01", "11"}},
    {"message passing, invalidated without a fence", &unordered, {}, {"00", "01", "10", "11"}},
    {"no host fetches an older line than before", &readBetween, {}, {"00", "01", "11"}},
    {"what is read ahead of the invalidation's fence", &readAhead, {}, {"00", "01", "10", "11"}},
    {"message passing, never written back", &unwritten, {"00", "01", "11"}, {"00", "01", "10", "11"}},
    {"message passing, cached before, invalidated", &invalidated, {"00", "01", "11"}, {"00", "01", "11"}},
    {"message passing, cached before, not invalidated", &uninvalidated, {"00", "01", "11"}, {"00", "01", "10", "11"}},
    {"a merely read word stays as it was fetched", &readTwice, {"00", "01", "11"}, {"00", "11"}},
    {"message passing, published and merely read", &publishedRead, {"00", "01", "10", "11"}, {}},
    {"message passing, published, read, load fence", &readFencedRead, {"00", "01", "11"}, {}},
    {"message passing, store fence between writes", &fencedWritten, {"00", "01", "11"}, {}},
    {"message passing within a line", &besidePublished, {"00", "01", "11"}, {"00", "01", "11"}},
    {"a later write passes a publication", &writtenBesidePublished, {"00", "01", "10", "11"}, {}},
    {"store then load, without a fence", &storeThenLoad, {"00", "01", "10", "11"}, {}},
    {"store then load, with a store fence", &storeStoreFenceLoad, {"00", "01", "10", "11"}, {}},
    {"store then load, with a full fence", &storeFenceLoad, {"01", "10", "11"}, {"01", "10", "11"}},
    {"a store is seen by its own actor", &ownStore, {"1"}, {"1"}},
    {"no actor sees an older value than before", &sameWordTwice, {"00", "01", "02", "11", "12", "22"}, {}},
    {"copy, then ask, without a fence", &askedUnfenced, {"00", "01", "10", "11"}, {}},
    {"copy, then ask, with a load fence", &askedFenced, {"00", "01", "11"}, {}},
    {"what is passed on twice", &passedOn, {"00", "01", "11"}, {}},
    {"of two that take, one gets it", &takenOnce, {"00", "01", "10"}, {"00", "01", "10"}},
};

std::string textOf(const std::set<std::string>& set) {
  std::string text;
  for (const std::string& one : set) text += (text.empty() ? "" : " ") + one;
  return text;
}

bool holds(const Litmus& test) {
  const std::set<std::string>& wanted = Model::now().hasLines() ? test.lines : test.weak;
  if (wanted.empty()) return true;
  outcomes.clear();
  const Configuration configuration{test.name, test.name, test.build};
  const Found found = search(configuration, {4, 0, ~uint64_t{0}, 1e9, 1});
  const bool sound = found.failure.empty() && outcomes == wanted;
  std::printf("%-4s %-48s %6llu schedules: %s%s\n", sound ? "ok" : "NOT", test.name,
              static_cast<unsigned long long>(found.schedules), textOf(outcomes).c_str(),
              sound ? "" : (", must be " + textOf(wanted) + " " + found.failure).c_str());
  return sound;
}

// No increment is lost, though the results do not say so.
bool countsAll() {
  outcomes.clear();
  static uint64_t least = 3;
  const Configuration configuration{"counted", "", [] {
    countedTwice();
    atEnd([] { least = std::min(least, peek(x())); });
  }};
  search(configuration, {3, 0, ~uint64_t{0}, 1e9, 1});
  std::printf("%-4s of three that count, none is lost\n", least == 3 ? "ok" : "NOT");
  return least == 3;
}

}  // namespace

bool litmus() {
  bool sound = true;
  p = Words(Model::now().hasLines() ? Coherence::flushed : Coherence::coherent);
  for (const Litmus& test : tests) sound = holds(test) && sound;
  return countsAll() && sound;
}

}  // namespace ringfence::explore
