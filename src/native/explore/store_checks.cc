#include "store_checks.h"

#include <cstring>
#include <new>

#include "line_names.h"
#include "region/byte_lock.h"
#include "region/claim_locks.h"
#include "region/ring_layout.h"

namespace ringfence::explore {

namespace {

// The value stored last in a field that rises under one owner and may fall with the next.
struct Owned {
  uint64_t offset;
  uint64_t owner;
  uint64_t value;
};
std::vector<Owned> owned;

// The process that stores, and the region's file.
class Storing {
 public:
  explicit Storing(File& file) : file_(file), layout_(namedLayout()) {}

  bool is(const LinePlace& at, uint64_t offset, bool atomic) const {
    const Geometry& g = layout_.geometry;
    switch (at.writer) {
      case Writer::creator: return holds(processLocks);
      case Writer::process: return holds(processLocks + static_cast<off_t>(at.index));
      case Writer::claimant: return holdsSlot(tableOf(at.structure), at.index);
      case Writer::nameGiver: return holds(namesLock);
      case Writer::sequencer:
      case Writer::broker: return holdsBlock(offset);
      case Writer::laneWriter: return hasSession(laneOf(at));
      case Writer::indexReader: return hasReader(at);
      case Writer::ringWriter: return hasRing(std::strcmp(at.structure, "RingReaderFate") == 0 ? at.index / g.ringReaders : at.index);
      case Writer::ringReader: return isNamedBy<RingReaderClaim>(ringReaderAt(at.index));
      case Writer::host: return atomic || sleeps(at, offset);
    }
    return false;
  }

  // Whether the process holds the slots of the bits that it changes.
  bool holdsBits(const LinePlace& at, const Word& word, uint64_t value) const {
    for (uint64_t left = (Model::now().known(word) ^ value) & word.mask; left != 0; left &= left - 1) {
      if (!holds(processLocks + static_cast<off_t>(at.index * slotsOfWaiterLine) + __builtin_ctzll(left))) return false;
    }
    return true;
  }

  // The generations of claims: of a lane's session, of a reader's place.
  uint64_t sessionOf(uint64_t lane) const { return wordAt(sessionAt(lane) + offsetof(ClientClaim, generation), 8); }
  uint64_t readerOf(uint64_t reader) const { return wordAt(readerAt(reader) + offsetof(ReaderClaim, generation), 8); }
  uint64_t wordAt(uint64_t offset, uint32_t bytes) const {
    const uint64_t shift = 8 * (offset % 8);
    const uint64_t mask = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
    return Model::now().known({&file_, offset & ~uint64_t{7}, mask << shift}) >> shift & mask;
  }
  // The epoch that the head of the block says.
  uint64_t epochAt(uint64_t offset) const {
    const uint64_t block = (offset - layout_.blocks) / layout_.blockBytes;
    return wordAt(layout_.blocks + block * layout_.blockBytes + offsetof(EpochBlockHead, head) + offsetof(BlockHead, word), 8) >> 24;
  }
  uint64_t readerOfCursor(uint64_t cursor) const { return cursor / layout_.cursorLines() / layout_.geometry.clients; }

 private:
  static Table tableOf(const char* structure) {
    if (std::strcmp(structure, "ClientClaim") == 0) return Table::sessions;
    if (std::strcmp(structure, "ReaderClaim") == 0) return Table::readers;
    if (std::strstr(structure, "CursorSlot::Cursor") != nullptr) return Table::cursors;
    return std::strcmp(structure, "RingClaim") == 0 ? Table::rings : Table::ringReaders;
  }

  uint64_t laneOf(const LinePlace& at) const {
    return std::strcmp(at.structure, "Descriptor") == 0 ? at.index / layout_.geometry.laneSlots : at.index;
  }
  uint64_t sessionAt(uint64_t lane) const {
    return layout_.clients + lane % layout_.geometry.clients * sizeof(ClientSlot) + offsetof(ClientSlot, claim);
  }
  uint64_t readerAt(uint64_t reader) const {
    return layout_.readers + reader * sizeof(ReaderSlot) + offsetof(ReaderSlot, claim);
  }
  uint64_t ringReaderAt(uint64_t reader) const {
    return layout_.ringReaderSlots + reader * sizeof(RingReaderSlot) + offsetof(RingReaderSlot, claim);
  }

