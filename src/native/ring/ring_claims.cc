#include "ring_claims.h"

#include <cstring>

#include "region/claim_locks.h"
#include "region/quantities.h"
#include "region/token.h"

namespace ringfence {

namespace {

bool written(const Region& region, uint32_t ring) {
  const Publication& p = region.publication();
  const RingSlot& slot = region.ring(ring);
  const uint64_t claimed = p.observe(slot.claim.generation);
  const uint64_t seal = p.read(slot.claim.writerSeal);
  // Either the first writer died before it had the ring, or the generation was damaged: the seal tells.
  if (claimed == 0 && seal == 0) return false;
  const uint64_t generation = claimed == 0 ? p.read(slot.lead.generation) : claimed;
  if (p.observe(slot.lead.closedMark) == closedMarkOf(generation)) return false;
  const uint32_t process = p.read(slot.claim.process);
  const uint64_t processGeneration = p.read(slot.claim.processGeneration);
  // If the writer is unknown, it may be alive: no process may take the ring from it.
  if (seal != writerSealOf(generation, process, processGeneration)) return true;
  return region.processAlive(process, processGeneration);
}

constexpr int looks = 64;  // attempts to read what others may change meanwhile

// The state of a ring's name: none, or being written; whole; or damaged.
enum class Name { none, whole, damaged };

// A process names a ring under the names lock and the slot's lock. `naming` is odd while it writes the name; if it is
// even, and the same after the name was read, the name is whole unless its seal says otherwise.
// SYNC: pairs with the publishes in giveName().
Name named(const Region& region, uint32_t ring, std::string& name, uint32_t& naming) {
  const Publication& p = region.publication();
  const RingSlot& slot = region.ring(ring);
  for (int look = 0; look < looks; look += 1) {
    naming = p.observe(slot.claim.naming);
    const RingClaim claim = p.copyOut(slot.claim);
    const uint32_t seal = p.read(slot.lead.nameSeal);
    p.loadFence();
    if (p.read(slot.claim.naming) != naming) continue;
    if (naming % 2 != 0 || (seal == 0 && claim.generation == 0)) return Name::none;
    if (seal != nameSealOf(claim)) return Name::damaged;
    name.assign(claim.name, strnlen(claim.name, nameBytes));
    return Name::whole;
  }
  return Name::none;
}

bool bears(const Region& region, uint32_t ring, const std::string& name) {
  std::string found;
  uint32_t naming = 0;
  return named(region, ring, found, naming) == Name::whole && found == name;
}

// The ring of that name, or the number of rings; then `unknown` is a ring whose name is damaged, or the number of
// rings.
uint32_t findRing(const Region& region, const std::string& name, uint32_t& naming, uint32_t& unknown) {
  const uint32_t rings = region.layout().geometry.rings;
  unknown = rings;
  std::string found;
  for (uint32_t i = 0; i < rings; i += 1) {
    const Name state = named(region, i, found, naming);
    if (state == Name::whole && found == name) return i;
    if (state == Name::damaged) unknown = i;
  }
  return rings;
}

// Called under the names lock, so no other process is naming a ring. Completes names with a valid seal: the process
// that gave such a name died before it published `naming`, or `naming` was damaged.
void finishNames(const Region& region) {
  const Publication& p = region.publication();
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    RingSlot& slot = region.ring(i);
    const RingClaim claim = p.copyOut(slot.claim);
    if (claim.naming % 2 == 0 || p.read(slot.lead.nameSeal) != nameSealOf(claim)) continue;
    p.publish(slot.claim.naming, claim.naming + 1);
  }
}

// True while a living process has the reader's slot, evicted or not.
bool taken(const Region& region, uint32_t ring, uint32_t reader) {
  const Publication& p = region.publication();
  const RingReaderSlot& slot = region.ringReader(ring, reader);
  const uint64_t generation = p.observe(slot.claim.generation);
  if (generation == 0 || p.observe(slot.line.detachedGeneration) == generation) return false;
  return region.processAlive(p.read(slot.claim.process), p.read(slot.claim.processGeneration));
}

bool hasReaders(const Region& region, uint32_t ring) {
  for (uint32_t i = 0; i < region.layout().geometry.ringReaders; i += 1) {
    if (taken(region, ring, i)) return true;
  }
  return false;
}

// Called under the lock of the place.
ReaderRole takeReader(const Region& region, uint32_t ring, uint32_t reader, const std::string& name) {
  const Publication& p = region.publication();
  RingReaderClaim& slot = region.ringReader(ring, reader).claim;
  RingReaderClaim taken{};
  taken.generation = p.observe(slot.generation);
  taken.process = region.slot();
  taken.processGeneration = region.generation();
  taken.ringGeneration = p.observe(region.ring(ring).claim.generation);
  std::memcpy(taken.name, name.data(), name.size() < readerNameBytes ? name.size() : readerNameBytes - 1);
  p.copyIn(slot, taken);
  p.publish(slot.generation, taken.generation + 1);
  return {ring, reader, taken.generation + 1};
}

// Whether no writer can have left this position.
bool damaged(uint64_t position) { return position % 8 != 0 || position > (uint64_t{1} << 53); }

// Whether exactly whole frames lie between the two positions.
bool framesBetween(const Publication& p, const RingMemory& memory, uint64_t from, uint64_t to) {
  if (to - from > memory.bytes()) return false;
  while (from < to) {
    FrameHeader header;
    p.readBytes(&header, memory.at(from), sizeof(header));
    if (header.length < sizeof(header) || header.length > memory.bytes()) return false;
    if (header.checksum != frameChecksum(header, from)) return false;
    from += frameBytesOf(header.length - sizeof(header));
  }
  return from == to;
}

// Where the next writer begins: at the greater of `position` and `announced`. If they differ, the last writer died
// between publishing the two, and whole frames lie between them; otherwise one is damaged and the end is unknown
// (false).
bool endOfFrames(Region& region, uint32_t ring, uint64_t& position) {
  const Publication& p = region.publication();
  const RingLead& lead = region.ring(ring).lead;
  position = p.observe(lead.position);
  const uint64_t announced = p.read(lead.announced);
  if (position == announced) return !damaged(position);
  if (damaged(position) || damaged(announced)) return false;
  const uint64_t from = position < announced ? position : announced;
  position = position < announced ? announced : position;
  const std::shared_ptr<RingMemory> memory = region.mapRing(ring);
  return memory != nullptr && framesBetween(p, *memory, from, position);
}

}  // namespace

