#include "index_reader.h"

#include <unistd.h>

#include <algorithm>

#include "region/epochs.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence {

namespace {

// A trim frontier that moves at each of so many attempts, or lies beyond the committed count, is damaged.
constexpr int attachAttempts = 64;
constexpr useconds_t pauseMicros = 1000;

}  // namespace

IndexReader::IndexReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses, const ReaderKind& kind)
    : region_(std::move(region)), topic_(topic), pauses_(pauses), claim_(claim), kind_(kind) {}

// Wakes publishers that wait for readers of their topic. begin() has published and fenced the attachment; a waiting
// publisher writes its sleep word, fences, and checks the readers once more before it sleeps.
Status IndexReader::attach(From from, uint64_t position) {
  Status status = begin(from, position);
  if (!status.ok()) return status;
  if (kind_.replica.required != 0) {
    synced_ = true;
    publishSynced();
    region_->wakeSequencer(sleepsForRoom);
  }
  region_->wakeProcesses(sleepsForData);
  return status;
}

Status IndexReader::begin(From from, uint64_t position) {
  Status status = publishCursor(from);
  if (!status.ok()) {
    detach();
    return status;
  }
  if (from != From::position) return Status::fine();
  // The published cursor keeps the batches from here to the committed count during the search.
  const uint64_t oldest = oldestPosition();
  if (position < oldest) {
    detach();
    status = Status::failed("trimmed", "the position has been trimmed");
    status.freeBytes = oldest;
    return status;
  }
  if (seek(position)) return Status::fine();
  const bool behind = behindTheEpoch();
  detach();
  return behind ? recovering() : Status::failed("corrupt", "an entry of the index was changed from outside");
}

// SYNC: publishes cursor and attachment, fences, and reads the trim frontier and the epoch again; the sequencer
// publishes the trim frontier, fences, and reads the cursors again before it reuses memory (sequencing::trimTo). So
// either this reader sees that it was overtaken, or the sequencer sees the reader. In the same way a successor, which
// announces its epoch, fences, and reads the cursors, sees the reader, or this one sees its epoch. A server that was killed
// in the midst of the frontier's line leaves it torn: its spare, which is written ahead of it, holds then.
Status IndexReader::publishCursor(From from) {
  const Publication& p = region_->publication();
  auto& line = region_->reader(topic_, claim_.slot).line;
  EpochView view(*region_);
  TopicView topic{};
  static_cast<void>(topicAt(*region_, topic_, topic));
  attached_ = true;
  for (int attempt = 0; attempt < attachAttempts + pauses_; attempt += 1) {
    if (attempt >= attachAttempts) usleep(pauseMicros);
    if (!view.look()) return recovering();
    epoch_ = view.epoch();
    TopicLine::Retention kept{};
    const TopicLine& lines = region_->topicLine(epoch_, topic_);
    const bool torn = planted("a torn frontier refuses a reader") && !readSealed(p, lines.retention, kept);
    if (epoch_ != 0 && (torn || !readEither(p, lines.retention, lines.retentionSpare, kept))) continue;
    const TopicLine::Committed at = lookAtCommitted();
    // The sequencer may not have adopted a restored topic yet, whose counts begin at its base.
    const uint64_t begins = kept.firstEntry + topic.base.entries;
    const uint64_t cursor = std::max(begins, from == From::end ? at.entries : kept.trim);
    // A former reader of the place may have been a replica's.
    p.on(role_, line)
        .set<&ReaderLine::syncedSeal>(0)
        .set<&ReaderLine::cursor>(cursor)
        .publish<&ReaderLine::attachedGeneration>(claim_.generation);
    const Fenced fenced = p.fullFence();
    first_ = kept.firstEntry;
    next_ = released_ = cursor;
    // Where the topic's entries begin, the count of messages may still be the place's former topic's.
    nextPosition_ = from != From::end ? kept.trimMessages : at.messages;
    if (cursor == begins) nextPosition_ = topic.base.messages;
    positioned_ = true;
    // Against the epoch of the frontier: lookAtCommitted() may have found that the log is served by now.
    const bool same = epoch_ == view.epoch() && view.believes(fenced) &&
                      (epoch_ == 0 || readEither(p, fenced, lines.retention, lines.retentionSpare, kept));
    if (same && kept.trim <= cursor) return Status::fine();
  }
  return Status::failed("corrupt", "the index contradicts itself");
}