  bool holds(off_t byte) const {
    for (const Lock& lock : file_.locks) {
      if (lock.byte == byte && !lock.shared && lock.by->process == Scheduler::now().currentProcess()) return true;
    }
    return false;
  }
  bool holdsBlock(uint64_t offset) const { return holds(blockLocks + static_cast<off_t>((offset - layout_.blocks) / layout_.blockBytes)); }
  bool holdsSlot(Table table, uint64_t slot) const {
    return holds(slotLocks + static_cast<off_t>(table) * slotLocksOfTable + static_cast<off_t>(slot));
  }
  // Whether the claim at that offset names this process, which holds the lock of its slot under the slot's generation.
  template <class Claim>
  bool isNamedBy(uint64_t claim) const {
    const uint64_t process = wordAt(claim + offsetof(Claim, process), 4);
    const uint64_t owner = layout_.processes + process * sizeof(ProcessSlot) + offsetof(ProcessSlot, owner);
    return holds(processLocks + static_cast<off_t>(process)) &&
           wordAt(claim + offsetof(Claim, processGeneration), 8) == wordAt(owner + offsetof(ProcessOwner, generation), 8);
  }
  bool hasSession(uint64_t lane) const { return isNamedBy<ClientClaim>(sessionAt(lane)); }
  bool hasReader(const LinePlace& at) const {
    const bool isCursor = std::strcmp(at.structure, "LaneCursor") == 0;
    return isNamedBy<ReaderClaim>(readerAt(isCursor ? readerOfCursor(at.index) : at.index));
  }
  // A ring's lead is written ahead of its claim, under the lock of its slot.
  bool hasRing(uint64_t ring) const {
    return holdsSlot(Table::rings, ring) ||
           isNamedBy<RingClaim>(layout_.ringSlots + ring * sizeof(RingSlot) + offsetof(RingSlot, claim));
  }
  // A sleep word is set by its sleeper.
  bool sleeps(const LinePlace& at, uint64_t offset) const {
    if (std::strcmp(at.structure, "sequencer's SleepLine") == 0) return holdsBlock(offset);
    return std::strcmp(at.structure, "SleepLine") == 0 && holds(processLocks + static_cast<off_t>(at.index));
  }

  File& file_;
  const Layout& layout_;
};

uint64_t ownerOf(const Rising& rising, const Storing& storing, const LinePlace& at, uint64_t element) {
  switch (rising.owner) {
    case RisesUnder::all: return 0;
    case RisesUnder::session: return storing.sessionOf(at.index);
    case RisesUnder::reader: return storing.readerOf(at.index);
    case RisesUnder::sealed:
      return storing.wordAt(element + offsetof(SessionLine::Acknowledged, generation), 8) << 16 ^ storing.epochAt(element);
    case RisesUnder::epoch: return storing.epochAt(element);
    case RisesUnder::both:
      return storing.sessionOf(at.index / namedLayout().cursorLines()) << 32 ^ storing.readerOf(storing.readerOfCursor(at.index));
  }
  return 0;
}

// Returns the value that the owner stored there last, 0 if none, and keeps the new one in its place.
uint64_t exchanged(const Owned& now) {
  for (Owned& one : owned) {
    if (one.offset != now.offset) continue;
    const uint64_t before = one.owner == now.owner ? one.value : 0;
    one = now;
    return before;
  }
  owned.push_back(now);
  return 0;
}

[[noreturn]] void refuse(const char* what, const Word& word) {
  const Spot spot{word.file, word.offset + static_cast<uint64_t>(__builtin_ctzll(word.mask)) / 8};
  Scheduler& scheduler = Scheduler::now();
  scheduler.fail(std::string(what) + nameOf(spot) + ", stored by " + scheduler.current()->process->name);
}

// A reader that attaches sets its cursor, and sets it again where it finds another frontier: from there on it publishes it.
void lookWhetherItFalls(const Storing& storing, const LinePlace& at, const Word& word, uint64_t value, bool publishes) {
  const uint64_t element = word.offset - at.within;
  for (const Rising& rising : at.rising) {
    const bool sealed = rising.owner == RisesUnder::sealed;
    if ((sealed ? offsetof(SessionLine::Acknowledged, seal) : rising.offset / 8 * 8) != at.within) continue;
    const uint64_t shift = 8 * (rising.offset % 8);
    const uint64_t mask = rising.bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * rising.bytes) - 1;
    if ((word.mask >> shift & mask) != mask) continue;
    const uint64_t field = element + rising.offset;
    const uint64_t now = sealed ? storing.wordAt(field, 8) : value >> shift & mask;
    const uint64_t before = rising.owner == RisesUnder::all
                                ? Model::now().known(word) >> shift & mask
                                : exchanged({field, ownerOf(rising, storing, at, element), now});
    const bool begins = rising.owner == RisesUnder::reader && !publishes;
    if (now < before && !begins) refuse("what only rises falls: ", {word.file, field & ~uint64_t{7}, mask << shift});
  }
}

// Whether the store is checked: made by a schedule, in a region of the named layout.
bool concerns(const Word& word) {
  const Scheduler& scheduler = Scheduler::now();
  return scheduler.exploring() && scheduler.current() != nullptr && word.file->bytes == namedLayout().regionBytes;
}

LinePlace own(const Storing& storing, const Word& word, bool atomic) {
  LinePlace at{};
  if (!placeOf(word.offset, at)) refuse("a store where no line is: ", word);
  if (!storing.is(at, word.offset, atomic)) refuse("a store by another than the writer of ", word);
  return at;
}

}  // namespace

// Never destroyed: its contents lay in the arena, which was reset.
void StoreChecks::begin() { new (&owned) std::vector<Owned>(); }

void StoreChecks::look(const Word& word, uint64_t value, bool publishes, bool atomic) {
  if (!concerns(word)) return;
  const Storing storing(*word.file);
  const LinePlace at = own(storing, word, atomic);
  if (std::strcmp(at.structure, "CursorWaiters") == 0 && !storing.holdsBits(at, word, value)) refuse("a bit of another process: ", word);
  lookWhetherItFalls(storing, at, word, value, publishes);
}

void StoreChecks::lookAtBytes(const Word& word) {
  if (concerns(word)) own(Storing(*word.file), word, false);
}

}  // namespace ringfence::explore
