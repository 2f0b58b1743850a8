#include "index_reader.h"

#include <unistd.h>

#include <algorithm>

#include "region/futex.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence {

namespace {

// A trim frontier that moves at each of so many attempts, or lies beyond the committed count, is damaged.
constexpr int attachAttempts = 64;
constexpr useconds_t pauseMicros = 1000;

}  // namespace

IndexReader::IndexReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses)
    : region_(std::move(region)), topic_(topic), pauses_(pauses), claim_(claim) {}

uint64_t IndexReader::newestEpoch() const {
  return region_->publication().observe<&ControlLine::epoch>(region_->header().control);
}

uint64_t IndexReader::epoch() const {
  if (epoch_ != 0) return epoch_;
  const uint64_t epoch = newestEpoch();
  if (epochSound(epoch)) epoch_ = epoch;
  return epoch_;
}

// Checks that the epoch's block names the same epoch, or that there is no epoch because the log is not served yet. The
// wrong block would look like a log without batches.
bool IndexReader::epochSound(uint64_t epoch) const {
  const Publication& p = region_->publication();
  if (epoch != 0) return p.observe<&BlockHeader::epoch>(region_->blockHeader(epoch)) == epoch;
  return p.observe<&ControlLine::state>(region_->header().control) == servingNone;
}

// Wakes publishers that wait for readers of their topic. begin() has published and fenced the attachment; a waiting
// publisher writes its sleep word, fences, and checks the readers once more before it sleeps.
Status IndexReader::attach(From from, uint64_t position) {
  Status status = begin(from, position);
  if (status.ok()) region_->wakeProcesses(sleepsForData);
  return status;
}

Status IndexReader::begin(From from, uint64_t position) {
  if (!publishCursor(from)) {
    detach();
    return Status::failed("corrupt", "the index contradicts itself");
  }
  if (from != From::position) return Status::fine();
  // The published cursor keeps the batches from here to the committed count during the search.
  const uint64_t oldest = oldestPosition();
  if (position < oldest) {
    detach();
    Status status = Status::failed("trimmed", "the position has been trimmed");
    status.freeBytes = oldest;
    return status;
  }
  if (seek(position)) return Status::fine();
  detach();
  return Status::failed("corrupt", "an entry of the index was changed from outside");
}

// SYNC: publishes cursor and attachment, fences, and reads the trim frontier and the epoch again; the sequencer
// publishes the trim frontier, fences, and reads the cursors again before it reuses memory (sequencing::trimTo). So
// either this reader sees that it was overtaken, or the sequencer sees the reader.
bool IndexReader::publishCursor(From from) {
  const Publication& p = region_->publication();
  const auto& control = region_->header().control;
  auto& line = region_->reader(topic_, claim_.slot).line;
  attached_ = true;
  for (int attempt = 0; attempt < attachAttempts + pauses_; attempt += 1) {
    if (attempt >= attachAttempts) usleep(pauseMicros);
    const uint64_t epoch = epoch_ = newestEpoch();
    if (!epochSound(epoch)) continue;
    const TopicLine& topic = region_->topicLine(epoch, topic_);
    TopicLine::Retention kept;
    if (!readSealed(p, topic.retention, kept)) continue;
    const TopicLine::Committed at = lookAtCommitted();
    const uint64_t cursor = from == From::end ? at.entries : kept.trim;
    p.on(role_, line).set<&ReaderLine::cursor>(cursor).publish<&ReaderLine::attachedGeneration>(claim_.generation);
    const Fenced fenced = p.fullFence();
    first_ = kept.firstEntry;
    next_ = released_ = cursor;
    nextPosition_ = from == From::end ? at.messages : kept.trimMessages;
    positioned_ = true;
    // Against the epoch of the frontier: lookAtCommitted() may have found that the log is served by now.
    const bool same =
        p.observeBehind<&ControlLine::epoch>(fenced, control) == epoch && readSealed(p, fenced, topic.retention, kept);
    if (same && kept.trim <= cursor) return true;
  }
  return false;
}

