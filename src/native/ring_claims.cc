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

}  // namespace

std::vector<RingView> ringsOf(const Region& region) {
  const Publication& p = region.publication();
  std::vector<RingView> views;
  for (uint32_t i = 0; i < region.layout().geometry.rings; i += 1) {
    const RingClaim claim = p.copyOut(region.ring(i).claim);
    if (claim.generation == 0) continue;
    const uint64_t position = p.observe(region.ring(i).lead.position);
    views.push_back({i, claim.generation, claim.process, written(region, i), position, nameOf(claim)});
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
  // A ring whose writer is gone is only taken over for another name when no fresh one is left.
  for (uint32_t i = 0; found == rings && i < rings; i += 1) {
    if (!written(region, i)) found = i;
  }
  if (found == rings) return Status::failed("full", "all " + std::to_string(rings) + " rings are written");
  RingSlot& slot = region.ring(found);
  const uint64_t generation = p.read(slot.claim.generation) + 1;
  const uint64_t position = p.observe(slot.lead.position);
  p.write(slot.lead.firstPosition, position);
  p.write(slot.lead.waitsForRoom, 0U);
  p.wrote(&slot.lead, sizeof(slot.lead));
  p.publish(slot.lead.generation, generation);
  p.write(slot.claim.process, region.slot());
  p.write(slot.claim.processGeneration, region.generation());
  std::memset(slot.claim.name, 0, nameBytes);
  std::memcpy(slot.claim.name, name.data(), name.size());
  p.wrote(&slot.claim, sizeof(slot.claim));
  p.publish(slot.claim.generation, generation);
  role = {found, generation, position};
  region.wakeProcesses(sleepsForAll);
  return Status::fine();
}

bool ringReaderActive(const Region& region, uint32_t ring, uint32_t index) {
  const Publication& p = region.publication();
  const RingReaderSlot& slot = region.ringReader(ring, index);
  const uint64_t generation = p.observe(slot.claim.generation);
  if (generation == 0 || p.observe(slot.line.attachedGeneration) != generation) return false;
  if (p.observe(slot.line.detachedGeneration) == generation) return false;
  return p.observe(slot.fate.endedGeneration) != generation && p.observe(slot.fate.evictedGeneration) != generation;
}

Status claimRingReader(Region& region, uint32_t ring, const std::string& name, ReaderRole& role) {
  const ClaimsLock lock(region);
  if (!lock.held()) return busy();
  const Publication& p = region.publication();
  const uint32_t readers = region.layout().geometry.ringReaders;
  for (uint32_t i = 0; i < readers; i += 1) {
    RingReaderSlot& slot = region.ringReader(ring, i);
    const uint64_t generation = p.observe(slot.claim.generation);
    const bool gone = generation == 0 || p.observe(slot.line.detachedGeneration) == generation ||
                      !region.processAlive(p.read(slot.claim.process), p.read(slot.claim.processGeneration));
    if (!gone) continue;
    p.write(slot.claim.process, region.slot());
    p.write(slot.claim.processGeneration, region.generation());
    p.write(slot.claim.ringGeneration, p.observe(region.ring(ring).claim.generation));
    std::memset(slot.claim.name, 0, readerNameBytes);
    std::memcpy(slot.claim.name, name.data(), name.size() < readerNameBytes ? name.size() : readerNameBytes - 1);
    p.wrote(&slot.claim, sizeof(slot.claim));
    p.publish(slot.claim.generation, generation + 1);
    RingTable& table = region.ring(ring).table;
    p.publish(table.readersVersion, p.read(table.readersVersion) + 1);
    role = {ring, i, generation + 1};
    return Status::fine();
  }
  return Status::failed("full", "all " + std::to_string(readers) + " readers of the ring are taken");
}

}  // namespace ringfence
