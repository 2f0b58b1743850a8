#include "ring_claims.h"

#include <algorithm>
#include <cstring>

#include "region/claim_locks.h"
#include "region/quantities.h"
#include "region/token.h"
#include "ring_reader.h"
#include "ring_writer.h"

namespace ringfence {

namespace {

bool written(const Region& region, uint32_t ring) {
  const Publication& p = region.publication();
  const RingSlot& slot = region.ring(ring);
  const RingClaim claim = p.snapshot<&RingClaim::generation>(slot.claim);
  // Either the first writer died before it had the ring, or the generation was damaged: the seal tells.
  if (claim.generation == 0 && claim.writerSeal == 0) return false;
  const RingLead lead = p.snapshot<&RingLead::closedMark>(slot.lead);
  const uint64_t generation = claim.generation == 0 ? lead.generation : claim.generation;
  if (lead.closedMark == closedMarkOf(generation)) return false;
  // If the writer is unknown, it may be alive: no process may take the ring from it.
  if (claim.writerSeal != writerSealOf(generation, claim.process, claim.processGeneration)) return true;
  return region.processAlive(claim.process, claim.processGeneration);
}

constexpr int looks = 64;  // attempts to read what others may change meanwhile

// The state of a ring's name: none, or being written; whole; or damaged.
enum class Name { none, whole, damaged };

// A process names a ring under the names lock. `naming` is odd while it writes the name; if it is even, and the same
// after the name was read, the name is whole unless its seal says otherwise.
// SYNC: pairs with the publishes in giveName().
Name named(const Region& region, uint32_t ring, std::string& name, uint32_t& naming) {
  const Publication& p = region.publication();
  const auto& line = region.ring(ring).name;
  for (int look = 0; look < looks; look += 1) {
    const RingName seen = p.snapshot<&RingName::naming>(line);
    naming = seen.naming;
    if (p.observeAfterReads<&RingName::naming>(line) != naming) continue;
    if (naming % 2 != 0 || (seen.seal == 0 && naming == 0)) return Name::none;
    if (seen.seal != nameSealOf(seen)) return Name::damaged;
    name.assign(seen.name, strnlen(seen.name, nameBytes));
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
void finishNames(const Region& region, role::NameGiver giver) {
  const Publication& p = region.publication();
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    auto& line = region.ring(i).name;
    const RingName name = p.copy(line);
    if (name.naming % 2 == 0 || name.seal != nameSealOf(name)) continue;
    p.on(giver, line).publish<&RingName::naming>(name.naming + 1);
  }
}

// True while a living process has the reader's slot, evicted or not.
bool taken(const Region& region, uint32_t ring, uint32_t reader) {
  const Publication& p = region.publication();
  const RingReaderSlot& place = region.ringReader(ring, reader);
  const RingReaderClaim claim = p.snapshot<&RingReaderClaim::generation>(place.claim);
  if (claim.generation == 0) return false;
  const auto [attached, detached] =
      p.observe<&RingReaderLine::attachedGeneration, &RingReaderLine::detachedGeneration>(place.line);
  if (detached == std::max(claim.generation, attached)) return false;
  return region.processAlive(claim.process, claim.processGeneration);
}

// Called behind a fence: when one process claims a reader's place while another gives the ring a new name, at least one
// of them sees the other.
bool hasReaders(const Fenced&, const Region& region, uint32_t ring) {
  for (uint32_t i = 0; i < region.layout().geometry.ringReaders; i += 1) {
    if (taken(region, ring, i)) return true;
  }
  return false;
}

// Called under the lock of the place.
ReaderRole takeReader(const Region& region, uint32_t ring, uint32_t reader, const std::string& name, role::Claimant claimant) {
  const Publication& p = region.publication();
  RingReaderSlot& place = region.ringReader(ring, reader);
  const uint64_t next = readerGeneration(p, place) + 1;
  RingReaderClaim taken{};
  taken.generation = p.observe<&RingReaderClaim::generation>(place.claim);
  taken.process = region.slot();
  taken.processGeneration = region.generation();
  std::memcpy(taken.name, name.data(), name.size() < readerNameBytes ? name.size() : readerNameBytes - 1);
  const ReaderRole role{ring, reader, next == 0 ? 1 : next};
  p.on(claimant, place.claim).all(taken).publish<&RingReaderClaim::generation>(role.generation);
  return role;
}

// Whether no writer can have left this position.
bool damaged(uint64_t position) { return position % 8 != 0 || position > (uint64_t{1} << 53); }

// Whether exactly whole frames lie between the two positions.
bool framesBetween(const Publication& p, const RingMemory& memory, const Seen<Frames>& seen, uint64_t from, uint64_t to) {
  if (to - from > memory.bytes()) return false;
  while (from < to) {
    FrameHeader header;
    p.read(&header, memory.frames(from, sizeof(header)), seen);
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
  const auto& lead = region.ring(ring).lead;
  const uint64_t announced = p.observe<&RingLead::announced>(lead);
  const auto published = p.observeCovering<&RingLead::position>(lead);
  position = std::max(published.value, announced);
  if (published.value == announced) return !damaged(position);
  if (damaged(published.value) || damaged(announced)) return false;
  const std::shared_ptr<RingMemory> memory = region.mapRing(ring);
  return memory != nullptr && framesBetween(p, *memory, published.seen, std::min(published.value, announced), position);
}

}  // namespace

std::vector<RingView> ringsOf(const Region& region) {
  const Publication& p = region.publication();
  std::vector<RingView> views;
  std::string name;
  uint32_t naming = 0;
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    if (named(region, i, name, naming) != Name::whole) continue;
    const RingClaim claim = p.snapshot<&RingClaim::generation>(region.ring(i).claim);
    if (claim.generation == 0) continue;
    const RingLead lead = p.snapshot<&RingLead::position>(region.ring(i).lead);
    views.push_back({i, claim.generation, claim.process, written(region, i), lead.position, lead.frames,
                     lead.fullEvents, lead.evictions, name});
  }
  return views;
}

uint64_t ringOpenings(const Region& region) {
  uint64_t openings = 0;
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    openings += region.publication().observe<&RingClaim::generation>(region.ring(i).claim);
  }
  return openings;
}

namespace {

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
  role = RingWriter::take(lock.claimant(), region, ring, position);
  return Status::fine();
}

// Called under the names lock and the slot's. Keeps the former name, and returns false, if a reader has attached under
// it.
// SYNC: makes `naming` odd, fences, and then looks for readers; a reader publishes its claim, fences, and reads
// `naming` again (claimRingReader). One of the two sees the other, and gives way.
bool giveName(const Region& region, uint32_t ring, const std::string& name, role::NameGiver giver) {
  const Publication& p = region.publication();
  auto& line = region.ring(ring).name;
  const uint32_t before = p.observe<&RingName::naming>(line);
  const uint32_t nameless = before | 1U;
  p.on(giver, line).publish<&RingName::naming>(nameless);
  if (hasReaders(p.fullFence(), region, ring)) {
    if (before % 2 == 0) p.on(giver, line).publish<&RingName::naming>(before + 2);
    return false;
  }
  RingName given{};
  std::memcpy(given.name, name.data(), name.size());
  p.on(giver, line)
    .copy<&RingName::name>(given.name)
    .publish<&RingName::seal>(nameSealOf(given))
    .publish<&RingName::naming>(nameless + 1);
  return true;
}

// Called under the names lock. Renames a used ring only when no unused one is left, and never while it has readers.
Status nameRing(Region& region, const std::string& name, role::NameGiver giver, RingRole& role) {
  const Publication& p = region.publication();
  const uint32_t rings = region.layout().geometry.rings;
  uint32_t busy = rings;
  for (const bool fresh : {true, false}) {
    const auto fits = [&](uint32_t i) {
      const bool given = p.observe<&RingClaim::generation>(region.ring(i).claim) != 0 ||
                         p.observe<&RingName::seal>(region.ring(i).name) != 0;
      return fresh ? !given : !written(region, i) && !hasReaders(p.fullFence(), region, i);
    };
    for (uint32_t i = 0; i < rings; i += 1) {
      if (!fits(i)) continue;
      const ClaimLock lock = ClaimLock::ofSlot(region, Table::rings, i);
      if (!lock.held()) busy = i;
      uint64_t position = 0;
      if (!lock.held() || !fits(i) || !endOfFrames(region, i, position) || !giveName(region, i, name, giver)) continue;
      role = RingWriter::take(lock.claimant(), region, i, position);
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
  finishNames(region, lock.nameGiver());
  const uint32_t given = findRing(region, name, naming, unknown);
  if (given != rings) return followWriter(region, given, name, role);
  return unknown != rings ? corruptName(unknown) : nameRing(region, name, lock.nameGiver(), role);
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
         region.publication().observe<&RingClaim::generation>(region.ring(ring).claim) == 0;
}

uint64_t readerGeneration(const Publication& p, const RingReaderSlot& place) {
  const uint64_t claimed = p.observe<&RingReaderClaim::generation>(place.claim);
  return std::max(claimed, p.observe<&RingReaderLine::attachedGeneration>(place.line));
}

// A claim that is newer than the line has not attached yet.
ActiveReader activeReader(const Region& region, uint32_t ring, uint32_t index) {
  const Publication& p = region.publication();
  const RingReaderSlot& place = region.ringReader(ring, index);
  const uint64_t claimed = p.observe<&RingReaderClaim::generation>(place.claim);
  if (claimed == 0) return {};
  const auto [attached, detached, released] =
      p.observe<&RingReaderLine::attachedGeneration, &RingReaderLine::detachedGeneration, &RingReaderLine::released>(place.line);
  if (attached < claimed || detached == attached) return {};
  const auto [ended, evicted] =
      p.observe<&RingReaderFate::endedGeneration, &RingReaderFate::evictedGeneration>(place.fate);
  if (ended == attached || evicted == attached) return {};
  return {attached, released};
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
    if (damaged(p.observe<&RingLead::position>(region.ring(ring).lead))) return corrupt(ringName);
    const auto free = [&](uint32_t i) { return !taken(region, ring, i); };
    const auto take = [&](uint32_t i, role::Claimant claimant) { role = takeReader(region, ring, i, name, claimant); };
    const uint64_t first = uint64_t{ring} * readers;
    uint64_t busy = 0;
    if (!claimSlot(region, Table::ringReaders, first, readers, busy, free, take)) {
      if (busy != first + readers) return slotBusy(region, Table::ringReaders, busy);
      return Status::failed("full", "all " + formatCount(readers) + " readers of the ring are taken");
    }
    const Fenced fenced = p.fullFence();
    if (p.observeBehind<&RingName::naming>(fenced, region.ring(ring).name) == naming) return Status::fine();
    RingReader::abandon(region, role);
  }
  return Status::failed("missing", "there is no ring of that name");
}

}  // namespace ringfence
