#include "claims.h"

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

Status claimsBusy() { return Status::failed("busy", "another process is claiming a slot"); }

uint64_t epochOf(const Region& region) { return region.publication().observe(region.header().control.epoch); }

}  // namespace

std::vector<TopicView> topicsOf(const Region& region) {
  const Publication& p = region.publication();
  std::vector<TopicView> views;
  for (uint32_t i = 0; i < region.layout().geometry.topics; i += 1) {
    if (p.observe(region.topic(i).declared) == 0) break;
    const TopicSlot slot = p.copyOut(region.topic(i));
    const uint32_t length = slot.nameLength <= topicNameBytes ? slot.nameLength : topicNameBytes;
    views.push_back({i, slot.order, slot.ack, std::string(slot.name, length)});
  }
  return views;
}

// SYNC: `declared` is published last and pairs with the observe in topicsOf().
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic) {
  if (name.empty() || name.size() > topicNameBytes) return Status::failed("invalid", "the topic's name is too long");
  const ClaimsLock lock(region);
  if (!lock.held()) return claimsBusy();
  const std::vector<TopicView> known = topicsOf(region);
  for (const TopicView& found : known) {
    if (found.name != name) continue;
    topic = found;
    return Status::fine();
  }
  const uint32_t index = static_cast<uint32_t>(known.size());
  if (index >= region.layout().geometry.topics) {
    return Status::failed("full", "all " + std::to_string(index) + " topics of the region are declared");
  }
  TopicSlot slot{};
  slot.order = order;
  slot.ack = ack;
  slot.nameLength = static_cast<uint32_t>(name.size());
  std::memcpy(slot.name, name.data(), name.size());
  region.publication().copyIn(region.topic(index), slot);
  region.publication().publish(region.topic(index).declared, 1U);
  topic = {index, order, ack, name};
  return Status::fine();
}

// SYNC: `generation` is published last and pairs with the observe in Sequencer::adoptClients and grantLanes.
Status claimClient(Region& region, uint32_t topic, uint64_t brokerMask, Claim& claim) {
  const ClaimsLock lock(region);
  if (!lock.held()) return claimsBusy();
  const Publication& p = region.publication();
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    ClientClaim& slot = region.client(i).claim;
    const uint64_t generation = p.observe(slot.generation);
    if (!sessionOver(region, i, generation)) continue;
    // SYNC: the closing that was observed comes before what is written now: a sequencer that copies any of it sees that
    // the former claim was given up (Sequencer::adoptClients).
    p.fullFence();
    AllocatorLine& allocator = region.header().allocator;
    const uint64_t clientId = p.read(allocator.nextClientId) + 1;
    p.write(allocator.nextClientId, clientId);
    p.write(slot.clientId, clientId);
    p.write(slot.process, region.slot());
    p.write(slot.processGeneration, region.generation());
    p.write(slot.topic, topic);
    p.write(slot.sessionEpoch, 0U);
    p.write(slot.brokerMask, brokerMask);
    p.wrote(&slot, sizeof(slot));
    p.publish(slot.generation, generation + 1);
    claim = {i, generation + 1, clientId};
    region.wakeSequencer(sleepsForData | sleepsForRoom);
    region.wakeProcesses(sleepsForAdmission);
    return Status::fine();
  }
  // A slot may belong to a client that was killed before it could say so.
  region.wakeSequencer(sleepsForData | sleepsForRoom);
  return Status::failed(
      "full", "all " + std::to_string(region.layout().geometry.clients) + " session slots are taken");
}

// By the sequencer's own lines, and where it has not looked yet by the client's: a sequencer that is stopped must not
// keep the slots of those who gave up waiting for it.
bool sessionOver(const Region& region, uint32_t client, uint64_t generation) {
  const Publication& p = region.publication();
  const SessionLine::Acknowledged& line = region.sessionLine(epochOf(region), client).acknowledged;
  if (generation == 0 || p.observe(line.endedGeneration) == generation) return true;
  return p.observe(region.client(client).line.closingGeneration) == generation && p.observe(line.generation) != generation;
}

uint32_t sessionsEnding(const Region& region) {
  const Publication& p = region.publication();
  uint32_t ending = 0;
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    const ClientClaim claim = p.copyOut(region.client(i).claim);
    if (sessionOver(region, i, claim.generation)) continue;
    const bool closing = p.observe(region.client(i).line.closingGeneration) == claim.generation;
    if (closing || !region.processAlive(claim.process, claim.processGeneration)) ending += 1;
  }
  return ending;
}

Status claimReader(Region& region, uint32_t topic, const std::string& name, Claim& claim) {
  const ClaimsLock lock(region);
  if (!lock.held()) return claimsBusy();
  const Publication& p = region.publication();
  const uint64_t epoch = epochOf(region);
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    ReaderSlot& slot = region.reader(topic, i);
    const uint64_t generation = p.observe(slot.claim.generation);
    const bool detached = p.observe(slot.line.detachedGeneration) == generation;
    const bool ended = p.observe(region.readerEnd(epoch, topic, i).endedGeneration) == generation;
    if (generation != 0 && !detached && !ended) continue;
    ReaderClaim taken{};
    taken.generation = generation;
    taken.process = region.slot();
    taken.processGeneration = region.generation();
    std::memcpy(taken.name, name.data(), name.size() < nameBytes ? name.size() : nameBytes - 1);
    p.copyIn(slot.claim, taken);
    p.publish(slot.claim.generation, generation + 1);
    claim = {i, generation + 1, 0};
    return Status::fine();
  }
  return Status::failed("full", "all " + std::to_string(region.layout().geometry.readers) + " reader slots of the topic are taken");
}

}  // namespace ringfence
