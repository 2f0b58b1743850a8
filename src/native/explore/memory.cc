#include "memory.h"

#include "address_space.h"
#include "coverage.h"
#include "model.h"
#include "region/layout.h"
#include "store_checks.h"
#include "trace.h"

namespace ringfence::memory {

namespace {

using namespace explore;

// A store that a mutant makes only after the publication that follows it.
struct Delayed {
  bool waits = false;
  Word word{};
  uint64_t value = 0;
  bool release = false;
};
Delayed delayed[actorsMax];

// For each actor, whether its last verb was a store of one word, and where it has settled write-backs since.
struct Last {
  bool stored = false;
  uint64_t settledAt = 0;
};
Last last[actorsMax];

Word wordAt(const void* at, uint32_t bytes) {
  Spot spot;
  if (!AddressSpace::find(at, spot)) Scheduler::now().fail("a verb on memory that is not shared, or closed");
  const uint64_t shift = spot.offset % 8;
  const uint64_t mask = bytes == 8 ? ~uint64_t{0} : ((uint64_t{1} << 8 * bytes) - 1) << 8 * shift;
  return {spot.file, spot.offset - shift, mask};
}

int shiftOf(const Word& word) { return word.mask == ~uint64_t{0} ? 0 : __builtin_ctzll(word.mask) / 8 * 8; }

void makeDelayed(const Actor* actor = Scheduler::now().current()) {
  if (actor == nullptr || !delayed[actor->id].waits) return;
  Delayed& one = delayed[actor->id];
  one.waits = false;
  Model::now().store(one.word, one.value, one.release);
}

// Notes whether a publication follows a store of its actor at once, but for the write-backs that it settles itself:
// only then the two can be swapped.
void noteOrder(const Place& place, Verb verb) {
  const Actor* actor = Scheduler::now().current();
  if (actor == nullptr || !Scheduler::now().exploring()) return;
  Last& own = last[actor->id];
  if (verb == Verb::publish || verb == Verb::write) {
    if (verb == Verb::publish && own.stored && (own.settledAt == 0 || own.settledAt == place.key())) Coverage::followsStore();
    own = {true, 0};
  } else if ((verb == Verb::storeFence || verb == Verb::wrote) && own.stored && own.settledAt == 0) {
    own.settledAt = place.key();
  } else if (own.settledAt != place.key()) {
    own = {};
  }
}

// Two stores are swapped only if the actor's next verb is the publication; any other verb makes the delayed store first,
// unless it is a store that changes nothing.
Fault enter(const Site& site, Verb verb) {
  const Fault fault = Coverage::at(site.place(), verb);
  noteOrder(site.place(), verb);
  if (fault != Fault::none) Scheduler::now().mark();
  const bool undone = verb != Verb::write && !Coverage::plantedIn(site.place());
  if (Coverage::planted() == Fault::swapped && undone) makeDelayed();
  return fault;
}

// Whether a store has one of the two faults that the store checks find: only in a schedule, never ahead of it.
bool is(Fault fault, Fault wanted) { return fault == wanted && Scheduler::now().exploring(); }

Word astray(const Word& word) { return {word.file, offsetof(Header, geometry) + word.offset % lineBytes, word.mask}; }

uint64_t fallen(const Word& word, uint64_t value) {
  const uint64_t there = Model::now().known(word) & word.mask;
  return there == 0 ? value : there - (uint64_t{1} << shiftOf(word));
}

void step(Step::What what, const Word* word) {
  Scheduler& scheduler = Scheduler::now();
  if (!scheduler.exploring()) return;
  if (word != nullptr) {
    Meetings::touched(*word, what == Step::store);
    Coverage::meets(*word);
  }
  scheduler.step({what, word == nullptr || Meetings::shared(*word)});
}

// Makes the store that the publication was swapped with. Between the two, others may run and the process may die.
void makeSwapped() {
  const Actor* actor = Scheduler::now().current();
  if (actor == nullptr || !delayed[actor->id].waits) return;
  Scheduler::now().step({Step::store, Meetings::shared(delayed[actor->id].word)});
  makeDelayed();
}

void storeNow(const Word& word, uint64_t value, bool release, Fault fault) {
  if (fault == Fault::dropped) return;
  const Actor* actor = Scheduler::now().current();
  if (Coverage::planted() == Fault::swapped && fault != Fault::swapped && actor != nullptr &&
      Scheduler::now().exploring()) {
    const bool changes = release || ((Model::now().known(word) ^ value) & word.mask) != 0;
    if (!changes && !(delayed[actor->id].waits && delayed[actor->id].word.offset == word.offset)) return;
    makeDelayed();
    delayed[actor->id] = {true, word, value, release};
    return;
  }
  Model::now().store(word, value, release && fault != Fault::plain);
  if (fault == Fault::swapped) makeSwapped();
}

// Clears a word in one step, and returns what was there. A mutant does it in two steps, or not at all.
uint64_t clear(const Word& word, Fault fault) {
  if (fault != Fault::none) Model::now().owe(Model::Owed::now);
  if (fault == Fault::dropped) return 0;
  if (fault != Fault::torn) return Model::now().exchange(word, 0);
  const uint64_t before = Model::now().load(word, false);
  step(Step::call, &word);
  Model::now().store(word, 0, false);
  return before;
}

// Changes a word in one step by what was there, and returns what is there now. A mutant does it in two steps, or not at all.
template <class Next>
uint64_t change(Verb verb, const Word& word, const Site& site, Next next) {
  const Fault fault = enter(site, verb);
  step(Step::store, &word);
  if (fault == Fault::none) Model::now().fullFence();
  if (fault != Fault::none) Model::now().owe(Model::Owed::now);
  const uint64_t known = fault == Fault::torn ? Model::now().load(word, false) : Model::now().peek(word);
  const uint64_t value = next((known & word.mask) >> shiftOf(word));
  Trace::verb(verb, word, value, site);
  StoreChecks::look(word, value << shiftOf(word), true, true);
  if (fault == Fault::torn) {
    step(Step::call, &word);
    Model::now().store(word, value << shiftOf(word), false);
  } else if (fault == Fault::none) {
    Model::now().exchange(word, value << shiftOf(word));
  }
  return value;
}

// The words of a range of bytes, and the bytes of it that lie in each.
template <class Each>
void eachWord(const void* at, size_t bytes, Each each) {
  const auto* byte = static_cast<const uint8_t*>(at);
  for (size_t done = 0; done < bytes;) {
    Spot spot;
    if (!AddressSpace::find(byte + done, spot)) Scheduler::now().fail("a verb on memory that is not shared, or closed");
    const uint64_t within = spot.offset % 8;
    const size_t count = bytes - done < 8 - within ? bytes - done : 8 - within;
    const uint64_t ones = count == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * count) - 1;
    each(Word{spot.file, spot.offset - within, ones << 8 * within}, done, count, 8 * within);
    done += count;
  }
}

bool changes(const void* at, uint32_t bytes, uint64_t value) {
  const Word word = wordAt(at, bytes);
  return ((Model::now().known(word) ^ value << shiftOf(word)) & word.mask) != 0;
}

}  // namespace

