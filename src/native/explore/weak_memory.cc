#include "weak_memory.h"

#include <algorithm>
#include <cstring>

#include "coverage.h"

namespace ringfence::explore {

namespace {

constexpr uint8_t olderMax = 3;  // older values among which a load chooses
constexpr uint8_t olderMask = staleLine - 1;  // those that only a planted fault lets it see, and a mask for their number
constexpr uint32_t loadsOfASnapshot = 7;  // behind its first one
constexpr uint32_t loadsOfALag = 100;

}  // namespace

void WeakMemory::begin() {
  time_ = beginning_ = 0;
  for (View*& view : views_) view = nullptr;
}

// Null ahead of the schedule, and while a check inspects memory.
WeakMemory::View* WeakMemory::view() {
  const Scheduler& scheduler = Scheduler::now();
  if (!scheduler.exploring() || scheduler.current() == nullptr) return nullptr;
  View*& view = views_[scheduler.current()->id];
  if (view == nullptr) {
    view = new View();
    view->actor = scheduler.current()->id;
    view->floor = beginning_;
  }
  return view;
}

WeakMemory::Cell& WeakMemory::cell(const Word& word) {
  void*& line = word.file->lines[word.offset / 64];
  if (line == nullptr) {
    line = operator new(8 * sizeof(Cell));
    std::memset(line, 0, 8 * sizeof(Cell));
  }
  return static_cast<Cell*>(line)[word.offset / 8 % 8];
}

void WeakMemory::put(Cell& cell, uint64_t value, uint64_t mask) {
  const uint64_t before = cell.newest == nullptr ? 0 : cell.newest->value;
  const uint64_t now = (before & ~mask) | (value & mask);
  time_ += 1;
  cell.newest = new Version{now, time_, cell.newest};
}

void WeakMemory::buffer(Cell& cell, uint64_t value, uint64_t mask, bool release, bool held) {
  View* own = view();
  if (own == nullptr) {
    put(cell, value, mask);
    beginning_ = time_;
    return;
  }
  own->buffer.push_back({&cell, value, mask, own->number++, release, held});
  drain(*own);
}

// Makes the buffered stores visible, except those that are held and those that must not pass them.
void WeakMemory::drain(View& view) {
  for (size_t i = 0; i < view.buffer.size();) {
    const Buffered& entry = view.buffer[i];
    bool blocked = entry.held || (entry.cell == nullptr && i != 0) || (entry.release && i != 0);
    for (size_t before = 0; before < i && !blocked; before += 1) {
      const Buffered& other = view.buffer[before];
      blocked = other.cell == nullptr || (other.cell == entry.cell && (other.mask & entry.mask) != 0);
    }
    if (blocked) {
      i += 1;
      continue;
    }
    if (entry.release) settle(view, entry.number);
    if (entry.cell != nullptr) {
      put(*entry.cell, entry.value, entry.mask);
      entry.cell->seen[view.actor] = time_;
    }
    view.buffer.erase(view.buffer.begin() + static_cast<std::ptrdiff_t>(i));
    i = 0;
  }
}

void WeakMemory::drainAll(View& view) {
  view.heldLine = nullptr;
  for (Buffered& entry : view.buffer) entry.held = false;
  drain(view);
}

// Ends the loads of bytes made before `number`: each may have been made as late as now, so its bytes must not have
// changed.
void WeakMemory::settle(View& view, uint64_t number) {
  size_t kept = 0;
  bool changed = false;
  for (const Lent& lent : view.lent) {
    if (lent.number >= number) {
      view.lent[kept++] = lent;
      continue;
    }
    const uint64_t now = lent.cell->newest == nullptr ? 0 : lent.cell->newest->value;
    changed = changed || ((now ^ lent.value) & lent.mask) != 0;
  }
  view.lent.resize(kept);
  if (!changed || (view.excused != nullptr && view.excused(view.excuseData))) return;
  Scheduler::now().fail("bytes were written over while they could still be read");
}

uint64_t WeakMemory::forwarded(const View& view, const Cell& cell, uint64_t value, uint64_t& covered) const {
  covered = 0;
  for (const Buffered& entry : view.buffer) {
    if (entry.cell != &cell) continue;
    value = (value & ~entry.mask) | (entry.value & entry.mask);
    covered |= entry.mask;
  }
  return value;
}

// The value that a load sees: the newest, unless the schedule says otherwise, or has said so of a load of the same line
// shortly before. What stood there before the first store is zero, and has no version.
const WeakMemory::Version* WeakMemory::chosen(View& view, const Word& word, const Version* newest, Time floor) {
  Scheduler& scheduler = Scheduler::now();
  const void* line = word.file->lines[word.offset / 64];
  const Version* seen = newest;
  uint8_t to = 0;
  if (scheduler.deviates(Kind::stale, to)) {
    for (uint8_t left = to & olderMask; left > 0 && seen != nullptr && seen->from > floor; left -= 1) seen = seen->older;
    const Time from = seen == nullptr ? 0 : seen->from;
    view.moment = {};
    if ((to & staleLine) != 0) view.moment = {line, from, loadsOfASnapshot};
    if ((to & staleAll) != 0) view.moment = {nullptr, from, loadsOfALag};
    return seen;
  }
  if (view.moment.loadsLeft != 0 && (view.moment.line == nullptr || view.moment.line == line)) {
    view.moment.loadsLeft -= 1;
    while (seen != nullptr && seen->from > floor && seen->from > view.moment.time) seen = seen->older;
    return seen;
  }
  view.moment = {};
  Chances* chances = scheduler.chances();
  if (chances == nullptr) return seen;
  uint8_t older = 0;
  bool lawful = true;
  const uint8_t most = view.owed > floor ? olderMask : olderMax;
  for (const Version* v = newest; v != nullptr && v->from > floor && older < most; v = v->older) {
    older += 1;
    lawful = lawful && v->from > view.owed;
  }
  // For the words of a copy the schedule chooses once.
  chances->stale = std::max(chances->stale, std::min(older, olderMax));
  if (!lawful) {
    chances->faulted = std::max(chances->faulted, older);
    Coverage::seesMore();
  }
  if (older == 0) return seen;
  for (uint64_t i = 0; i < 8; i += 1) {
    const Cell& other = static_cast<const Cell*>(line)[i];
    if (other.newest != nullptr && other.newest != newest && other.newest->from > floor) chances->staleLine = std::min(older, olderMax);
  }
  return seen;
}

uint64_t WeakMemory::see(const Word& word, bool acquire, bool chooses) {
  Cell& at = cell(word);
  View* own = view();
  const Version* seen = at.newest;
  if (own == nullptr) return seen == nullptr ? 0 : seen->value;
  Time& floorOfCell = at.seen[own->actor];
  const Time floor = std::max(own->floor, floorOfCell);
  uint64_t covered = 0;
  forwarded(*own, at, 0, covered);
  if (chooses && (word.mask & ~covered) != 0) seen = chosen(*own, word, seen, floor);
  const Time from = seen == nullptr ? 0 : seen->from;
  floorOfCell = std::max(floorOfCell, from);
  own->latest = std::max(own->latest, from);
  own->last = from;
  if (acquire) own->floor = std::max(own->floor, from);
  return forwarded(*own, at, seen == nullptr ? 0 : seen->value, covered);
}

uint64_t WeakMemory::load(const Word& word, bool acquire) { return see(word, acquire, true); }

uint64_t WeakMemory::loadBytes(const Word& word) {
  const uint64_t value = see(word, false, true);
  if (View* own = view()) own->lent.push_back({&cell(word), value, word.mask, own->number++});
  return value;
}

void WeakMemory::store(const Word& word, uint64_t value, bool release) {
  uint8_t to = 0;
  bool held = Scheduler::now().deviates(Kind::hold, to);
  if (Chances* chances = Scheduler::now().chances()) chances->hold = Meetings::shared(word);
  Cell& at = cell(word);
  if (View* own = view()) {
    const void* line = word.file->lines[word.offset / 64];
    if (held && to == holdLine) own->heldLine = line;
    held = held || own->heldLine == line;
  }
  buffer(at, value, word.mask, release, held);
}

void WeakMemory::storeBytes(const Word& word, uint64_t value) { store(word, value, false); }

uint64_t WeakMemory::exchange(const Word& word, uint64_t value) {
  fullFence();
  Cell& at = cell(word);
  const uint64_t before = at.newest == nullptr ? 0 : at.newest->value;
  put(at, value, word.mask);
  if (view() == nullptr) beginning_ = time_;
  fullFence();
  return before;
}

void WeakMemory::owe(Owed owed) {
  View* own = view();
  if (own == nullptr) return;
  own->owed = std::max(own->owed, owed == Owed::lastLoad ? own->last : owed == Owed::allSeen ? own->latest : time_);
}

// Loads of bytes, too, end at a fence: until then the bytes must not change.
bool WeakMemory::unsettled() {
  const View* own = view();
  return own != nullptr && !(own->buffer.empty() && own->lent.empty());
}

void WeakMemory::storeFence() {
  View* own = view();
  if (own == nullptr) return;
  // A store fence also orders loads: those made before it end before a later store becomes visible.
  own->buffer.push_back({nullptr, 0, 0, own->number++, true, false});
  drain(*own);
}

void WeakMemory::loadFence() {
  View* own = view();
  if (own == nullptr) return;
  own->floor = std::max(own->floor, own->latest);
  settle(*own, own->number);
}

void WeakMemory::fullFence() {
  View* own = view();
  if (own == nullptr) return;
  settle(*own, own->number);
  drainAll(*own);
  own->floor = time_;
  own->moment = {};
}

void WeakMemory::acquireOfSystem(uint64_t since) {
  if (View* own = view()) own->floor = std::max(own->floor, static_cast<Time>(since));
}

void WeakMemory::releaseOfSystem() {
  View* own = view();
  if (own == nullptr) return;
  settle(*own, own->number);
  drainAll(*own);
}

void WeakMemory::rest(Actor& actor) {
  View* view = views_[actor.id];
  if (view == nullptr) return;
  view->lent.clear();
  view->moment = {};
  drainAll(*view);
}

// A new actor sees at least what the thread that starts it can see. Here it sees all.
void WeakMemory::begun(const Actor& actor) {
  views_[actor.id] = new View();
  views_[actor.id]->actor = actor.id;
  views_[actor.id]->floor = time_;
}

uint64_t WeakMemory::peek(const Word& word) {
  const Version* newest = cell(word).newest;
  return newest == nullptr ? 0 : newest->value;
}

uint64_t WeakMemory::known(const Word& word) {
  const View* own = view();
  uint64_t covered = 0;
  return own == nullptr ? peek(word) : forwarded(*own, cell(word), peek(word), covered);
}

void WeakMemory::excuse(bool (*excused)(void*), void* data) {
  if (View* own = view()) {
    own->excused = excused;
    own->excuseData = data;
  }
}

}  // namespace ringfence::explore
