#include "cursors.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "region/claim_locks.h"
#include "region/epochs.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/quantities.h"
#include "region/sealed_line.h"
#include "replicas.h"
#include "topic_life.h"

namespace ringfence {

namespace {

using Cursor = CursorSlot::Cursor;

constexpr int lookAttempts = 64;  // at a slot that is written meanwhile
constexpr int openAttempts = 16;  // at a name that others take and free meanwhile

// SYNC: pairs with publishTwice in writeCursor(), which writes the spare first: so a process that finds the line torn finds
// the spare whole, unless the next write has begun meanwhile.
bool readCursor(const Region& region, uint32_t index, Cursor& cursor) {
  const CursorSlot& slot = region.cursor(index);
  for (int attempt = 0; attempt < lookAttempts; attempt += 1) {
    if (readEither(region.publication(), slot.cursor, slot.spare, cursor) && cursor.nameLength <= cursorNameBytes) return true;
  }
  return false;
}

// Ahead of the first look under the slot's lock. A writer that was killed between the two leaves a spare that is newer than
// the line, or a torn line: with that the next writer must not begin its spare, and some processes may have read the spare.
// SYNC: pairs with publishTwice in writeCursor(), whose spare is whole before the line is begun.
void finishWrite(const Region& region, const ClaimLock& lock, uint32_t index) {
  const Publication& p = region.publication();
  CursorSlot& slot = region.cursor(index);
  Cursor line{}, spare{};
  const bool whole = readSealed(p, slot.cursor, line);
  if (!readSealed(p, slot.spare, spare) || planted("a dead holder's write stays unfinished")) return;
  if (whole && static_cast<int32_t>(spare.changes - line.changes) <= 0) return;
  publishSealed(p, lock.claimant(), slot.cursor, Sealed(spare));
}

// Under the slot's lock.
// SYNC: pairs with readCursor, and by the lock with the next process that writes the slot.
void writeCursor(const Region& region, const ClaimLock& lock, uint32_t index, Cursor& cursor) {
  CursorSlot& slot = region.cursor(index);
  cursor.changes += 1;
  publishTwice(region.publication(), lock.claimant(), slot.cursor, slot.spare, Sealed(cursor));
}

std::string nameOf(const Cursor& cursor) { return {cursor.name, cursor.nameLength}; }

CursorView viewOf(const Region& region, uint32_t index, const Cursor& cursor) {
  CursorView view{};
  view.index = index;
  view.topic = {cursor.topic, cursor.topicGeneration};
  view.name = nameOf(cursor);
  view.holding = cursor.holding;
  view.changes = cursor.changes;
  view.committed = cursor.committed != 0;
  view.position = cursor.committed == 0 ? 0 : cursor.committed - 1;
  view.touchedMillis = cursor.touchedMillis;
  view.expiresMillis = cursor.expiresMillis;
  view.wantedMicros = cursor.wantedMicros;
  view.held = cursor.held != 0 && region.processAlive(cursor.process, cursor.processGeneration);
  if (!view.held) return view;
  const ProcessOwner owner = region.publication().snapshot<&ProcessOwner::generation>(region.process(cursor.process).owner);
  view.process.assign(owner.name, strnlen(owner.name, nameBytes));
  view.pid = seenFromHere(owner.pid, owner.pidNamespace);
  return view;
}

// What the slot holds; `none` where it is free: unnamed, its topic over, or expired.
enum class Use { none, cursor, damaged };
Use useOf(const Region& region, const TopicLives& topics, uint32_t index, uint64_t nowMillis, Cursor& cursor) {
  if (!readCursor(region, index, cursor)) return Use::damaged;
  if (cursor.nameLength == 0 || topics.over({cursor.topic, cursor.topicGeneration})) return Use::none;
  return viewOf(region, index, cursor).expired(nowMillis) ? Use::none : Use::cursor;
}

bool isNamed(const Cursor& cursor, TopicPlace topic, const std::string& name) {
  return cursor.topic == topic.index && cursor.topicGeneration == topic.generation && nameOf(cursor) == name;
}

Status damaged(uint32_t index) {
  return Status::failed("corrupt", "cursor " + std::to_string(index) + " was damaged from outside, so no new cursor can be named");
}

// The slot of the cursor of that name, if it has one; else a free one, if there is one. An expired cursor's own slot comes
// first, so that no two slots have one name if the clock goes back.
struct Found {
  std::optional<uint32_t> cursor{};
  std::optional<uint32_t> free{};
  std::optional<uint32_t> damaged{};
};
Found find(const Region& region, TopicPlace topic, const CursorRequest& request) {
  const TopicLives topics(region);
  Found found;
  Cursor cursor{};
  for (uint32_t i = 0; i < region.layout().cursors(); i += 1) {
    const Use use = useOf(region, topics, i, request.nowMillis, cursor);
    if (use == Use::damaged) {
      found.damaged = i;
      continue;
    }
    const bool named = isNamed(cursor, topic, request.name);
    if (use == Use::cursor && named) found.cursor = i;
    if (use == Use::none && (named || !found.free)) found.free = i;
  }
  return found;
}

void give(const Region& region, const CursorRequest& request, Cursor& cursor) {
  cursor.holding += 1;
  cursor.process = region.slot();
  cursor.processGeneration = region.generation();
  cursor.held = 1;
  cursor.touchedMillis = request.nowMillis;
  cursor.expiresMillis = request.expiresMillis;
}

Cursor named(const Cursor& former, TopicPlace topic, const CursorRequest& request) {
  Cursor cursor{};
  cursor.holding = former.holding;
  cursor.changes = former.changes;
  cursor.topic = topic.index;
  cursor.topicGeneration = topic.generation;
  cursor.nameLength = static_cast<uint32_t>(request.name.size());
  std::memcpy(cursor.name, request.name.data(), request.name.size());
  return cursor;
}

Status heldBy(const CursorView& view) {
  const std::string pid = "pid " + std::to_string(view.pid.pid) + (view.pid.foreign ? " of another pid namespace" : "");
  return Status::failed("held", "cursor \"" + view.name + "\" is held by process \"" + view.process + "\" (" + pid + ")");
}

// `retry`: another process took or freed the slot ahead of this one's lock.
enum class Taken { done, failed, retry };
Taken takeExisting(Region& region, uint32_t index, TopicPlace topic, const CursorRequest& request, Status& status, Cursor& cursor) {
  const ClaimLock lock = ClaimLock::ofSlot(region, Table::cursors, index);
  if (!lock.held()) {
    status = slotBusy(region, Table::cursors, index);
    return Taken::failed;
  }
  finishWrite(region, lock, index);
  if (useOf(region, TopicLives(region), index, request.nowMillis, cursor) != Use::cursor) return Taken::retry;
  if (!isNamed(cursor, topic, request.name)) return Taken::retry;
  const CursorView view = viewOf(region, index, cursor);
  if (view.held && !request.takeOver) {
    status = heldBy(view);
    return Taken::failed;
  }
  give(region, request, cursor);
  writeCursor(region, lock, index, cursor);
  return Taken::done;
}

// Under the names lock, so that no other process gives the same name. `fill` completes the new cursor.
template <class Fill>
Taken takeFree(Region& region, uint32_t index, TopicPlace topic, const CursorRequest& request, Status& status, Cursor& cursor, Fill fill) {
  const ClaimLock lock = ClaimLock::ofSlot(region, Table::cursors, index);
  if (!lock.held()) {
    status = slotBusy(region, Table::cursors, index);
    return Taken::failed;
  }
  finishWrite(region, lock, index);
  Cursor former{};
  if (useOf(region, TopicLives(region), index, request.nowMillis, former) != Use::none) return Taken::retry;
  cursor = named(former, topic, request);
  fill(cursor);
  writeCursor(region, lock, index, cursor);
  return Taken::done;
}

Status checked(const Region& region, TopicPlace topic, const std::string& name) {
  if (name.empty() || name.size() > cursorNameBytes) return Status::failed("invalid", "a cursor's name has 1 to 64 bytes");
  return topicThere(region, topic);
}

Status fullOf(const Region& region) {
  const std::string count = formatCount(region.layout().cursors());
  return Status::failed("full", "all " + count + " cursors of the region are in use, and none of them has expired");
}

Status restless() { return Status::failed("busy", "other processes are just taking and freeing cursors"); }

// The cursor of this hold, under the lock of its slot, for `change`, which also gets what writes it. `fenced` when the hold is
// over.
Status changeHeld(Region& region, const CursorHold& hold, auto change) {
  if (hold.index >= region.layout().cursors()) return Status::failed("invalid", "there is no such cursor");
  const ClaimLock lock = ClaimLock::ofSlot(region, Table::cursors, hold.index);
  if (!lock.held()) return slotBusy(region, Table::cursors, hold.index);
  finishWrite(region, lock, hold.index);
  Cursor cursor{};
  if (!readCursor(region, hold.index, cursor)) return damaged(hold.index);
  if (cursor.holding != hold.holding && !planted("a former holder commits")) return Status::failed("fenced", "another has taken the cursor");
  return change(cursor, [&] { writeCursor(region, lock, hold.index, cursor); });
}

// Most slots were never used: they need no checksum. Damage to one of the two words does not make a slot one of them.
std::vector<CursorView> cursorsOf(const Region& region, const TopicLives& topics, uint32_t* damaged) {
  std::vector<CursorView> views;
  Cursor cursor{};
  for (uint32_t i = 0; i < region.layout().cursors(); i += 1) {
    const auto [length, seal] = region.publication().observe<&Cursor::nameLength, &Cursor::seal>(region.cursor(i).cursor);
    if (length == 0 && seal == 0) continue;
    if (!readCursor(region, i, cursor)) {
      if (damaged != nullptr) *damaged += 1;
      continue;
    }
    if (cursor.nameLength == 0) continue;
    if (!topics.over({cursor.topic, cursor.topicGeneration})) views.push_back(viewOf(region, i, cursor));
  }
  return views;
}

}  // namespace

std::vector<CursorView> cursorsOf(const Region& region, uint32_t* damaged) { return cursorsOf(region, TopicLives(region), damaged); }

// SYNC: the full fence is between the reading of the clock and the look; pairs with the one in commitCursor.
CursorLook lookAtCursors(const Region& region) {
  CursorLook look;
  const TopicLives topics(region);
  look.micros = monotonicNanos() / 1000;
  static_cast<void>(region.publication().fullFence());
  look.cursors = cursorsOf(region, topics, &look.damaged);
  return look;
}

// A cursor that is there needs no names lock: it is looked at again under its slot's.
Status holdCursor(Region& region, TopicPlace topic, const CursorRequest& request, CursorHold& hold, CursorView& view) {
  Status status = checked(region, topic, request.name);
  if (!status.ok()) return status;
  for (int attempt = 0; attempt < openAttempts; attempt += 1) {
    Cursor cursor{};
    Taken taken = Taken::retry;
    Found found = find(region, topic, request);
    if (!found.cursor) {
      const ClaimLock lock = ClaimLock::ofNames(region);
      if (!lock.held()) return namesBusy(region);
      found = find(region, topic, request);
      if (!found.cursor) {
        // Its unknown name may be this one.
        if (found.damaged) return damaged(*found.damaged);
        if (!found.free) return fullOf(region);
        const auto fill = [&](Cursor& fresh) { give(region, request, fresh); };
        taken = takeFree(region, *found.free, topic, request, status, cursor, fill);
        found.cursor = found.free;
      }
    }
    if (taken == Taken::retry) taken = takeExisting(region, *found.cursor, topic, request, status, cursor);
    if (taken == Taken::failed) return status;
    if (taken == Taken::retry) continue;
    hold = {*found.cursor, cursor.holding};
    view = viewOf(region, *found.cursor, cursor);
    return Status::fine();
  }
  return restless();
}

// A holder that waits says from when on: a replica may see the commit ahead of that, and then has to look once more.
// SYNC: the full fence is between the commit and the reading of the clock. A replica reads the clock, fences, and reads the
// cursors: with a later time it has seen this commit.
Status commitCursor(Region& region, const CursorHold& hold, const CursorCommit& commit, uint64_t& micros) {
  const Status status = changeHeld(region, hold, [&](Cursor& cursor, auto write) {
    const Status there = topicThere(region, {cursor.topic, cursor.topicGeneration});
    if (!there.ok()) return there;
    const bool back = planted("a cursor goes back");
    cursor.committed = back ? commit.position + 1 : std::max(cursor.committed, commit.position + 1);
    cursor.touchedMillis = commit.nowMillis;
    write();
    static_cast<void>(region.publication().fullFence());
    micros = monotonicNanos() / 1000;
    if (!commit.wanted) return there;
    cursor.wantedMicros = micros;
    write();
    return there;
  });
  if (status.ok() && commit.wanted) region.wakeProcesses(sleepsForData);
  return status;
}

Status touchCursor(Region& region, const CursorHold& hold, uint64_t nowMillis) {
  return changeHeld(region, hold, [&](Cursor& cursor, auto write) {
    cursor.touchedMillis = nowMillis;
    write();
    return Status::fine();
  });
}

Status leaveCursor(Region& region, const CursorHold& hold, uint64_t nowMillis) {
  const Status status = changeHeld(region, hold, [&](Cursor& cursor, auto write) {
    cursor.held = 0;
    cursor.touchedMillis = nowMillis;
    write();
    return Status::fine();
  });
  if (status.ok()) region.wakeProcesses(sleepsForData);
  return status;
}

Status restoreCursor(Region& region, TopicPlace topic, const CursorRequest& request, uint64_t position, uint64_t touchedMillis) {
  Status status = checked(region, topic, request.name);
  if (!status.ok()) return status;
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  const Found found = find(region, topic, request);
  if (found.cursor) return Status::failed("invalid", "the topic has the cursor already");
  if (found.damaged) return damaged(*found.damaged);
  if (!found.free) return fullOf(region);
  Cursor cursor{};
  const auto fill = [&](Cursor& fresh) {
    fresh.committed = position + 1;
    fresh.touchedMillis = touchedMillis;
    fresh.expiresMillis = request.expiresMillis;
  };
  switch (takeFree(region, *found.free, topic, request, status, cursor, fill)) {
    case Taken::done: return Status::fine();
    case Taken::failed: return status;
    default: return restless();
  }
}

namespace {

// A replica's word, while its reader has the place. A line that is torn says nothing: its reader is just writing it.
bool readStored(const Region& region, uint32_t topic, uint32_t reader, StoredLine& line) {
  const Publication& p = region.publication();
  const ReaderSlot& slot = region.reader(topic, reader);
  const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
  if (generation == 0 || !readSealed(p, slot.stored, line)) return false;
  return line.generation == generation && p.observe<&ReaderLine::detachedGeneration>(slot.line) != generation;
}

}  // namespace

// Readers of one replica count once: they write the same files.
bool cursorsStored(const Region& region, uint32_t topic, uint64_t micros) {
  EpochView view(region);
  if (!view.look()) return false;
  const std::optional<uint32_t> copies = copiesOf(region, view);
  uint64_t required = std::max(1U, copies.value_or(1));
  std::vector<uint64_t> replicas;
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    StoredLine line{};
    if (!readStored(region, topic, i, line)) continue;
    required = std::max(required, line.replicasRequired);
    const bool counted = std::ranges::find(replicas, line.replicaKey) != replicas.end();
    if (line.storedMicros > micros && !counted) replicas.push_back(line.replicaKey);
  }
  return copies && replicas.size() >= required && view.believes();
}

}  // namespace ringfence
