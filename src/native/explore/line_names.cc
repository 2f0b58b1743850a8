#include "line_names.h"

#include <cstring>
#include <vector>

#include "arena.h"
#include "files.h"
#include "region/ring_layout.h"
#include "test/damage_fields.h"

namespace ringfence::explore {

namespace {

// A structure within another one, or an array of them.
struct Part {
  const char* name;
  uint64_t offset;
  uint64_t stride;
  uint64_t count;
  uint64_t bytes;  // of the part itself
};

std::vector<Part>& parts() {
  static std::vector<Part> table;
  return table;
}

void add(const char* name, uint64_t offset, uint64_t stride, uint64_t count, uint64_t bytes) {
  parts().push_back({name, offset, stride, count, bytes});
}

void addHeader() {
  add("Identity", offsetof(Header, identity), 1, 1, sizeof(Identity));
  add("Geometry", offsetof(Header, geometry), 1, 1, sizeof(Geometry));
  add("BirthLine", offsetof(Header, birth), 1, 1, sizeof(BirthLine));
  add("ControlLine", offsetof(Header, control), 1, 1, sizeof(ControlLine));
  add("sequencer's BellLine", offsetof(Header, sequencerBell), 1, 1, sizeof(BellLine));
  add("sequencer's SleepLine", offsetof(Header, sequencerSleep), 1, 1, sizeof(SleepLine));
  add("TopicWishes", offsetof(Header, topicWishes), 1, 1, sizeof(TopicWishes));
}

void addTables(const Layout& at) {
  const Geometry& g = at.geometry;
  const uint64_t process = sizeof(ProcessSlot);
  add("ProcessOwner", at.processes + offsetof(ProcessSlot, owner), process, g.processes, sizeof(ProcessOwner));
  add("BellLine", at.processes + offsetof(ProcessSlot, bell), process, g.processes, sizeof(BellLine));
  add("SleepLine", at.processes + offsetof(ProcessSlot, sleep), process, g.processes, sizeof(SleepLine));
  add("TopicSlot", at.topics, sizeof(TopicSlot), g.topics, sizeof(TopicSlot));
  add("ClientClaim", at.clients + offsetof(ClientSlot, claim), sizeof(ClientSlot), g.clients, sizeof(ClientClaim));
  add("ClientLine", at.clients + offsetof(ClientSlot, line), sizeof(ClientSlot), g.clients, sizeof(ClientLine));
  add("GrantLine", at.grants, sizeof(GrantLine), at.lanes(), sizeof(GrantLine));
  const uint64_t readers = uint64_t{g.topics} * g.readers;
  add("ReaderClaim", at.readers + offsetof(ReaderSlot, claim), sizeof(ReaderSlot), readers, sizeof(ReaderClaim));
  add("ReaderLine", at.readers + offsetof(ReaderSlot, line), sizeof(ReaderSlot), readers, sizeof(ReaderLine));
  add("ProducerLine", at.producers, sizeof(ProducerLine), at.lanes(), sizeof(ProducerLine));
  add("LaneCursor", at.laneCursors, sizeof(LaneCursor), at.lanes() * g.readers, sizeof(LaneCursor));
  add("Descriptor", at.descriptors, sizeof(Descriptor), at.lanes() * g.laneSlots, sizeof(Descriptor));
}

void addBlock(const Layout& at, uint64_t block) {
  const Geometry& g = at.geometry;
  const auto field = [&](const char* name, uint64_t offset, uint64_t stride, uint64_t count, uint64_t bytes) {
    add(name, at.blocks + block * at.blockBytes + offset, stride, count, bytes);
  };
  field("BlockHeader", 0, 1, 1, sizeof(BlockHeader));
  field("TopicLine::Committed", at.blockTopics + offsetof(TopicLine, committed), sizeof(TopicLine), g.topics, 64);
  field("TopicLine::Retention", at.blockTopics + offsetof(TopicLine, retention), sizeof(TopicLine), g.topics, 64);
  field("SessionLine::Acknowledged", at.blockSessions, sizeof(SessionLine), g.clients, 64);
  field("SessionLine::Pressure", at.blockSessions + offsetof(SessionLine, pressure), sizeof(SessionLine), g.clients, 64);
  field("LaneLine::Frontiers", at.blockLanes, sizeof(LaneLine), at.lanes(), 64);
  field("LaneLine::Counts", at.blockLanes + offsetof(LaneLine, counts), sizeof(LaneLine), at.lanes(), 64);
  field("ReaderEnd", at.blockReaderEnds, sizeof(ReaderEnd), uint64_t{g.topics} * g.readers, 64);
  const uint64_t entries = uint64_t{g.topics} * g.indexEntries;
  field("IndexEntry", at.blockIndex, sizeof(IndexEntry), entries, sizeof(IndexEntry));
}

void addRings(const Layout& at) {
  const Geometry& g = at.geometry;
  const uint64_t ring = sizeof(RingSlot);
  add("RingClaim", at.ringSlots + offsetof(RingSlot, claim), ring, g.rings, sizeof(RingClaim));
  add("RingName", at.ringSlots + offsetof(RingSlot, name), ring, g.rings, sizeof(RingName));
  add("RingLead", at.ringSlots + offsetof(RingSlot, lead), ring, g.rings, sizeof(RingLead));
  add("RingTable", at.ringSlots + offsetof(RingSlot, table), ring, g.rings, sizeof(RingTable));
  const uint64_t readers = uint64_t{g.rings} * g.ringReaders;
  const uint64_t reader = sizeof(RingReaderSlot);
  add("RingReaderClaim", at.ringReaderSlots + offsetof(RingReaderSlot, claim), reader, readers, sizeof(RingReaderClaim));
  add("RingReaderLine", at.ringReaderSlots + offsetof(RingReaderSlot, line), reader, readers, sizeof(RingReaderLine));
  add("RingReaderFate", at.ringReaderSlots + offsetof(RingReaderSlot, fate), reader, readers, sizeof(RingReaderFate));
  add("lane payload", at.payload, g.lanePayloadBytes, at.lanes(), g.lanePayloadBytes);
  add("ring data", at.ringData, g.ringBytes, g.rings, g.ringBytes);
}

std::string fieldOf(const std::string& structure, uint64_t offset) {
  for (const auto* table : {&test::headerFields(), &test::logFields(), &test::laneFields(), &test::ringFields()}) {
    for (const test::DamagedField& field : *table) {
      const bool own = structure == field.structure || structure.ends_with(std::string(" ") + field.structure);
      if (own && offset >= field.offset && offset < field.offset + field.bytes) return std::string(".") + field.name;
    }
  }
  return " + " + std::to_string(offset);
}

}  // namespace

// Kept from schedule to schedule.
void nameAfter(const Layout& layout) {
  static Geometry known{};
  if (std::memcmp(&known, &layout.geometry, sizeof(known)) == 0) return;
  const OutsideArena outside;
  known = layout.geometry;
  parts().clear();
  addHeader();
  addTables(layout);
  for (uint64_t block = 0; block < layout.geometry.epochBlocks; block += 1) addBlock(layout, block);
  addRings(layout);
}

std::string nameOf(const Spot& spot) {
  if (spot.file->id != 0) return "file " + std::to_string(spot.file->id) + " + " + std::to_string(spot.offset);
  for (const Part& part : parts()) {
    if (spot.offset < part.offset || part.stride == 0) continue;
    const uint64_t index = (spot.offset - part.offset) / part.stride;
    const uint64_t within = (spot.offset - part.offset) % part.stride;
    if (index >= part.count || within >= part.bytes) continue;
    return std::string(part.name) + "[" + std::to_string(index) + "]" + fieldOf(part.name, within);
  }
  return "word " + std::to_string(spot.offset);
}

std::string nameOfLock(int64_t byte) {
  constexpr int64_t names = int64_t{1} << 40;
  constexpr int64_t tables = names + (int64_t{1} << 20);
  constexpr const char* slots[] = {"session slot ", "reader slot ", "ring ", "ring reader slot "};
  if (byte == names) return "the names lock";
  if (byte == names - 1) return "the lease";
  if (byte == names - 2) return "the hold";
  if (byte > names && byte < tables) return "the life of process slot " + std::to_string(byte - names - 1);
  const int64_t table = (byte - tables) >> 20;
  if (byte < tables || table > 3) return "byte " + std::to_string(byte);
  return std::string("the lock of ") + slots[table] + std::to_string((byte - tables) & ((1 << 20) - 1));
}

}  // namespace ringfence::explore
