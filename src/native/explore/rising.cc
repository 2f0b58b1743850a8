#include "rising.h"

#include <algorithm>
#include <cstring>

#include "region/ring_layout.h"

namespace ringfence::explore {

namespace {

#define RISES(Structure, field, owner) \
  {#Structure, offsetof(Structure, field), sizeof(Structure::field), RisesUnder::owner}

// Grouped by structure, because risingIn returns one span.
constexpr Rising rising[] = {
    RISES(ProcessOwner, generation, all),
    RISES(TopicWishes, wanted, all),
    RISES(TopicSlot, generation, all),
    RISES(IdentitySlot, generation, all),
    RISES(CursorSlot::Cursor, holding, all),
    RISES(ClientClaim, generation, all),
    RISES(ClientLine, closingGeneration, all),
    RISES(GrantLine, grantedGeneration, epoch),
    RISES(ReaderClaim, generation, all),
    RISES(ReaderLine, cursor, reader),
    RISES(ReaderLine, attachedGeneration, all),
    RISES(ReaderLine, detachedGeneration, all),
    RISES(ProducerLine, generation, all),
    RISES(ProducerLine, writtenBatches, session),
    RISES(ProducerLine, publishedBatches, session),
    RISES(ProducerLine, writtenMessages, session),
    RISES(ProducerLine, publishedMessages, session),
    RISES(ProducerLine, fullEvents, session),
    RISES(LaneCursor, taken[0], both),
    RISES(LaneCursor, taken[1], both),
    RISES(LaneCursor, taken[2], both),
    RISES(LaneCursor, taken[3], both),
    RISES(BlockHead, word, all),
    RISES(BlockHead, again, all),
    RISES(ServiceLine, pulse, all),
    RISES(ServiceLine, passes, epoch),
    RISES(ServiceLine, commits, epoch),
    RISES(ServiceLine, wishesAnswered, epoch),
    RISES(ServiceLine, wishesRefused, epoch),
    RISES(TopicLine::Committed, entries, epoch),
    RISES(TopicLine::Retention, firstEntry, epoch),
    RISES(SessionLine::Acknowledged, generation, epoch),
    RISES(SessionLine::Acknowledged, endedGeneration, epoch),
    RISES(SessionLine::Acknowledged, batches, sealed),
    RISES(SessionLine::Acknowledged, messages, sealed),
    RISES(IdentityLine::Standing, generation, epoch),
    RISES(LaneLine::Frontiers, generation, epoch),
    RISES(LaneLine::Frontiers, scanned, epoch),
    RISES(LaneLine::Frontiers, released, epoch),
    RISES(LaneLine::Frontiers, payloadEnd, epoch),
    RISES(LaneLine::Frontiers, payloadReleased, epoch),
    RISES(ReaderEnd, endedGeneration, epoch),
    RISES(RingClaim, generation, all),
    RISES(RingName, naming, all),
    RISES(RingLead, position, all),
    RISES(RingLead, generation, all),
    RISES(RingLead, frames, all),
    RISES(RingLead, fullEvents, all),
    RISES(RingLead, evictions, all),
    RISES(RingTable, readersVersion, all),
    RISES(RingReaderClaim, generation, all),
    RISES(RingReaderLine, attachedGeneration, all),
    RISES(RingReaderLine, detachedGeneration, all),
    RISES(RingReaderLine, read, all),
    RISES(RingReaderLine, delivered, all),
    RISES(RingReaderLine, handled, all),
    RISES(RingReaderLine, released, all),
    RISES(RingReaderLine, baseline, all),
    RISES(RingReaderFate, endedGeneration, all),
    RISES(RingReaderFate, evictedGeneration, all),
    RISES(RingReaderFate, evictedTo, all),
};

#undef RISES

}  // namespace

std::span<const Rising> risingIn(const char* structure) {
  const auto is = [&](const Rising& one) { return std::strcmp(one.structure, structure) == 0; };
  const Rising* first = std::find_if(std::begin(rising), std::end(rising), is);
  const Rising* behind = std::find_if_not(first, std::end(rising), is);
  return {first, behind};
}

}  // namespace ringfence::explore
