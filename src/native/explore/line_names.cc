#include "line_names.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "arena.h"
#include "files.h"
#include "region/region.h"
#include "region/ring_layout.h"
#include "test/damage_fields.h"

namespace ringfence::explore {

namespace {

// A structure within another one, or an array of them.
struct Part {
  const char* name;
  Writer writer;
  std::span<const Rising> rising;
  uint64_t offset;
  uint64_t stride;
  uint64_t count;
  uint64_t bytes;  // of the part itself
};

std::vector<Part>& parts() {
  static std::vector<Part> table;
  return table;
}

// For each line, the number of its part plus one; 0 where nothing is declared.
std::vector<uint8_t>& partsOfLines() {
  static std::vector<uint8_t> table;
  return table;
}

Layout known{};

template <class L>
constexpr Writer writerOf() {
  if constexpr (requires { typename L::Role; }) {
    using Role = typename L::Role;
    if (std::is_same_v<Role, role::Creator>) return Writer::creator;
    if (std::is_same_v<Role, role::Process>) return Writer::process;
    if (std::is_same_v<Role, role::Claimant>) return Writer::claimant;
    if (std::is_same_v<Role, role::NameGiver>) return Writer::nameGiver;
    if (std::is_same_v<Role, role::Sequencer>) return Writer::sequencer;
    if (std::is_same_v<Role, role::Broker>) return Writer::broker;
    if (std::is_same_v<Role, role::LaneWriter>) return Writer::laneWriter;
    if (std::is_same_v<Role, role::IndexReader>) return Writer::indexReader;
    if (std::is_same_v<Role, role::RingWriter>) return Writer::ringWriter;
    if (std::is_same_v<Role, role::RingReader>) return Writer::ringReader;
  }
  return Writer::host;
}

// `L`: a line as it is declared, or a kind of bytes.
template <class L>
void add(const char* name, uint64_t offset, uint64_t stride, uint64_t count, uint64_t bytes = sizeof(L)) {
  parts().push_back({name, writerOf<std::remove_cvref_t<L>>(), risingIn(name), offset, stride, count, bytes});
}

#define ADD_PART(Slot, field, name, base, count) add<decltype(Slot::field)>(name, (base) + offsetof(Slot, field), sizeof(Slot), count)

void addHeader() {
  ADD_PART(Header, identity, "Identity", 0, 1);
  ADD_PART(Header, geometry, "Geometry", 0, 1);
  ADD_PART(Header, birth, "BirthLine", 0, 1);
  ADD_PART(Header, topicWishes, "TopicWishes", 0, 1);
  using Waiters = std::remove_extent_t<decltype(Header::cursorWaiters)>;
  add<Waiters>("CursorWaiters", offsetof(Header, cursorWaiters), sizeof(Waiters), cursorWaiterLines);
}

// Lines that lie in a row.
#define ADD_ROW(accessor, name, base, count) \
  add<decltype(accessor)>(name, base, sizeof(std::remove_cvref_t<decltype(accessor)>), count)

void addTables(const Layout& at) {
  const Geometry& g = at.geometry;
  using R = const Region&;
  ADD_PART(ProcessSlot, owner, "ProcessOwner", at.processes, g.processes);
  ADD_PART(ProcessSlot, bell, "BellLine", at.processes, g.processes);
  ADD_PART(ProcessSlot, sleep, "SleepLine", at.processes, g.processes);
  ADD_ROW(std::declval<R>().topic(0), "TopicSlot", at.topics, g.topics);
  ADD_ROW(std::declval<R>().identity(0), "IdentitySlot", at.identitySlots, at.identities());
  ADD_PART(CursorSlot, cursor, "CursorSlot::Cursor", at.cursorSlots, at.cursors());
  ADD_PART(CursorSlot, spare, "spare CursorSlot::Cursor", at.cursorSlots, at.cursors());
  ADD_PART(ClientSlot, claim, "ClientClaim", at.clients, g.clients);
  ADD_PART(ClientSlot, line, "ClientLine", at.clients, g.clients);
  const uint64_t readers = uint64_t{g.topics} * g.readers;
  ADD_PART(ReaderSlot, claim, "ReaderClaim", at.readers, readers);
  ADD_PART(ReaderSlot, line, "ReaderLine", at.readers, readers);
  ADD_PART(ReaderSlot, stored, "StoredLine", at.readers, readers);
  ADD_ROW(std::declval<R>().producer(0), "ProducerLine", at.producers, at.lanes());
  ADD_ROW(std::declval<R>().laneCursor(0, 0, 0), "LaneCursor", at.laneCursors, readers * g.clients * at.cursorLines());
  ADD_ROW(std::declval<R>().descriptor(0, 0), "Descriptor", at.descriptors, at.lanes() * g.laneSlots);
}

void addBlock(const Layout& at, uint64_t block) {
  const Geometry& g = at.geometry;
  using R = const Region&;
  const uint64_t base = at.blocks + block * at.blockBytes;
  ADD_PART(EpochBlockHead, head, "BlockHead", base, 1);
  ADD_PART(EpochBlockHead, service, "ServiceLine", base, 1);
  ADD_PART(EpochBlockHead, bell, "sequencer's BellLine", base, 1);
  ADD_PART(EpochBlockHead, sleep, "sequencer's SleepLine", base, 1);
  ADD_PART(TopicLine, committed, "TopicLine::Committed", base + at.blockTopics, g.topics);
  ADD_PART(TopicLine, retention, "TopicLine::Retention", base + at.blockTopics, g.topics);
  ADD_PART(TopicLine, adoption, "TopicLine::Adoption", base + at.blockTopics, g.topics);
  ADD_PART(TopicLine, committedSpare, "spare TopicLine::Committed", base + at.blockTopics, g.topics);
  ADD_PART(TopicLine, retentionSpare, "spare TopicLine::Retention", base + at.blockTopics, g.topics);
  ADD_PART(SessionLine, acknowledged, "SessionLine::Acknowledged", base + at.blockSessions, g.clients);
  ADD_PART(SessionLine, pressure, "SessionLine::Pressure", base + at.blockSessions, g.clients);
  ADD_PART(SessionLine, adoption, "SessionLine::Adoption", base + at.blockSessions, g.clients);
  ADD_PART(SessionLine, acknowledgedSpare, "spare SessionLine::Acknowledged", base + at.blockSessions, g.clients);
  ADD_PART(IdentityLine, standing, "IdentityLine::Standing", base + at.blockIdentities, at.identities());
  ADD_PART(IdentityLine, standingSpare, "spare IdentityLine::Standing", base + at.blockIdentities, at.identities());
  ADD_PART(LaneLine, frontiers, "LaneLine::Frontiers", base + at.blockLanes, at.lanes());
  ADD_PART(LaneLine, counts, "LaneLine::Counts", base + at.blockLanes, at.lanes());
  ADD_PART(LaneLine, frontiersSpare, "spare LaneLine::Frontiers", base + at.blockLanes, at.lanes());
  ADD_ROW(std::declval<R>().grant(0, 0), "GrantLine", base + at.blockGrants, at.lanes());
  ADD_ROW(std::declval<R>().factLine(0, 0, 0), "FactLine", base + at.blockFacts, g.clients * at.windowPlaces() / factsOfLine);
  ADD_ROW(std::declval<R>().readerEnd(0, 0, 0), "ReaderEnd", base + at.blockReaderEnds, uint64_t{g.topics} * g.readers);
  ADD_ROW(std::declval<R>().entry(0, 0, 0), "IndexEntry", base + at.blockIndex, uint64_t{g.topics} * g.indexEntries);
}

void addRings(const Layout& at) {
  const Geometry& g = at.geometry;
  ADD_PART(RingSlot, claim, "RingClaim", at.ringSlots, g.rings);
  ADD_PART(RingSlot, name, "RingName", at.ringSlots, g.rings);
  ADD_PART(RingSlot, lead, "RingLead", at.ringSlots, g.rings);
  ADD_PART(RingSlot, table, "RingTable", at.ringSlots, g.rings);
  ADD_PART(RingSlot, wait, "RingWait", at.ringSlots, g.rings);
  const uint64_t readers = uint64_t{g.rings} * g.ringReaders;
  ADD_PART(RingReaderSlot, claim, "RingReaderClaim", at.ringReaderSlots, readers);
  ADD_PART(RingReaderSlot, line, "RingReaderLine", at.ringReaderSlots, readers);
  ADD_PART(RingReaderSlot, fate, "RingReaderFate", at.ringReaderSlots, readers);
  add<Payload>("lane payload", at.payload, g.lanePayloadBytes, at.lanes(), g.lanePayloadBytes);
  add<Frames>("ring data", at.ringData, g.ringBytes, g.rings, g.ringBytes);
}

void numberLines(const Layout& layout) {
  partsOfLines().assign(layout.regionBytes / lineBytes, 0);
  for (size_t i = 0; i < parts().size(); i += 1) {
    const Part& part = parts()[i];
    for (uint64_t element = 0; element < part.count; element += 1) {
      const uint64_t first = (part.offset + element * part.stride) / lineBytes;
      std::fill_n(partsOfLines().begin() + static_cast<std::ptrdiff_t>(first), part.bytes / lineBytes, static_cast<uint8_t>(i + 1));
    }
  }
}

using Fields = const std::vector<test::DamagedField>*;

// The tables are made as they are first used, and kept: a call that is made ahead of a schedule names its word, too.
std::span<const Fields> fieldTables() {
  const OutsideArena outside;
  static const Fields tables[] = {&test::headerFields(), &test::logFields(), &test::laneFields(), &test::cursorFields(), &test::ringFields()};
  return tables;
}

std::string fieldOf(const std::string& structure, uint64_t offset) {
  for (const Fields table : fieldTables()) {
    for (const test::DamagedField& field : *table) {
      const bool own = structure == field.structure || structure.ends_with(std::string(" ") + field.structure);
      if (own && offset >= field.offset && offset < field.offset + field.bytes) return std::string(".") + field.name;
    }
  }
  return " + " + std::to_string(offset);
}

}  // namespace

// The names are kept from schedule to schedule.
void nameAfter(const Layout& layout) {
  if (std::memcmp(&known.geometry, &layout.geometry, sizeof(layout.geometry)) == 0) return;
  const OutsideArena outside;
  known = layout;
  parts().clear();
  addHeader();
  addTables(layout);
  for (uint64_t block = 0; block < layout.geometry.epochBlocks; block += 1) addBlock(layout, block);
  addRings(layout);
  numberLines(layout);
}

const Layout& namedLayout() { return known; }

bool placeOf(uint64_t offset, LinePlace& place) {
  const uint64_t line = offset / lineBytes;
  if (line >= partsOfLines().size() || partsOfLines()[line] == 0) return false;
  const Part& part = parts()[partsOfLines()[line] - 1U];
  place = {part.name, part.writer, part.rising, (offset - part.offset) / part.stride, (offset - part.offset) % part.stride};
  return true;
}

std::string nameOf(const Spot& spot) {
  if (spot.file->id != 0) return "file " + std::to_string(spot.file->id) + " + " + std::to_string(spot.offset);
  LinePlace at{};
  if (!placeOf(spot.offset, at)) return "word " + std::to_string(spot.offset);
  return std::string(at.structure) + "[" + std::to_string(at.index) + "]" + fieldOf(at.structure, at.within);
}

std::string nameOfLock(int64_t byte) {
  constexpr int64_t names = int64_t{1} << 40;
  constexpr int64_t tables = names + (int64_t{1} << 20);
  constexpr const char* slots[] = {"session slot ", "reader slot ", "ring ", "ring reader slot "};
  if (byte == names) return "the names lock";
  if (byte == names - 1) return "the election lock";
  if (byte >= names - 64 && byte < names - 64 + int64_t{epochBlocksMax}) return "the lock of block " + std::to_string(byte - names + 64);
  if (byte == names - 2) return "the hold";
  if (byte > names && byte < tables) return "the life of process slot " + std::to_string(byte - names - 1);
  const int64_t table = (byte - tables) >> 20;
  if (byte < tables || table > 3) return "byte " + std::to_string(byte);
  return std::string("the lock of ") + slots[table] + std::to_string((byte - tables) & ((1 << 20) - 1));
}

}  // namespace ringfence::explore