std::vector<RingView> ringsOf(const Region& region) {
  const Publication& p = region.publication();
  std::vector<RingView> views;
  std::string name;
  uint32_t naming = 0;
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    if (named(region, i, name, naming) != Name::whole) continue;
    const RingClaim claim = p.copyOut(region.ring(i).claim);
    if (claim.generation == 0) continue;
    const RingLead lead = p.copyOut(region.ring(i).lead);
    views.push_back({i, claim.generation, claim.process, written(region, i), lead.position, lead.frames,
                     lead.fullEvents, lead.evictions, name});
  }
  return views;
}

uint64_t ringOpenings(const Region& region) {
  uint64_t openings = 0;
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    openings += region.publication().observe(region.ring(i).claim.generation);
  }
  return openings;
}

namespace {

// Called under the slot's lock. Closes the former generation first: if this process stops or dies in here, its number
// beside the former generation must not make the former writer look alive.
// SYNC: publishes `generation` of the claim last, after the lead line; pairs with the observes in ringsOf() and
// RingReader.
void takeRing(const Region& region, uint32_t ring, uint64_t position, RingRole& role) {
  const Publication& p = region.publication();
  RingSlot& slot = region.ring(ring);
  const uint64_t former = p.read(slot.claim.generation);
  p.publish(slot.lead.closedMark, closedMarkOf(former));
  p.publish(slot.lead.announced, position);
  p.publish(slot.lead.position, position);
  p.write(slot.lead.waitsForRoom, 0U);
  p.wrote(&slot.lead, sizeof(slot.lead));
  p.publish(slot.lead.generation, former + 1);
  p.write(slot.claim.process, region.slot());
  p.write(slot.claim.processGeneration, region.generation());
  p.write(slot.claim.writerSeal, writerSealOf(former + 1, region.slot(), region.generation()));
  p.wrote(&slot.claim, sizeof(slot.claim));
  p.publish(slot.claim.generation, former + 1);
  role = {ring, former + 1, position};
}

Status corrupt(const std::string& name) {
  return Status::failed("corrupt", "ring \"" + name + "\" was damaged from outside");
}

// A ring with a damaged name may be the one that is sought.
Status corruptName(uint32_t ring) {
  return Status::failed("corrupt", "the name of ring " + std::to_string(ring) + " was damaged from outside");
}

Status exists(const std::string& name) { return Status::failed("exists", "ring \"" + name + "\" has a writer"); }

// Claims a ring that has the name. `busy` also when the ring was renamed meanwhile: the next attempt finds the name
// new.
Status followWriter(Region& region, uint32_t ring, const std::string& name, RingRole& role) {
  if (written(region, ring)) return exists(name);
  const ClaimLock lock = ClaimLock::ofSlot(region, Table::rings, ring);
  if (!lock.held() || !bears(region, ring, name)) return slotBusy(region, Table::rings, ring);
  if (written(region, ring)) return exists(name);
  uint64_t position = 0;
  if (!endOfFrames(region, ring, position)) return corrupt(name);
  takeRing(region, ring, position, role);
  return Status::fine();
}

// Called under the names lock and the slot's. Keeps the former name, and returns false, if a reader has attached under
// it.
// SYNC: makes `naming` odd, fences, and then looks for readers; a reader publishes its claim, fences, and reads
// `naming` again (claimRingReader). One of the two sees the other, and gives way.
bool giveName(const Region& region, uint32_t ring, const std::string& name) {
  const Publication& p = region.publication();
  RingClaim& claim = region.ring(ring).claim;
  const uint32_t before = p.read(claim.naming);
  const uint32_t nameless = before | 1U;
  p.publish(claim.naming, nameless);
  p.fullFence();
  if (hasReaders(region, ring)) {
    if (before % 2 == 0) p.publish(claim.naming, before + 2);
    return false;
  }
  RingClaim named{};
  std::memcpy(named.name, name.data(), name.size());
  uint64_t words[nameBytes / sizeof(uint64_t)];
  std::memcpy(words, named.name, sizeof(words));
  auto* to = reinterpret_cast<uint64_t*>(claim.name);
  for (size_t i = 0; i < nameBytes / sizeof(uint64_t); i += 1) p.write(to[i], words[i]);
  p.wrote(&claim, sizeof(claim));
  p.publish(region.ring(ring).lead.nameSeal, nameSealOf(named));
  p.publish(claim.naming, nameless + 1);
  return true;
}

// Called under the names lock. Renames a used ring only when no unused one is left, and never while it has readers.
Status nameRing(Region& region, const std::string& name, RingRole& role) {
  const Publication& p = region.publication();
  const uint32_t rings = region.layout().geometry.rings;
  uint32_t busy = rings;
  for (const bool fresh : {true, false}) {
    const auto fits = [&](uint32_t i) {
      const bool given = p.observe(region.ring(i).claim.generation) != 0 || p.read(region.ring(i).lead.nameSeal) != 0;
      return fresh ? !given : !written(region, i) && !hasReaders(region, i);
    };
    for (uint32_t i = 0; i < rings; i += 1) {
      if (!fits(i)) continue;
      const ClaimLock lock = ClaimLock::ofSlot(region, Table::rings, i);
      if (!lock.held()) busy = i;
      uint64_t position = 0;
      if (!lock.held() || !fits(i) || !endOfFrames(region, i, position) || !giveName(region, i, name)) continue;
      takeRing(region, i, position, role);
      return Status::fine();
    }
  }
  if (busy != rings) return slotBusy(region, Table::rings, busy);
  return Status::failed("full", "all " + formatCount(rings) + " rings have a writer or a reader");
}

Status openRing(Region& region, const std::string& name, RingRole& role) {
  const uint32_t rings = region.layout().geometry.rings;
  uint32_t naming = 0;
  uint32_t unknown = rings;
  const uint32_t known = findRing(region, name, naming, unknown);
  if (known != rings) return followWriter(region, known, name, role);
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  finishNames(region);
  const uint32_t given = findRing(region, name, naming, unknown);
  if (given != rings) return followWriter(region, given, name, role);
  return unknown != rings ? corruptName(unknown) : nameRing(region, name, role);
}

}  // namespace

