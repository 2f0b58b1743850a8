#include "damage_fields.h"

#include <algorithm>
#include <set>

#include "testing.h"

namespace ringfence::test {

namespace {

#define FIELD(Structure, field, may) \
  {#Structure, #field, offsetof(Structure, field), sizeof(Structure::field), sizeof(Structure), (may)}

// The creator writes them; an attaching process checks them, and keeps a copy.
const std::vector<DamagedField> inHeader = {
    FIELD(Identity, magic, told),
    FIELD(Identity, version, told),
    FIELD(Identity, layoutHash, told),
    FIELD(Identity, regionBytes, told),
    FIELD(Identity, regionId, told),
    FIELD(Identity, bootId, told),
    FIELD(Geometry, brokers, told),
    FIELD(Geometry, clients, told),
    FIELD(Geometry, topics, told),
    FIELD(Geometry, readers, told),
    FIELD(Geometry, laneSlots, told),
    FIELD(Geometry, indexEntries, told),
    FIELD(Geometry, epochBlocks, told),
    FIELD(Geometry, processes, told),
    FIELD(Geometry, lanePayloadBytes, told),
    FIELD(Geometry, batchBytes, told),
    FIELD(Geometry, rings, told),
    FIELD(Geometry, ringReaders, told),
    FIELD(Geometry, ringBytes, told),
    FIELD(BirthLine, createdMillis, told),
    FIELD(BirthLine, creatorPid, told),
    FIELD(BirthLine, coherence, told),
    FIELD(BirthLine, creatorPidNamespace, told),
    FIELD(BirthLine, seal, told),
};

const std::vector<DamagedField> inCursors = {
    FIELD(CursorSlot::Cursor, topicGeneration, unharmed),
    FIELD(CursorSlot::Cursor, topic, unharmed),
    FIELD(CursorSlot::Cursor, nameLength, unharmed),
    FIELD(CursorSlot::Cursor, committed, unharmed),
    FIELD(CursorSlot::Cursor, holding, unharmed),
    FIELD(CursorSlot::Cursor, changes, unharmed),
    FIELD(CursorSlot::Cursor, processGeneration, unharmed),
    FIELD(CursorSlot::Cursor, process, unharmed),
    FIELD(CursorSlot::Cursor, held, unharmed),
    FIELD(CursorSlot::Cursor, touchedMillis, unharmed),
    FIELD(CursorSlot::Cursor, expiresMillis, unharmed),
    FIELD(CursorSlot::Cursor, wantedMicros, unharmed),
    FIELD(CursorSlot::Cursor, name, unharmed),
    FIELD(CursorSlot::Cursor, seal, unharmed),
    FIELD(StoredLine, generation, delayed),
    FIELD(StoredLine, replicaKey, delayed),
    FIELD(StoredLine, replicasRequired, delayed),
    FIELD(StoredLine, storedMicros, delayed),
    FIELD(StoredLine, seal, delayed),
};

const std::vector<DamagedField> inLog = {
    // the sequencer
    FIELD(BellLine, bell, unharmed),
    FIELD(BellLine, unheard, unharmed),
    FIELD(SleepLine, sleeps, delayed),
    FIELD(SleepLine, fifo, delayed),
    FIELD(SleepLine, looks, unharmed),
    // a process
    FIELD(ProcessOwner, generation, told | delayed),
    FIELD(ProcessOwner, pid, misnamed),
    FIELD(ProcessOwner, name, misnamed),
    FIELD(ProcessOwner, naming, misnamed),
    FIELD(ProcessOwner, pidNamespace, misnamed),
    FIELD(ProcessOwner, claiming, misnamed),
    // a topic's declarer
    FIELD(TopicSlot, generation, told),
    FIELD(TopicSlot, order, told),
    FIELD(TopicSlot, ack, told),
    FIELD(TopicSlot, nameLength, told),
    FIELD(TopicSlot, baseEntries, told),
    FIELD(TopicSlot, baseMessages, told),
    FIELD(TopicSlot, baseNanos, told),
    FIELD(TopicSlot, seal, told),
    FIELD(TopicSlot, name, told),
    // an identity's declarer
    FIELD(IdentitySlot, generation, told),
    FIELD(IdentitySlot, seal, told),
    FIELD(IdentitySlot, topicGeneration, told),
    FIELD(IdentitySlot, topic, told),
    FIELD(IdentitySlot, nameLength, told),
    FIELD(IdentitySlot, base, told),
    FIELD(IdentitySlot, name, told),
    FIELD(TopicWishes, wanted, unharmed),
    FIELD(TopicWishes, seal, unharmed),
    // a session's client
    FIELD(ClientClaim, generation, told),
    FIELD(ClientClaim, topicGeneration, unharmed),
    FIELD(ClientClaim, processGeneration, unharmed),
    FIELD(ClientClaim, process, unharmed),
    FIELD(ClientClaim, topic, unharmed),
    FIELD(ClientClaim, identity, unharmed),
    FIELD(ClientClaim, identityGeneration, unharmed),
    FIELD(ClientClaim, continues, unharmed),
    FIELD(ClientLine, closingGeneration, told),
    FIELD(GrantLine, grantedGeneration, delayed),
    FIELD(ProducerLine, generation, misnamed),
    FIELD(ProducerLine, writtenBatches, misnamed),
    FIELD(ProducerLine, publishedBatches, misnamed),
    FIELD(ProducerLine, writtenMessages, misnamed),
    FIELD(ProducerLine, publishedMessages, misnamed),
    FIELD(ProducerLine, fullEvents, misnamed),
    FIELD(Descriptor, token, told | delayed),
    FIELD(Descriptor, sessionKey, told),
    FIELD(Descriptor, batchSequence, told),
    FIELD(Descriptor, firstMessage, told),
    FIELD(Descriptor, payloadPosition, told),
    FIELD(Descriptor, payloadBytes, told),
    FIELD(Descriptor, messageCount, told),
    FIELD(Descriptor, uniformBytes, told),
    FIELD(Descriptor, crc, told),
    FIELD(Descriptor, publishedNanos, misnamed),
    // a subscriber
    FIELD(ReaderClaim, generation, told | delayed),
    FIELD(ReaderClaim, processGeneration, told),
    FIELD(ReaderClaim, process, told),
    FIELD(ReaderClaim, name, misnamed),
    FIELD(ReaderLine, cursor, told | delayed),
    FIELD(ReaderLine, attachedGeneration, told),
    FIELD(ReaderLine, detachedGeneration, told),
    FIELD(ReaderLine, leftNanos, unharmed),
    FIELD(ReaderLine, read, unharmed),
    FIELD(ReaderLine, replicaKey, delayed),
    FIELD(ReaderLine, replicasRequired, delayed),
    FIELD(ReaderLine, syncedSeal, delayed),
    // the sequencer's epoch
    FIELD(BlockHead, word, unharmed),
    FIELD(BlockHead, again, unharmed),
    FIELD(BlockHead, processGeneration, misnamed),
    FIELD(BlockHead, process, misnamed),
    FIELD(BlockHead, pid, misnamed),
    FIELD(BlockHead, pidNamespace, misnamed),
    FIELD(BlockHead, source, misnamed),
    FIELD(ServiceLine, pulse, unharmed),
    FIELD(ServiceLine, passes, misnamed),
    FIELD(ServiceLine, commits, misnamed),
    FIELD(ServiceLine, wishesAnswered, unharmed),
    FIELD(ServiceLine, wishesRefused, unharmed),
    FIELD(ServiceLine, copies, unharmed),
    FIELD(ServiceLine, copiesAgain, unharmed),
    FIELD(TopicLine::Committed, entries, delayed),
    FIELD(TopicLine::Committed, messages, delayed),
    FIELD(TopicLine::Committed, bytes, delayed),
    FIELD(TopicLine::Committed, orderedNanos, delayed),
    FIELD(TopicLine::Committed, seal, delayed),
    FIELD(TopicLine::Retention, trim, delayed),
    FIELD(TopicLine::Retention, trimMessages, delayed),
    FIELD(TopicLine::Retention, gatingReader, misnamed),
    FIELD(TopicLine::Retention, firstEntry, delayed),
    FIELD(TopicLine::Retention, freedMark, told),
    FIELD(TopicLine::Retention, firmTrim, delayed),
    FIELD(TopicLine::Retention, unreplicated, delayed),
    FIELD(TopicLine::Retention, seal, delayed),
    FIELD(TopicLine::Adoption, generation, unharmed),
    FIELD(TopicLine::Adoption, slotSeal, unharmed),
    FIELD(TopicLine::Adoption, order, unharmed),
    FIELD(TopicLine::Adoption, named, unharmed),
    FIELD(TopicLine::Adoption, ack, unharmed),
    FIELD(TopicLine::Adoption, seal, unharmed),
    FIELD(SessionLine::Acknowledged, generation, delayed),
    FIELD(SessionLine::Acknowledged, batches, delayed),
    FIELD(SessionLine::Acknowledged, messages, delayed),
    FIELD(SessionLine::Acknowledged, endedGeneration, delayed),
    FIELD(SessionLine::Acknowledged, endReason, delayed),
    FIELD(SessionLine::Acknowledged, unordered, delayed),
    FIELD(SessionLine::Acknowledged, leavingGeneration, delayed),
    FIELD(SessionLine::Acknowledged, seal, delayed),
    FIELD(SessionLine::Adoption, generation, unharmed),
    FIELD(SessionLine::Adoption, topicGeneration, unharmed),
    FIELD(SessionLine::Adoption, processGeneration, unharmed),
    FIELD(SessionLine::Adoption, process, unharmed),
    FIELD(SessionLine::Adoption, topic, unharmed),
    FIELD(SessionLine::Adoption, order, unharmed),
    FIELD(SessionLine::Adoption, identity, unharmed),
    FIELD(SessionLine::Adoption, incarnation, unharmed),
    FIELD(SessionLine::Adoption, identityGeneration, unharmed),
    FIELD(SessionLine::Adoption, base, unharmed),
    FIELD(SessionLine::Adoption, seal, unharmed),
    FIELD(IdentityLine::Standing, generation, misnamed),
    FIELD(IdentityLine::Standing, base, misnamed),
    FIELD(IdentityLine::Standing, sessionGeneration, misnamed),
    FIELD(IdentityLine::Standing, client, misnamed),
    FIELD(IdentityLine::Standing, incarnation, misnamed),
    FIELD(IdentityLine::Standing, damaged, misnamed),
    FIELD(IdentityLine::Standing, seal, misnamed),
    FIELD(FactLine, facts, unharmed),
    FIELD(SessionLine::Pressure, held, misnamed),
    FIELD(SessionLine::Pressure, heldTotal, misnamed),
    FIELD(SessionLine::Pressure, duplicates, misnamed),
    FIELD(SessionLine::Pressure, purged, misnamed),
    FIELD(SessionLine::Pressure, gapSinceNanos, misnamed),
    FIELD(LaneLine::Frontiers, generation, delayed),
    FIELD(LaneLine::Frontiers, scanned, delayed),
    FIELD(LaneLine::Frontiers, released, delayed),
    FIELD(LaneLine::Frontiers, payloadEnd, delayed),
    FIELD(LaneLine::Frontiers, payloadReleased, delayed),
    FIELD(LaneLine::Frontiers, trim, delayed),
    FIELD(LaneLine::Frontiers, firstIndex, delayed),
    FIELD(LaneLine::Frontiers, seal, delayed),
    FIELD(LaneLine::Counts, held, misnamed),
    FIELD(LaneLine::Counts, ordered, misnamed),
    FIELD(LaneLine::Counts, orderedMessages, misnamed),
    FIELD(LaneLine::Counts, delivered, misnamed),
    FIELD(LaneLine::Counts, deliveredMessages, misnamed),
    FIELD(LaneLine::Counts, duplicates, misnamed),
    FIELD(LaneLine::Counts, purged, misnamed),
    FIELD(LaneLine::Counts, firstIndex, misnamed),
    FIELD(ReaderEnd, endedGeneration, told),
    FIELD(IndexEntry, token, told),
    FIELD(IndexEntry, sessionKey, told),
    FIELD(IndexEntry, batchSequence, told),
    FIELD(IndexEntry, firstPosition, told),
    FIELD(IndexEntry, firstMessage, told),
    FIELD(IndexEntry, messageCount, told),
    FIELD(IndexEntry, payloadBytes, told),
    FIELD(IndexEntry, lane, told),
    FIELD(IndexEntry, uniformBytes, told),
    FIELD(IndexEntry, payloadPosition, told),
    FIELD(IndexEntry, seal, told),
    FIELD(IndexEntry, publishedNanos, told),
    FIELD(IndexEntry, orderedNanos, told),
    FIELD(IndexEntry, laneIndex, told),
    FIELD(IndexEntry, identityGeneration, told),
    FIELD(IndexEntry, identityRecord, told),
    FIELD(IndexEntry, identity, told),
    FIELD(IndexEntry, incarnation, told),
};

// Of readers that scan lanes.
const std::vector<DamagedField> inLanes = {
    FIELD(LaneCursor, taken, delayed),
    FIELD(LaneCursor, sessionGeneration, delayed),
    FIELD(LaneCursor, readerGeneration, delayed),
    FIELD(LaneCursor, leftGeneration, delayed),
    FIELD(LaneCursor, seal, delayed),
};

const std::vector<DamagedField> inRings = {
    FIELD(RingClaim, generation, delayed),
    FIELD(RingClaim, processGeneration, delayed),
    FIELD(RingClaim, writerSeal, delayed),
    FIELD(RingClaim, process, delayed),
    FIELD(RingName, naming, unharmed),
    FIELD(RingName, seal, told),
    FIELD(RingName, name, told),
    FIELD(RingLead, position, told | delayed),
    FIELD(RingLead, generation, misnamed),
    FIELD(RingLead, closedMark, delayed),
    FIELD(RingLead, announced, misnamed),
    FIELD(RingLead, frames, misnamed),
    FIELD(RingLead, fullEvents, misnamed),
    FIELD(RingLead, evictions, misnamed),
    FIELD(RingWait, waitsForRoom, delayed),
    FIELD(CursorWaiters, slots, delayed),
    FIELD(RingTable, readersVersion, unharmed),
    FIELD(RingReaderClaim, generation, told),
    FIELD(RingReaderClaim, processGeneration, told),
    FIELD(RingReaderClaim, process, told | delayed),
    FIELD(RingReaderClaim, name, misnamed),
    FIELD(RingReaderLine, attachedGeneration, told),
    FIELD(RingReaderLine, detachedGeneration, told),
    FIELD(RingReaderLine, read, delayed),
    FIELD(RingReaderLine, delivered, delayed),
    FIELD(RingReaderLine, handled, delayed),
    FIELD(RingReaderLine, released, told | delayed),
    FIELD(RingReaderLine, baseline, delayed),
    FIELD(RingReaderLine, seal, delayed),
    FIELD(RingReaderFate, endedGeneration, told),
    FIELD(RingReaderFate, evictedGeneration, told),
    FIELD(RingReaderFate, evictedFrom, misnamed),
    FIELD(RingReaderFate, evictedTo, misnamed),
    FIELD(FrameHeader, length, told),
    FIELD(FrameHeader, kind, told),
    FIELD(FrameHeader, flags, told),
    FIELD(FrameHeader, type, told),
    FIELD(FrameHeader, sender, told),
    FIELD(FrameHeader, senderGeneration, told),
    FIELD(FrameHeader, checksum, told),
    FIELD(FrameHeader, correlation, told),
};

constexpr const char* unnamed = "unnamed words";

// The fields, and of each structure with a seal also the words that no field names: the seal covers them, so its outcomes
// are theirs too.
std::vector<DamagedField> withUnnamedWords(const std::vector<DamagedField>& fields) {
  std::vector<DamagedField> all = fields;
  for (const DamagedField& seal : fields) {
    if (std::string(seal.name) != "seal") continue;
    for (size_t at = 0; at < seal.structureBytes; at += sizeof(uint64_t)) {
      const bool named = std::any_of(fields.begin(), fields.end(), [&](const DamagedField& field) {
        return std::string(field.structure) == seal.structure && field.offset < at + sizeof(uint64_t) && field.offset + field.bytes > at;
      });
      if (!named) all.push_back({seal.structure, unnamed, at, sizeof(uint64_t), seal.structureBytes, seal.may});
    }
  }
  return all;
}

std::string nameOf(const DamagedField& field) { return std::string(field.structure) + "." + field.name; }

std::string shown(unsigned outcome) {
  return std::string((outcome & told) != 0 ? " told" : "") + ((outcome & delayed) != 0 ? " delayed" : "");
}

}  // namespace

const std::vector<DamagedField>& headerFields() { return inHeader; }
const std::vector<DamagedField>& logFields() {
  static const std::vector<DamagedField> all = withUnnamedWords(inLog);
  return all;
}
const std::vector<DamagedField>& laneFields() {
  static const std::vector<DamagedField> all = withUnnamedWords(inLanes);
  return all;
}
const std::vector<DamagedField>& cursorFields() {
  static const std::vector<DamagedField> all = withUnnamedWords(inCursors);
  return all;
}
const std::vector<DamagedField>& ringFields() {
  static const std::vector<DamagedField> all = withUnnamedWords(inRings);
  return all;
}

void Findings::add(const DamagedField& field, const Seen& seen, const Damage& damage) {
  seen_[nameOf(field)] |= seen.outcome;
  const unsigned unlisted = seen.outcome & ~field.may;
  if (seen.wrong.empty() && unlisted == 0) return;
  problems_.emplace(nameOf(field) + ": " + seen.wrong + shown(unlisted),
                    std::to_string(damage.value) + ", was " + std::to_string(damage.before));
}

void Findings::finish(const std::vector<DamagedField>& fields) const {
  std::string report;
  for (const auto& [problem, values] : problems_) report += "\n    " + problem + " (" + values + ")";
  for (const DamagedField& field : fields) {
    if (slowness > 1) break;
    const auto seen = seen_.find(nameOf(field));
    if (seen == seen_.end()) {
      report += "\n    " + nameOf(field) + ": was not damaged";
    } else if (const unsigned never = field.may & told & ~seen->second; never != 0 && field.name != unnamed) {
      report += "\n    " + nameOf(field) + ": never" + shown(never);
    }
  }
  if (!report.empty()) fail(__FILE__, __LINE__, report);
}

std::vector<uint64_t> damagesOf(uint64_t value, unsigned bits, uint64_t random) {
  const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  const uint64_t changed[] = {0, 1, 2, value + 1, value - 1, value + 8, value - 8, value + 64, value - 64,
                              value ^ (uint64_t{1} << (bits / 2)), value ^ (uint64_t{1} << (bits - 1)), mask, random};
  std::set<uint64_t> values;
  for (const uint64_t each : changed) values.insert(each & mask);
  values.erase(value & mask);
  std::vector<uint64_t> some;
  uint64_t turn = random;
  for (const uint64_t each : values) {
    if (turn++ % slowness == 0) some.push_back(each);
  }
  return some;
}

}  // namespace ringfence::test