uint64_t loadWord(const void* at, uint32_t bytes, bool acquire, const Site& site) {
  if (Scheduler::now().holdsUp()) Scheduler::now().loads();
  const Verb verb = acquire ? Verb::observe : Verb::read;
  const Fault fault = enter(site, verb);
  const Word word = wordAt(at, bytes);
  step(Step::load, &word);
  const uint64_t value = (Model::now().load(word, acquire && fault != Fault::plain) & word.mask) >> shiftOf(word);
  if (fault == Fault::plain) Model::now().owe(Model::Owed::lastLoad);
  Trace::verb(verb, word, value, site);
  return value;
}

void storeWord(void* at, uint32_t bytes, uint64_t value, bool release, const Site& site) {
  if (Scheduler::now().holdsUp() && changes(at, bytes, value)) Scheduler::now().changes(at);
  const Verb verb = release ? Verb::publish : Verb::write;
  const Fault fault = enter(site, verb);
  const Word meant = wordAt(at, bytes);
  const Word word = is(fault, Fault::astray) ? astray(meant) : meant;
  const uint64_t shifted = value << shiftOf(word);
  step(Step::store, &word);
  const uint64_t stored = is(fault, Fault::fallen) ? fallen(word, shifted) : shifted;
  Trace::verb(verb, word, stored >> shiftOf(word), site);
  StoreChecks::look(word, stored, release, false);
  storeNow(word, stored, release, fault);
}

uint64_t incrementWord(void* at, uint32_t bytes, const Site& site) {
  return change(Verb::ring, wordAt(at, bytes), site, [](uint64_t value) { return value + 1; });
}

void raise(uint64_t& word, uint64_t bits, const Site& site) {
  change(Verb::raise, wordAt(&word, sizeof(word)), site, [bits](uint64_t value) { return value | bits; });
}

void lower(uint64_t& word, uint64_t bits, const Site& site) {
  change(Verb::lower, wordAt(&word, sizeof(word)), site, [bits](uint64_t value) { return value & ~bits; });
}

uint32_t take(uint32_t& bits, const Site& site) {
  const Fault fault = enter(site, Verb::take);
  const Word word = wordAt(&bits, sizeof(bits));
  step(Step::store, &word);
  StoreChecks::look(word, 0, true, true);
  const uint64_t before = clear(word, fault);
  const auto taken = static_cast<uint32_t>((before & word.mask) >> shiftOf(word));
  Trace::verb(Verb::take, word, taken, site);
  return taken;
}

