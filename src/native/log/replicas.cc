#include "replicas.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "region/epochs.h"
#include "region/planted.h"
#include "region/token.h"

namespace ringfence {

namespace {

constexpr int lookAttempts = 16;  // at a seal that its reader is just writing

void count(std::vector<Synced>& replicas, const Synced& synced) {
  for (Synced& each : replicas) {
    if (each.replica.key != synced.replica.key) continue;
    each.entries = std::max(each.entries, synced.entries);
    return;
  }
  replicas.push_back(synced);
}

std::optional<uint32_t> copiesOfWord(uint64_t word) {
  const auto copies = static_cast<uint32_t>(word >> 32);
  return word == copiesWordOf(copies) ? std::optional(copies) : std::nullopt;
}

bool ended(const Region& region, uint64_t epoch, uint32_t topic, uint32_t reader, uint64_t generation) {
  if (epoch == 0) return false;
  return region.publication().observe<&ReaderEnd::endedGeneration>(region.readerEnd(epoch, topic, reader)) == generation;
}

}  // namespace

// Never 0, which is what damage may leave.
uint64_t copiesWordOf(uint32_t copies) { return uint64_t{copies} << 32 | static_cast<uint32_t>(mix64(uint64_t{copies} + 1) | 1); }

std::optional<uint32_t> copiesIn(const ServiceLine& line) {
  const std::optional<uint32_t> copies = copiesOfWord(line.copies);
  return copies ? copies : copiesOfWord(line.copiesAgain);
}

// The words stay as they are while the epoch lasts: they were written ahead of the head that says that it serves.
std::optional<uint32_t> copiesOf(const Region& region, const EpochView& view) {
  if (view.epoch() == 0) return 0;
  const Publication& p = region.publication();
  const auto& service = region.blockHead(view.epoch()).service;
  const std::optional<uint32_t> copies = copiesOfWord(p.observe<&ServiceLine::copies>(service));
  return copies ? copies : copiesOfWord(p.observe<&ServiceLine::copiesAgain>(service));
}

// SYNC: observes the seal, which IndexReader::publishSynced publishes behind the cursor that it seals, and that follows the
// sync of the replica's file.
SyncedState syncedAt(const Region& region, uint32_t topic, uint32_t reader, Synced& synced) {
  const Publication& p = region.publication();
  const ReaderSlot& slot = region.reader(topic, reader);
  const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
  if (generation == 0) return SyncedState::none;
  synced.generation = generation;
  for (int attempt = 0; attempt < lookAttempts; attempt += 1) {
    const ReaderLine line = p.snapshot<&ReaderLine::syncedSeal>(slot.line);
    if (line.attachedGeneration != generation || line.detachedGeneration == generation || line.syncedSeal == 0) return SyncedState::none;
    if (line.syncedSeal != syncedSealOf(line, generation)) continue;
    synced = {generation, {line.replicaKey, line.replicasRequired}, line.cursor};
    return SyncedState::whole;
  }
  // The place may be another reader's by now.
  return p.observeAfterReads<&ReaderClaim::generation>(slot.claim) == generation ? SyncedState::torn : SyncedState::none;
}

// A reader that was killed in the midst of its line leaves it torn: it counts no more once the sequencer has ended it.
Durability durabilityOf(const Region& region, uint32_t topic) {
  Durability durability;
  EpochView view(region);
  if (!view.look()) return durability;
  std::vector<Synced> replicas;
  const std::optional<uint32_t> copies = copiesOf(region, view);
  bool known = copies.has_value();
  if (known && *copies != 0 && !planted("what the server requires is not read")) durability.required = *copies;
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    Synced synced;
    const SyncedState state = syncedAt(region, topic, i, synced);
    const bool torn = state == SyncedState::torn;
    if (torn && planted("a dead replica's torn line hides the others")) known = false;
    if (state == SyncedState::none || ended(region, view.epoch(), topic, i, synced.generation)) continue;
    if (torn) {
      known = false;
      continue;
    }
    durability.required = std::max(durability.required, synced.replica.required);
    count(replicas, synced);
  }
  if (!known || replicas.size() < durability.required || !view.believes()) return durability;
  std::ranges::sort(replicas, std::greater(), &Synced::entries);
  durability.entries = replicas[durability.required - 1].entries;
  return durability;
}

}  // namespace ringfence
