#include "line_memory.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "coverage.h"
#include "line_names.h"

namespace ringfence::explore {

namespace {

// Whether the line belongs to the host, whose memory is coherent in both models.
bool isCoherent(uint64_t offset) {
  LinePlace place{};
  return placeOf(offset, place) && place.writer == Writer::host;
}

uint64_t merged(uint64_t before, uint64_t value, uint64_t mask) { return (before & ~mask) | (value & mask); }

size_t indexOf(const Word& word) { return word.offset / 8 % 8; }

}  // namespace

void LineMemory::begin() {
  time_ = 0;
  for (uint64_t& at : fencedAt_) at = 0;
  for (uint64_t& at : owedFence_) at = 0;
  // Never destroyed: their contents lay in the arena, which was reset.
  for (auto& one : pending_) new (&one) std::vector<WriteBack>();
  for (auto& one : dropped_) new (&one) std::vector<Line*>();
}

const Actor* LineMemory::actor() {
  const Scheduler& scheduler = Scheduler::now();
  return scheduler.exploring() ? scheduler.current() : nullptr;
}

LineMemory::Line& LineMemory::line(File& file, uint64_t offset) {
  void*& at = file.lines[offset / 64];
  if (at == nullptr) {
    at = operator new(sizeof(Line));
    std::memset(at, 0, sizeof(Line));
  }
  auto& found = *static_cast<Line*>(at);
  if (!found.known && actor() != nullptr) {
    found.known = true;
    found.coherent = isCoherent(offset);
  }
  return found;
}

// An invalidation of this actor's that no fence has completed may have been made ahead of the fetch: the line stays.
LineMemory::Copy& LineMemory::copy(Line& line, bool loads) {
  Copy& own = line.copies[actor()->process->id % hostsMax];
  if (!own.present) {
    leakTo(line);
    own.present = true;
    own.dirty = own.unwritten = own.outdated = false;
    const Version* older = loads ? fetched(line, own) : nullptr;
    std::memcpy(own.words, older == nullptr ? line.memory : older->words, sizeof(own.words));
    const Version* before = older == nullptr ? line.older : older->older;
    if (before != nullptr) own.oldest = std::max(own.oldest, before->until);
    std::erase(dropped_[actor()->id], &line);
  }
  return own;
}

// A processor may have fetched the line ahead, at any time since it was invalidated last: a schedule takes one of the
// newest contents of then, or the oldest. Null: it is the present one.
const LineMemory::Version* LineMemory::fetched(const Line& line, const Copy& copy) {
  constexpr uint8_t olderMax = 3;
  Scheduler& scheduler = Scheduler::now();
  const Version* choice[olderMax] = {};
  uint8_t older = 0;
  bool unlawful = false;
  for (const Version* v = line.older; v != nullptr && v->until > copy.oldest; v = v->older) {
    older = std::min<uint8_t>(older + 1, olderMax);
    choice[older - 1] = v;
    unlawful = v->until <= copy.owedAt;
  }
  uint8_t to = 0;
  if (!scheduler.deviates(Kind::stale, to)) {
    if (unlawful) Coverage::seesMore();
    if (Chances* chances = scheduler.chances()) {
      chances->stale = older;
      chances->faulted = unlawful ? older : uint8_t{0};
    }
    return nullptr;
  }
  to = std::min(to, older);
  return to == 0 ? nullptr : choice[to - 1];
}

void LineMemory::toMemory(Line& line, Copy& copy) { toMemory(line, copy, copy.words, copy.stores); }

// What a write-back has taken ahead of a later store does not take that store along: the line stays dirty.
void LineMemory::toMemory(Line& line, Copy& copy, const uint64_t (&words)[8], uint64_t stores) {
  if (!copy.present || !copy.dirty || stores <= copy.written) return;
  auto* before = new Version();
  std::memcpy(before->words, line.memory, sizeof(before->words));
  before->until = time_ += 1;
  before->older = line.older;
  line.older = before;
  std::memcpy(line.memory, words, sizeof(line.memory));
  copy.written = stores;
  if (stores == copy.stores) copy.dirty = copy.unwritten = false;
  copy.oldest = time_;
}

// A dirty line is written back as it is invalidated.
void LineMemory::drop(Line& line) {
  Copy& own = line.copies[actor()->process->id % hostsMax];
  toMemory(line, own);
  own.present = false;
  own.oldest = std::max(own.oldest, fencedAt_[actor()->id]);
  own.owedAt = std::max({own.owedAt, own.oldest, owedFence_[actor()->id]});
}

void LineMemory::oweDrop(File& file, uint64_t offset) {
  if (actor() == nullptr) return;
  oweDrop(line(file, offset));
}

void LineMemory::oweDrop(Line& line) {
  Copy& own = line.copies[actor()->process->id % hostsMax];
  own.owedAt = std::max(own.owedAt, fencedAt_[actor()->id]);
  own.outdated = own.present;
}

void LineMemory::oweWriteBack(File& file, uint64_t offset) {
  if (!dirty(file, offset)) return;
  line(file, offset).copies[actor()->process->id % hostsMax].unwritten = true;
}

void LineMemory::oweWriteBacks() {
  if (actor() == nullptr) return;
  for (const WriteBack& one : pending_[actor()->id]) {
    Copy& own = one.line->copies[actor()->process->id % hostsMax];
    own.unwritten = own.present && own.dirty;
  }
}

// Lines that are invalidated behind the fence were not fetched ahead of it. `allSeen` is of the fence ahead of an invalidation.
void LineMemory::owe(Owed owed) {
  if (actor() == nullptr) return;
  owedFence_[actor()->id] = time_;
  if (owed == Owed::allSeen) return;
  for (Line* one : dropped_[actor()->id]) oweDrop(*one);
}

// A process that takes a line over from a killed one runs on the same host, and so shares its cache. Drop the killed
// process's dirty copy, and write a living one's back: otherwise it could be written back over the new writer's stores.
void LineMemory::takeOver(Line& line) {
  const Process* self = actor()->process;
  for (const Actor* one : Scheduler::now().actors()) {
    Copy& left = line.copies[one->process->id % hostsMax];
    if (one->process == self || !left.present || !left.dirty) continue;
    if (one->process->alive) {
      toMemory(line, left);
      line.copies[self->id % hostsMax].present = false;
    } else {
      left.present = false;
    }
  }
}

// A cache may write a dirty line back at any time. It matters only to the host that fetches the line.
void LineMemory::leakTo(Line& line) {
  Copy* dirty = nullptr;
  for (Copy& one : line.copies) {
    if (one.present && one.dirty) dirty = &one;
  }
  if (dirty == nullptr) return;
  if (dirty->unwritten) Coverage::seesMore();
  Scheduler& scheduler = Scheduler::now();
  uint8_t to = 0;
  if (scheduler.deviates(Kind::leak, to)) {
    toMemory(line, *dirty);
  } else if (Chances* chances = scheduler.chances()) {
    chances->leaks = 1;
  }
}

uint64_t LineMemory::load(const Word& word, bool) {
  Line& at = line(*word.file, word.offset);
  if (actor() == nullptr || at.coherent) return at.newest[indexOf(word)];
  const Copy& own = copy(at, true);
  if (own.outdated && !own.dirty && own.words[indexOf(word)] != at.memory[indexOf(word)]) Coverage::seesMore();
  return own.words[indexOf(word)];
}

void LineMemory::store(const Word& word, uint64_t value, bool) {
  Line& at = line(*word.file, word.offset);
  const size_t index = indexOf(word);
  if (actor() == nullptr || at.coherent) {
    at.newest[index] = at.memory[index] = merged(at.newest[index], value, word.mask);
    return;
  }
  takeOver(at);
  Copy& own = copy(at, false);
  own.words[index] = merged(own.words[index], value, word.mask);
  at.newest[index] = merged(at.newest[index], value, word.mask);
  own.dirty = true;
  own.stores += 1;
}

uint64_t LineMemory::exchange(const Word& word, uint64_t value) {
  storeFence();
  Line& at = line(*word.file, word.offset);
  const size_t index = indexOf(word);
  const uint64_t before = at.newest[index];
  at.newest[index] = at.memory[index] = merged(before, value, word.mask);
  return before;
}

void LineMemory::writeBack(File& file, uint64_t offset, uint64_t) {
  if (!dirty(file, offset)) return;
  Line& at = line(file, offset);
  const Copy& own = at.copies[actor()->process->id % hostsMax];
  WriteBack& taken = pending_[actor()->id].emplace_back(WriteBack{&at, own.stores, {}});
  std::memcpy(taken.words, own.words, sizeof(taken.words));
}

void LineMemory::invalidate(File& file, uint64_t offset, uint64_t) {
  Line& at = line(file, offset);
  if (actor() != nullptr && !at.coherent) dropped_[actor()->id].push_back(&at);
}

void LineMemory::settle(uint32_t id) {
  const Process& process = *Scheduler::now().actors()[id]->process;
  for (const WriteBack& one : pending_[id]) toMemory(*one.line, one.line->copies[process.id % hostsMax], one.words, one.stores);
  pending_[id].clear();
}

bool LineMemory::unsettled() { return actor() != nullptr && !pending_[actor()->id].empty(); }

bool LineMemory::orders(bool invalidations) {
  return unsettled() || (actor() != nullptr && invalidations && !dropped_[actor()->id].empty());
}

bool LineMemory::ordersLoads(bool leftOut) {
  return !leftOut && actor() != nullptr && time_ > fencedAt_[actor()->id];
}

bool LineMemory::dirty(File& file, uint64_t offset) {
  if (actor() == nullptr || file.lines[offset / 64] == nullptr) return false;
  const Copy& own = line(file, offset).copies[actor()->process->id % hostsMax];
  return own.present && own.dirty;
}

// Whether this host holds the line, or may have fetched it ahead of its newest write-back.
bool LineMemory::outdated(File& file, uint64_t offset) {
  if (actor() == nullptr) return false;
  const Line& at = line(file, offset);
  const Copy& own = at.copies[actor()->process->id % hostsMax];
  return !at.coherent && (own.present || (at.older != nullptr && at.older->until > own.oldest));
}

void LineMemory::storeFence() {
  if (actor() != nullptr) settle(actor()->id);
}

void LineMemory::fullFence() {
  if (actor() == nullptr) return;
  settle(actor()->id);
  for (Line* one : dropped_[actor()->id]) drop(*one);
  dropped_[actor()->id].clear();
  loadFence();
}

void LineMemory::loadFence() {
  if (actor() != nullptr) fencedAt_[actor()->id] = time_;
}

void LineMemory::begun(const Actor& actor) { fencedAt_[actor.id] = time_; }

void LineMemory::rest(Actor& actor) { settle(actor.id); }

// The process's own dirty copy counts. A killed process's does not: it may never reach memory.
uint64_t LineMemory::known(const Word& word) {
  const Line& at = line(*word.file, word.offset);
  if (actor() == nullptr || at.coherent) return at.newest[indexOf(word)];
  const Copy& own = at.copies[actor()->process->id % hostsMax];
  return own.present && own.dirty ? own.words[indexOf(word)] : at.memory[indexOf(word)];
}

uint64_t LineMemory::peek(const Word& word) { return line(*word.file, word.offset).newest[indexOf(word)]; }

}  // namespace ringfence::explore
