#include "ring_claims.h"

#include <cstring>

namespace ringfence {

namespace {

class ClaimsLock {
 public:
  explicit ClaimsLock(Region& region) : region_(region), held_(region.tryLockClaims()) {}
  ~ClaimsLock() {
    if (held_) region_.unlockClaims();
  }
  ClaimsLock(const ClaimsLock&) = delete;
  ClaimsLock& operator=(const ClaimsLock&) = delete;
  bool held() const { return held_; }

 private:
  Region& region_;
  bool held_;
};

Status busy() { return Status::failed("busy", "another process is claiming a slot"); }

bool written(const Region& region, uint32_t ring) {
  const Publication& p = region.publication();
  const RingSlot& slot = region.ring(ring);
  const uint64_t generation = p.observe(slot.claim.generation);
  if (generation == 0 || p.observe(slot.lead.closedGeneration) == generation) return false;
  return region.processAlive(p.read(slot.claim.process), p.read(slot.claim.processGeneration));
}

std::string nameOf(const RingClaim& claim) { return std::string(claim.name, strnlen(claim.name, nameBytes)); }

// True while somebody who lives has the reader's slot, whether its cursors count or not.
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

// A position that no writer can have left.
bool damaged(uint64_t position) { return position % 8 != 0 || position > (uint64_t{1} << 53); }

}  // namespace

std::vector<RingView> ringsOf(const Region& region) {
  const Publication& p = region.publication();
  std::vector<RingView> views;
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    if (p.observe(region.ring(i).claim.generation) == 0) continue;
    const RingClaim claim = p.copyOut(region.ring(i).claim);
    const RingLead lead = p.copyOut(region.ring(i).lead);
    views.push_back({i, claim.generation, claim.process, written(region, i), lead.position, lead.frames,
                     lead.fullEvents, lead.evictions, nameOf(claim)});
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

// SYNC: the lead line is written first; `generation` of the claim is published last and pairs with the observes in
// ringsOf() and RingReader.
Status claimRing(Region& region, const std::string& name, RingRole& role) {
  if (name.empty() || name.size() >= nameBytes) return Status::failed("invalid", "a ring's name has 1 to 31 bytes");
  const ClaimsLock lock(region);
  if (!lock.held()) return busy();
  const Publication& p = region.publication();
  const uint32_t rings = region.layout().geometry.rings;
  uint32_t found = rings;
  for (uint32_t i = 0; i < rings; i += 1) {
    const RingClaim claim = p.copyOut(region.ring(i).claim);
    if (claim.generation == 0) {
      if (found == rings) found = i;
      continue;
    }
    if (nameOf(claim) != name) continue;
    if (written(region, i)) return Status::failed("exists", "ring \"" + name + "\" has a writer");
    found = i;
    break;
  }
  // Taken over for another name only when no fresh one is left, and never under those who still read it.
  for (uint32_t i = 0; found == rings && i < rings; i += 1) {
    if (!written(region, i) && !hasReaders(region, i)) found = i;
  }
  if (found == rings) return Status::failed("full", "all " + std::to_string(rings) + " rings are written or read");
  RingSlot& slot = region.ring(found);
  const uint64_t generation = p.read(slot.claim.generation) + 1;
  const uint64_t position = p.observe(slot.lead.position);
  if (damaged(position)) return Status::failed("corrupt", "ring \"" + name + "\" was damaged from outside");
  p.write(slot.lead.firstPosition, position);
  p.write(slot.lead.waitsForRoom, 0U);
  p.wrote(&slot.lead, sizeof(slot.lead));
  p.publish(slot.lead.generation, generation);
  p.write(slot.claim.process, region.slot());
  p.write(slot.claim.processGeneration, region.generation());
  // A name that stays is not touched: others read it at any time, and whoever dies here must not leave half of it.
  if (nameOf(p.copyOut(slot.claim)) != name) {
    std::memset(slot.claim.name, 0, nameBytes);
    std::memcpy(slot.claim.name, name.data(), name.size());
  }
  p.wrote(&slot.claim, sizeof(slot.claim));
  p.publish(slot.claim.generation, generation);
  role = {found, generation, position};
  region.wakeProcesses(sleepsForAll);
  return Status::fine();
}

void abandonRing(const Region& region, const RingRole& role) {
  region.publication().publish(region.ring(role.ring).lead.closedGeneration, role.generation);
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

// The ring is looked up under the lock, so that it is not taken over for another name in between.
Status claimRingReader(Region& region, const std::string& ringName, const std::string& name, ReaderRole& role) {
  const ClaimsLock lock(region);
  if (!lock.held()) return busy();
  const Publication& p = region.publication();
  uint32_t ring = 0;
  for (; ring < region.layout().geometry.rings; ring += 1) {
    const RingClaim claim = p.copyOut(region.ring(ring).claim);
    if (claim.generation != 0 && nameOf(claim) == ringName) break;
  }
  if (ring == region.layout().geometry.rings) return Status::failed("missing", "there is no ring of that name");
  const uint32_t readers = region.layout().geometry.ringReaders;
  for (uint32_t i = 0; i < readers; i += 1) {
    RingReaderSlot& slot = region.ringReader(ring, i);
    if (taken(region, ring, i)) continue;
    const uint64_t generation = p.observe(slot.claim.generation);
    p.write(slot.claim.process, region.slot());
    p.write(slot.claim.processGeneration, region.generation());
    p.write(slot.claim.ringGeneration, p.observe(region.ring(ring).claim.generation));
    std::memset(slot.claim.name, 0, readerNameBytes);
    std::memcpy(slot.claim.name, name.data(), name.size() < readerNameBytes ? name.size() : readerNameBytes - 1);
    p.wrote(&slot.claim, sizeof(slot.claim));
    p.publish(slot.claim.generation, generation + 1);
    p.ring(region.ring(ring).table.readersVersion);
    role = {ring, i, generation + 1};
    return Status::fine();
  }
  return Status::failed("full", "all " + std::to_string(readers) + " readers of the ring are taken");
}

}  // namespace ringfence