// Position of the first message kept for this reader. The trim frontier's message count cannot tell: the sequencer may
// take that frontier back when it sees this reader.
uint64_t IndexReader::oldestPosition() const {
  uint64_t messages = 0;
  for (int attempt = 0; attempt < attachAttempts; attempt += 1) {
    const uint64_t count = lookAtCommitted().entries;
    BatchView oldest{};
    if (next_ < count) return read(next_, oldest) ? oldest.position : 0;
    messages = committedMessages();
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

// SYNC: pairs with the publish of the seal in sequencing::publishCommitted, which follows the entries; the sequencer had
// observed the payload that the lane's client published before that.
const TopicLine::Committed& IndexReader::lookAtCommitted() const {
  const Publication& p = region_->publication();
  const auto& line = region_->topicLine(epoch(), topic_).committed;
  TopicLine::Committed now;
  if (readSealed(p, line, now)) {
    committed_ = now;
  } else {
    countEntries(p.observe<&TopicLine::Committed::entries>(line));
  }
  return committed_;
}

// A server that is killed while it writes the line leaves it torn for ever, with the count from before or the one after.
// The entries below either count are whole, and each is sealed: so they count, and no acknowledged batch is missing.
void IndexReader::countEntries(uint64_t limit) const {
  BatchView view{};
  for (uint64_t i = std::max(committed_.entries, next_); i < limit && read(i, view); i += 1) {
    committed_.entries = i + 1;
    committed_.messages = view.position + view.messages;
  }
}

uint64_t IndexReader::committed() {
  const uint64_t entries = lookAtCommitted().entries;
  return entries < first_ ? 0 : entries - first_;
}

// Whether its line holds what this reader wrote, and the sequencer has not ended it: only then is no memory reused that
// it reads.
bool IndexReader::ownsItsPlace() const {
  const Publication& p = region_->publication();
  const ReaderSlot& slot = region_->reader(topic_, claim_.slot);
  return p.observe<&ReaderClaim::generation>(slot.claim) == claim_.generation &&
         p.own<&ReaderLine::cursor>(role_, slot.line) == released_ &&
         p.own<&ReaderLine::attachedGeneration>(role_, slot.line) == claim_.generation &&
         p.own<&ReaderLine::detachedGeneration>(role_, slot.line) != claim_.generation &&
         p.observe<&ReaderEnd::endedGeneration>(region_->readerEnd(epoch(), topic_, claim_.slot)) != claim_.generation;
}

// Checks every number before using it as an address: the memory is not trusted.
// SYNC: observes the seal of the entry; pairs with the publish in sequencing::commit.
std::optional<Seen<Payload>> IndexReader::read(uint64_t index, BatchView& view) const {
  const Publication& p = region_->publication();
  const Geometry& g = region_->layout().geometry;
  const auto [entry, seen] = p.snapshotCovering<&IndexEntry::seal>(region_->entry(epoch(), topic_, index));
  if (!entrySealed(entry, readyToken(region_->mark(), index, epoch()))) return std::nullopt;
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
  return seen;
}

int32_t IndexReader::poll(BatchView* views, uint32_t max) {
  if (attached_ && !region_->closed() && !ownsItsPlace()) return -1;
  const uint64_t count = lookAtCommitted().entries;
  if (count - next_ > region_->layout().geometry.indexEntries) return count < next_ ? 0 : -1;
  uint32_t filled = 0;
  for (; filled < max && next_ < count; filled += 1) {
    const auto payload = read(next_, views[filled]);
    if (!payload) return filled != 0 ? static_cast<int32_t>(filled) : -1;
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
  region_->publication().on(role_, region_->reader(topic_, claim_.slot).line).publish<&ReaderLine::cursor>(index);
  region_->wakeSequencer(sleepsForRoom);
}

void IndexReader::detach() {
  if (!attached_) return;
  attached_ = false;
  if (region_->closed()) return;
  leavePlace(*region_, topic_, claim_.slot, claim_.generation);
  region_->wakeSequencer(sleepsForRoom);
}

}  // namespace ringfence
