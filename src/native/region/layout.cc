#include "layout.h"

#include "ring_layout.h"

namespace ringfence {

namespace {

bool powerOfTwo(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

}  // namespace

bool geometryValid(const Geometry& g) {
  if (g.brokers < 1 || g.brokers > brokersMax) return false;
  if (g.clients < 1 || g.clients > clientsMax) return false;
  if (g.topics < 1 || g.topics > topicsMax) return false;
  if (g.readers < 1 || g.readers > readersMax) return false;
  if (g.processes < 2 || g.processes > processesMax) return false;
  if (g.epochBlocks < 1 || g.epochBlocks > epochBlocksMax) return false;
  if (!powerOfTwo(g.laneSlots) || g.laneSlots < 8 || g.laneSlots > (1U << 20)) return false;
  if (!powerOfTwo(g.indexEntries) || g.indexEntries < 64 || g.indexEntries > (1U << 24)) return false;
  if (!powerOfTwo(g.batchBytes) || g.batchBytes < 4096 || g.batchBytes > (1ULL << 28)) return false;
  if (!powerOfTwo(g.lanePayloadBytes) || g.lanePayloadBytes > (1ULL << 32)) return false;
  if (g.lanePayloadBytes < 8 * g.batchBytes) return false;
  if (g.rings == 0) return true;
  if (g.rings > ringsMax || g.ringReaders < 1 || g.ringReaders > ringReadersMax) return false;
  return powerOfTwo(g.ringBytes) && g.ringBytes >= pageBytes && g.ringBytes <= (1ULL << 32);
}

Layout layoutOf(const Geometry& g) {
  Layout at{};
  at.geometry = g;
  const uint64_t lanes = uint64_t{g.brokers} * g.clients;
  const uint64_t readers = uint64_t{g.topics} * g.readers;

  uint64_t end = sizeof(Header);
  const auto take = [&end](uint64_t count, uint64_t bytes) {
    const uint64_t start = end;
    end += count * bytes;
    return start;
  };
  at.processes = take(g.processes, sizeof(ProcessSlot));
  at.topics = take(g.topics, sizeof(TopicSlot));
  at.identitySlots = take(at.identities(), sizeof(IdentitySlot));
  at.cursorSlots = take(at.cursors(), sizeof(CursorSlot));
  at.clients = take(g.clients, sizeof(ClientSlot));
  at.readers = take(readers, sizeof(ReaderSlot));
  at.producers = take(lanes, sizeof(ProducerLine));
  at.laneCursors = take(readers * g.clients * at.cursorLines(), sizeof(LaneCursor));
  at.descriptors = take(lanes * g.laneSlots, sizeof(Descriptor));
  end = roundUp(end, pageBytes);
  at.blocks = end;

  end = sizeof(EpochBlockHead);
  at.blockTopics = take(g.topics, sizeof(TopicLine));
  at.blockSessions = take(g.clients, sizeof(SessionLine));
  at.blockIdentities = take(at.identities(), sizeof(IdentityLine));
  at.blockLanes = take(lanes, sizeof(LaneLine));
  at.blockGrants = take(lanes, sizeof(GrantLine));
  at.blockReaderEnds = take(readers, sizeof(ReaderEnd));
  at.blockFacts = take(g.clients * at.factLines(), sizeof(FactLine));
  at.blockIndex = take(uint64_t{g.topics} * g.indexEntries, sizeof(IndexEntry));
  at.blockBytes = roundUp(end, pageBytes);

  end = at.blocks + g.epochBlocks * at.blockBytes;
  at.ringSlots = take(g.rings, sizeof(RingSlot));
  at.ringReaderSlots = take(uint64_t{g.rings} * g.ringReaders, sizeof(RingReaderSlot));

  at.payload = roundUp(end, pageBytes);
  at.ringData = at.payload + lanes * g.lanePayloadBytes;
  // A ring is mapped by itself: at a multiple of its size it can be wherever pages are no larger than it.
  if (g.rings != 0) at.ringData = roundUp(at.ringData, g.ringBytes);
  at.regionBytes = at.ringData + uint64_t{g.rings} * g.ringBytes;
  return at;
}

uint64_t layoutHash() {
  // Any change of a structure's size, or of a field that both sides address, changes the hash.
  const uint64_t shape[] = {
      layoutVersion,          sizeof(Header),         sizeof(ProcessSlot),
      sizeof(TopicSlot),      sizeof(ClientSlot),     sizeof(GrantLine),
      sizeof(ReaderSlot),     sizeof(ProducerLine),   sizeof(Descriptor),     sizeof(LaneCursor),
      sizeof(EpochBlockHead), sizeof(TopicLine),      sizeof(SessionLine),
      sizeof(LaneLine),       sizeof(ReaderEnd),      sizeof(IndexEntry),     sizeof(FactLine),
      sizeof(RingSlot),       sizeof(RingReaderSlot), sizeof(FrameHeader),    sizeof(IdentitySlot),
      sizeof(IdentityLine),   sizeof(CursorSlot),     sizeof(StoredLine),     offsetof(ClientClaim, identity),                offsetof(SessionLine::Adoption, base),
      offsetof(Descriptor, payloadPosition),          offsetof(Descriptor, crc),
      offsetof(IndexEntry, seal),                     offsetof(SessionLine, pressure),
      offsetof(LaneLine, counts),                     offsetof(TopicLine, retention),
      offsetof(LaneLine::Frontiers, trim),            offsetof(SessionLine::Acknowledged, leavingGeneration),
      offsetof(LaneCursor, taken),                    offsetof(TopicLine, committedSpare),
      offsetof(IndexEntry, laneIndex),                offsetof(Header, cursorWaiters)};
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const uint64_t word : shape) {
    for (int byte = 0; byte < 8; byte += 1) {
      hash ^= (word >> (8 * byte)) & 0xff;
      hash *= 0x100000001b3ULL;
    }
  }
  return hash;
}

}  // namespace ringfence