void copyOut(void* to, const void* from, size_t bytes, const Site& site) {
  enter(site, Verb::readBytes);
  if (bytes == 0) return;
  const Word first = wordAt(from, 1);
  step(Step::load, &first);
  Trace::verb(Verb::readBytes, first, bytes, site);
  eachWord(from, bytes, [&](const Word& word, size_t done, size_t count, uint64_t shift) {
    Meetings::touched(word, false);
    const uint64_t value = Model::now().loadBytes(word) >> shift;
    std::memcpy(static_cast<uint8_t*>(to) + done, &value, count);
  });
}

void copyIn(void* to, const void* from, size_t bytes, const Site& site) {
  const Fault fault = enter(site, Verb::writeBytes);
  if (bytes == 0) return;
  const Word first = wordAt(to, 1);
  step(Step::store, &first);
  Trace::verb(Verb::writeBytes, first, bytes, site);
  eachWord(to, bytes, [&](const Word& word, size_t done, size_t count, uint64_t shift) {
    Meetings::touched(word, true);
    StoreChecks::lookAtBytes(is(fault, Fault::astray) ? astray(word) : word);
    uint64_t value = 0;
    std::memcpy(&value, static_cast<const uint8_t*>(from) + done, count);
    Model::now().storeBytes(word, value << shift);
  });
}

namespace {

// Where a write-back is left out, its process may die ahead of the next one, which would make up for it.
void range(Verb verb, const void* at, size_t bytes, const Site& site) {
  const Fault fault = enter(site, verb);
  Spot spot;
  if (bytes == 0 || !AddressSpace::find(at, spot)) return;
  if (verb == Verb::wrote && Coverage::plantedIsWriteBack()) Scheduler::now().step({Step::store, false});
  Coverage::meets(Word{spot.file, spot.offset & ~uint64_t{7}, ~uint64_t{0}});
  Trace::verb(verb, Word{spot.file, spot.offset & ~uint64_t{7}, ~uint64_t{0}}, bytes, site);
  // A ring is mapped twice in a row: a range that crosses the end of its file continues at the beginning.
  const auto* byte = static_cast<const uint8_t*>(at);
  for (size_t done = 0; done < bytes;) {
    Spot each;
    if (!AddressSpace::find(byte + done, each)) return;
    const size_t count = bytes - done < 64 - each.offset % 64 ? bytes - done : 64 - each.offset % 64;
    done += count;
    const bool writesBack = verb == Verb::wrote;
    if (writesBack ? Model::now().dirty(*each.file, each.offset) : Model::now().outdated(*each.file, each.offset)) Coverage::acts();
    if (fault == Fault::dropped) {
      writesBack ? Model::now().oweWriteBack(*each.file, each.offset) : Model::now().oweDrop(*each.file, each.offset);
    } else if (writesBack) {
      Model::now().writeBack(*each.file, each.offset, count);
    } else {
      Model::now().invalidate(*each.file, each.offset, count);
    }
  }
}

// Others may run ahead of a fence that makes this actor's stores visible to them. They may also run behind it: at the
// step of the verb that follows.
bool fence(Verb verb, const Site& site) {
  const Fault fault = enter(site, verb);
  const bool ordersLoads = verb == Verb::loadFence && Model::now().ordersLoads(fault != Fault::none);
  if (ordersLoads || (verb != Verb::loadFence && Model::now().orders(verb == Verb::fullFence))) Coverage::acts();
  Scheduler::now().step({Step::load, Model::now().unsettled()});
  if (fault != Fault::none && verb == Verb::loadFence) Model::now().owe(Model::Owed::allSeen);
  if (fault != Fault::none && verb == Verb::fullFence) Model::now().owe(Model::Owed::now);
  if (fault != Fault::none) Model::now().oweWriteBacks();
  Trace::verb(verb, site);
  return fault != Fault::dropped;
}

}  // namespace

void writeBack(const void* at, size_t bytes, const Site& site) { range(Verb::wrote, at, bytes, site); }
void invalidate(const void* at, size_t bytes, const Site& site) { range(Verb::willRead, at, bytes, site); }

void storeFence(const Site& site) {
  if (fence(Verb::storeFence, site)) Model::now().storeFence();
}

void loadFence(const Site& site) {
  if (fence(Verb::loadFence, site)) Model::now().loadFence();
}

void fullFence(const Site& site) {
  if (fence(Verb::fullFence, site)) Model::now().fullFence();
}

void writeBackFence(const Site& site) { storeFence(site); }
void invalidationFence(const Site& site) { loadFence(site); }
void flushFence(const Site& site) { fullFence(site); }

}  // namespace ringfence::memory

void ringfence::evidenceFails(const char* why) { explore::Scheduler::now().fail(why); }

namespace ringfence::explore {

// A schedule begins without delayed stores.
void forgetDelayed() {
  for (auto& one : memory::delayed) one.waits = false;
  for (auto& one : memory::last) one = {};
}

void makeDelayedStores() { memory::makeDelayed(); }
// A killed process never makes its delayed store.
void makeDelayedStoresOf(const Actor& actor) {
  if (actor.process->alive) memory::makeDelayed(&actor);
}

}  // namespace ringfence::explore
