#include "claims.h"

#include <cstring>

#include "region/claim_locks.h"
#include "region/token.h"

namespace ringfence {

namespace {

bool findTopic(const Region& region, const std::string& name, TopicView& topic) {
  for (const TopicView& known : topicsOf(region)) {
    if (known.name != name) continue;
    topic = known;
    return true;
  }
  return false;
}

uint64_t epochOf(const Region& region) { return region.publication().observe(region.header().control.epoch); }

}  // namespace

// A topic is declared once its seal is there, whether the process that declared it lived to say so or not. Only what has
// neither seal nor word is free.
TopicState topicAt(const Region& region, uint32_t index, TopicView& topic) {
  const Publication& p = region.publication();
  const TopicSlot& shared = region.topic(index);
  const uint32_t declared = p.observe(shared.declared);
  const uint64_t seal = p.observe(shared.seal);
  if (seal == 0) return declared == 0 ? TopicState::none : TopicState::damaged;
  const TopicSlot slot = p.copyOut(shared);
  if (seal != topicSealOf(slot) || slot.nameLength > topicNameBytes) return TopicState::damaged;
  topic = {index, slot.order, slot.ack, std::string(slot.name, slot.nameLength)};
  return TopicState::declared;
}

std::vector<TopicView> topicsOf(const Region& region) {
  std::vector<TopicView> views;
  TopicView view{};
  for (uint32_t i = 0; i < region.layout().geometry.topics; i += 1) {
    const TopicState state = topicAt(region, i, view);
    if (state == TopicState::none) break;
    if (state == TopicState::declared) views.push_back(view);
  }
  return views;
}

namespace {

// Where the next topic goes, under the names lock. No name is given as long as one is not known: it might be this one.
Status freeTopic(const Region& region, uint32_t& index) {
  const uint32_t topics = region.layout().geometry.topics;
  TopicView view{};
  for (index = 0; index < topics; index += 1) {
    const TopicState state = topicAt(region, index, view);
    if (state == TopicState::none) return Status::fine();
    if (state == TopicState::damaged) {
      return Status::failed("corrupt", "topic " + std::to_string(index) + " was damaged from outside: no other is declared");
    }
  }
  return Status::failed("full", "all " + std::to_string(topics) + " topics of the region are declared");
}

}  // namespace

// A name that is known needs no lock. A new one is given by one process at a time, which looks again once it may.
// SYNC: `seal` is published behind the fields, and `declared` last; they pair with the observes in topicAt().
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic) {
  if (name.empty() || name.size() > topicNameBytes) return Status::failed("invalid", "the topic's name is too long");
  if (findTopic(region, name, topic)) return Status::fine();
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  if (findTopic(region, name, topic)) return Status::fine();
  uint32_t index = 0;
  const Status status = freeTopic(region, index);
  if (!status.ok()) return status;
  TopicSlot slot{};
  slot.order = order;
  slot.ack = ack;
  slot.nameLength = static_cast<uint32_t>(name.size());
  std::memcpy(slot.name, name.data(), name.size());
  region.publication().copyIn(region.topic(index), slot);
  region.publication().publish(region.topic(index).seal, topicSealOf(slot));
  region.publication().publish(region.topic(index).declared, 1U);
  topic = {index, order, ack, name};
  return Status::fine();
}

// SYNC: `generation` is published last and pairs with the observe in Sequencer::adoptClients and grantLanes.
Status claimClient(Region& region, uint32_t topic, uint64_t brokerMask, Claim& claim) {
  const Publication& p = region.publication();
  const Geometry& g = region.layout().geometry;
  const auto free = [&](uint32_t i) { return sessionOver(region, i, p.observe(region.client(i).claim.generation)); };
  const auto take = [&](uint32_t i) {
    ClientClaim& slot = region.client(i).claim;
    const uint64_t generation = p.read(slot.generation) + 1;
    // SYNC: the closing that was observed comes before what is written now: a sequencer that copies any of it sees that
    // the former claim was given up (Sequencer::adoptClients).
    p.fullFence();
    p.write(slot.process, region.slot());
    p.write(slot.processGeneration, region.generation());
    p.write(slot.topic, topic);
    p.write(slot.sessionEpoch, 0U);
    p.write(slot.brokerMask, brokerMask);
    p.wrote(&slot, sizeof(slot));
    p.publish(slot.generation, generation);
    claim = {i, generation, sessionIdOf(g, i, generation)};
  };
  uint64_t busy = 0;
  const bool claimed = claimSlot(region, Table::sessions, 0, g.clients, busy, free, take);
  // Also when none was found: a slot may belong to a client that was killed before it could say so.
  region.wakeSequencer(sleepsForData | sleepsForRoom);
  if (claimed) region.wakeProcesses(sleepsForAdmission);
  if (claimed) return Status::fine();
  if (busy != g.clients) return slotBusy(region, Table::sessions, busy);
  return Status::failed("full", "all " + std::to_string(g.clients) + " session slots are taken");
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

uint32_t readersEnding(const Region& region, uint32_t topic) {
  const Publication& p = region.publication();
  const uint64_t epoch = epochOf(region);
  uint32_t ending = 0;
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    const ReaderSlot& slot = region.reader(topic, i);
    // SYNC: pairs with the publish in claimReader: what says whose it is was written before the generation.
    const uint64_t generation = p.observe(slot.claim.generation);
    const ReaderClaim claim = p.copyOut(slot.claim);
    if (generation == 0 || claim.generation != generation) continue;
    if (p.observe(slot.line.detachedGeneration) == generation) continue;
    if (p.observe(region.readerEnd(epoch, topic, i).endedGeneration) == generation) continue;
    if (region.processAlive(claim.process, claim.processGeneration)) continue;
    // Taken again in between, it is a living reader's.
    if (p.observe(slot.claim.generation) == generation) ending += 1;
  }
  return ending;
}

// SYNC: `generation` is published last and pairs with the observes in Sequencer::attachedMinimum and Sequencer::endDead.
Status claimReader(Region& region, uint32_t topic, const std::string& name, Claim& claim) {
  const Publication& p = region.publication();
  const uint32_t readers = region.layout().geometry.readers;
  const uint64_t epoch = epochOf(region);
  const auto free = [&](uint32_t i) {
    const ReaderSlot& slot = region.reader(topic, i);
    const uint64_t generation = p.observe(slot.claim.generation);
    return generation == 0 || p.observe(slot.line.detachedGeneration) == generation ||
           p.observe(region.readerEnd(epoch, topic, i).endedGeneration) == generation;
  };
  const auto take = [&](uint32_t i) {
    ReaderSlot& slot = region.reader(topic, i);
    ReaderClaim taken{};
    taken.generation = p.read(slot.claim.generation);
    taken.process = region.slot();
    taken.processGeneration = region.generation();
    std::memcpy(taken.name, name.data(), name.size() < nameBytes ? name.size() : nameBytes - 1);
    p.copyIn(slot.claim, taken);
    p.publish(slot.claim.generation, taken.generation + 1);
    claim = {i, taken.generation + 1, 0};
  };
  uint64_t busy = 0;
  const uint64_t first = uint64_t{topic} * readers;
  if (claimSlot(region, Table::readers, first, readers, busy, free, take)) return Status::fine();
  if (busy != first + readers) return slotBusy(region, Table::readers, busy);
  return Status::failed("full", "all " + std::to_string(readers) + " reader slots of the topic are taken");
}

}  // namespace ringfence