// A known name needs only its ring's lock. For a new name, look again under the names lock before giving it: another
// process may have given it meanwhile.
Status claimRing(Region& region, const std::string& name, RingRole& role) {
  if (name.empty() || name.size() >= nameBytes) return Status::failed("invalid", "a ring's name has 1 to 31 bytes");
  const Status status = openRing(region, name, role);
  if (status.ok()) region.wakeProcesses(sleepsForAll);
  return status;
}

// A process that names a ring holds the lock of its slot until it has claimed the ring.
bool firstWriterDied(const Region& region, uint32_t ring) {
  return !slotLocked(region, Table::rings, ring) && !written(region, ring) &&
         region.publication().observe(region.ring(ring).claim.generation) == 0;
}

void abandonRing(const Region& region, const RingRole& role) {
  region.publication().publish(region.ring(role.ring).lead.closedMark, closedMarkOf(role.generation));
}

void abandonRingReader(const Region& region, const ReaderRole& role) {
  region.publication().publish(region.ringReader(role.ring, role.slot).line.detachedGeneration, role.generation);
}

uint64_t ringReaderActive(const Region& region, uint32_t ring, uint32_t index) {
  const Publication& p = region.publication();
  const RingReaderSlot& slot = region.ringReader(ring, index);
  const uint64_t generation = p.observe(slot.claim.generation);
  if (generation == 0 || p.observe(slot.line.attachedGeneration) != generation) return 0;
  if (p.observe(slot.line.detachedGeneration) == generation) return 0;
  if (p.observe(slot.fate.endedGeneration) == generation) return 0;
  return p.observe(slot.fate.evictedGeneration) == generation ? 0 : generation;
}