// Position of the first message kept for this reader. The trim frontier's message count cannot tell: the sequencer may
// take that frontier back when it sees this reader.
uint64_t IndexReader::oldestPosition() const {
  uint64_t messages = 0;
  for (int attempt = 0; attempt < attachAttempts; attempt += 1) {
    const uint64_t count = lookAtCommitted().entries;
    BatchView oldest{};
    if (next_ < count) return read(next_, oldest) ? oldest.position : 0;
    messages = std::max(lookAtCommitted().messages, nextPosition_);
    if (lookAtCommitted().entries == count) break;
  }
  return messages;
}

// False when it meets a damaged entry, because the position cannot be found then.
bool IndexReader::seek(uint64_t position) {
  uint64_t low = next_;
  uint64_t high = lookAtCommitted().entries;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    BatchView view{};
    if (!read(middle, view)) return false;
    if (view.position + view.messages <= position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  positioned_ = low == next_;
  next_ = low;
  release(low - first_);
  return true;
}

// A server that is killed while it writes the line leaves it torn until another one takes over: its spare holds then.
// SYNC: pairs with the publish of the seal in sequencing::publishCommitted, which follows the entries; the sequencer had
// observed the payload that the lane's client published before that.
const TopicLine::Committed& IndexReader::lookAtCommitted() const {
  const Publication& p = region_->publication();
  EpochView view(*region_);
  if (!view.look() || view.epoch() == 0) return committed_;
  const TopicLine& topic = region_->topicLine(view.epoch(), topic_);
  TopicLine::Committed now;
  if (!readEither(p, topic.committed, topic.committedSpare, now)) return committed_;
  const bool moved = now.entries != committed_.entries || now.messages != committed_.messages || epoch_ != view.epoch();
  if (!moved || !view.believes()) return committed_;
  epoch_ = view.epoch();
  committed_ = now;
  if (positioned_ && now.entries == first_) committed_.messages = 0;
  return committed_;
}

// What was durable at an earlier look is durable still, even if a replica has left meanwhile.
uint64_t IndexReader::end() const {
  const uint64_t entries = lookAtCommitted().entries;
  if (!kind_.durable) return entries;
  durable_ = std::max(durable_, durabilityOf(*region_, topic_).entries.value_or(0));
  return std::min(entries, std::max(durable_, next_));
}

uint64_t IndexReader::committed() {
  const uint64_t entries = end();
  return entries < first_ ? 0 : entries - first_;
}

uint64_t IndexReader::committedMessages() const {
  const uint64_t entries = end();
  // A restored topic that the sequencer has not adopted yet ends at its base, where its readers begin.
  if (entries < next_) return nextPosition_;
  if (entries >= committed_.entries) return committed_.messages;
  BatchView next{};
  return read(entries, next) ? next.position : nextPosition_;
}

// Whether its line holds what this reader wrote, and the sequencer has not ended it: only then is no memory reused that
// it reads.
bool IndexReader::ownsItsPlace() const {
  const Publication& p = region_->publication();
  const ReaderSlot& slot = region_->reader(topic_, claim_.slot);
  return p.observe<&ReaderClaim::generation>(slot.claim) == claim_.generation &&
         p.own<&ReaderLine::cursor>(role_, slot.line) == released_ &&
         p.own<&ReaderLine::attachedGeneration>(role_, slot.line) == claim_.generation &&
         p.own<&ReaderLine::detachedGeneration>(role_, slot.line) != claim_.generation && !ended();
}

bool IndexReader::ended() const {
  EpochView view(*region_);
  if (!view.look() || view.epoch() == 0) return false;
  const auto& end = region_->readerEnd(view.epoch(), topic_, claim_.slot);
  return region_->publication().observe<&ReaderEnd::endedGeneration>(end) == claim_.generation && view.believes();
}

bool IndexReader::behindTheEpoch() const {
  const Heads heads = headsOf(*region_);
  return !heads.known || heads.served.number != epoch_;
}

// Checks every number before using it as an address: the memory is not trusted.
// SYNC: observes the seal of the entry; pairs with the publish in sequencing::commit.
std::optional<Seen<Payload>> IndexReader::read(uint64_t index, BatchView& view) const {
  const Publication& p = region_->publication();
  const Geometry& g = region_->layout().geometry;
  if (epoch_ == 0) return std::nullopt;
  const auto [entry, seen] = p.snapshotCovering<&IndexEntry::seal>(region_->entry(epoch_, topic_, index));
  if (!entrySealed(entry, readyToken(region_->mark(), index, epoch_))) return std::nullopt;
  const uint64_t offset = entry.payloadPosition & (g.lanePayloadBytes - 1);
  const uint64_t bytes = batchBytesOf(entry.payloadBytes, entry.messageCount, entry.uniformBytes);
  if (entry.lane >= region_->layout().lanes() || entry.messageCount == 0) return std::nullopt;
  if (offset % lineBytes != 0 || bytes > g.batchBytes || offset + bytes > g.lanePayloadBytes) return std::nullopt;
  if (entry.uniformBytes != 0 && uint64_t{entry.uniformBytes} * entry.messageCount != entry.payloadBytes) {
    return std::nullopt;
  }
  view.index = index - first_;
  view.position = entry.firstPosition;
  view.sessionId = entry.sessionKey >> 16;
  view.batchSequence = entry.batchSequence;
  view.firstMessage = entry.firstMessage;
  view.payloadOffset = offset;
  view.publishedNanos = entry.publishedNanos;
  view.orderedNanos = entry.orderedNanos;
  view.lane = entry.lane;
  view.messages = entry.messageCount;
  view.payloadBytes = entry.payloadBytes;
  view.uniformBytes = entry.uniformBytes;
  view.identity = entry.identity;
  view.identityGeneration = entry.identityGeneration;
  view.identityRecord = entry.identityRecord;
  view.incarnation = entry.incarnation;
  return seen;
}

int32_t IndexReader::poll(BatchView* views, uint32_t max) {
  if (attached_ && !region_->closed() && !ownsItsPlace()) return -1;
  const uint64_t count = end();
  if (count - next_ > region_->layout().geometry.indexEntries) return count < next_ ? 0 : -1;
  uint32_t filled = 0;
  for (; filled < max && next_ < count; filled += 1) {
    const auto payload = read(next_, views[filled]);
    if (!payload) return filled != 0 || behindTheEpoch() ? static_cast<int32_t>(filled) : -1;
    const BatchView& view = views[filled];
    // The order is dense: an entry that does not begin where the one before it ends is damaged.
    if (positioned_ && view.position != nextPosition_) return filled != 0 ? static_cast<int32_t>(filled) : -1;
    positioned_ = true;
    nextPosition_ = view.position + view.messages;
    const uint64_t bytes = batchBytesOf(view.payloadBytes, view.messages, view.uniformBytes);
    region_->publication().lend(region_->payload(view.lane).part(view.payloadOffset, bytes), *payload);
    next_ += 1;
  }
  return static_cast<int32_t>(filled);
}

// SYNC: publishes the cursor after all loads of the payload; pairs with the observe in sequencing::followReaders.
void IndexReader::release(uint64_t released) {
  const uint64_t index = first_ + released;
  if (!attached_ || region_->closed() || index <= released_ || index > next_) return;
  if (!ownsItsPlace()) return;  // never overwrite another's values: the next poll reports them
  released_ = index;
  if (synced_) {
    publishSynced();
  } else {
    region_->publication().on(role_, region_->reader(topic_, claim_.slot).line).publish<&ReaderLine::cursor>(index);
  }
  region_->wakeSequencer(sleepsForRoom);
  if (synced_) region_->wakeProcesses(sleepsForData);  // publishers wait for a replica, and subscribers
}

// SYNC: of a replica's reader the seal follows the cursor, and both follow the sync of its file; pairs with the snapshot in
// syncedAt.
void IndexReader::publishSynced() {
  auto& shared = region_->reader(topic_, claim_.slot).line;
  ReaderLine line{};
  line.cursor = released_;
  line.replicaKey = kind_.replica.key;
  line.replicasRequired = kind_.replica.required;
  region_->publication()
      .on(role_, shared)
      .set<&ReaderLine::replicaKey>(line.replicaKey)
      .set<&ReaderLine::replicasRequired>(line.replicasRequired)
      .publish<&ReaderLine::cursor>(line.cursor)
      .publish<&ReaderLine::syncedSeal>(syncedSealOf(line, claim_.generation));
}

// SYNC: follows the sync of the replica's files; pairs with readStored in cursors.cc.
void IndexReader::storedCursors(uint64_t micros) {
  if (!synced_ || !attached_ || region_->closed() || !ownsItsPlace()) return;
  StoredLine line{};
  line.generation = claim_.generation;
  line.replicaKey = kind_.replica.key;
  line.replicasRequired = kind_.replica.required;
  line.storedMicros = micros;
  publishSealed(region_->publication(), role_, region_->reader(topic_, claim_.slot).stored, Sealed(line));
  region_->wakeProcesses(sleepsForData);
}

void IndexReader::detach() {
  if (!attached_) return;
  attached_ = false;
  if (region_->closed()) return;
  leavePlace(*region_, topic_, claim_.slot, claim_.generation);
  region_->wakeSequencer(sleepsForRoom);
}

}  // namespace ringfence