// SYNC: publishes the claim, fences, and reads the ring's `naming` again; a process that renames the ring makes
// `naming` odd, fences, and looks for readers (giveName). One of the two sees the other, and gives way.
Status claimRingReader(Region& region, const std::string& ringName, const std::string& name, ReaderRole& role) {
  const Publication& p = region.publication();
  const uint32_t readers = region.layout().geometry.ringReaders;
  for (int look = 0; look < looks; look += 1) {
    uint32_t naming = 0;
    const uint32_t rings = region.layout().geometry.rings;
    uint32_t unknown = rings;
    const uint32_t ring = findRing(region, ringName, naming, unknown);
    if (ring == rings && unknown != rings) return corruptName(unknown);
    if (ring == rings) return Status::failed("missing", "there is no ring of that name");
    if (damaged(p.observe(region.ring(ring).lead.position))) return corrupt(ringName);
    const auto free = [&](uint32_t i) { return !taken(region, ring, i); };
    const auto take = [&](uint32_t i, role::Claimant claimant) { role = takeReader(region, ring, i, name); };
    const uint64_t first = uint64_t{ring} * readers;
    uint64_t busy = 0;
    if (!claimSlot(region, Table::ringReaders, first, readers, busy, free, take)) {
      if (busy != first + readers) return slotBusy(region, Table::ringReaders, busy);
      return Status::failed("full", "all " + formatCount(readers) + " readers of the ring are taken");
    }
    p.fullFence();
    if (p.observe(region.ring(ring).claim.naming) == naming) {
      p.ring(region.ring(ring).table.readersVersion);
      return Status::fine();
    }
    abandonRingReader(region, role);
  }
  return Status::failed("missing", "there is no ring of that name");
}

}  // namespace ringfence
