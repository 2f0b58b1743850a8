#include "index_reader.h"

#include <unistd.h>

#include "region/futex.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence {

namespace {

// A trim frontier that moves on each look, or lies beyond the committed count, is no frontier.
constexpr int attachAttempts = 64;
constexpr useconds_t pauseMicros = 1000;

}  // namespace

IndexReader::IndexReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses)
    : region_(std::move(region)), topic_(topic), pauses_(pauses), claim_(claim) {}

uint64_t IndexReader::epoch() const {
  if (epoch_ != 0) return epoch_;
  const uint64_t epoch = region_->publication().observe(region_->header().control.epoch);
  if (epochSound(epoch)) epoch_ = epoch;
  return epoch_;
}

// The block that an epoch names says so itself; none is named only as long as none serves. Another block would look like
// a log in which nothing was ever published.
bool IndexReader::epochSound(uint64_t epoch) const {
  const Publication& p = region_->publication();
  if (epoch != 0) return p.read(region_->blockHeader(epoch).epoch) == epoch;
  return p.observe(region_->header().control.state) == servingNone;
}

// Publishers may wait for readers of their topic. SYNC: the attachment was published and fenced (publishCursor); who
// waits sets its word, fences and looks at the readers once more before it sleeps.
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
  // What lies between the cursor and the committed count can no longer go away while the batch is looked for.
  const uint64_t oldest = oldestPosition();
  if (position < oldest) {
    detach();
    Status status = Status::failed("trimmed", "the position is trimmed away");
    status.freeBytes = oldest;
    return status;
  }
  if (seek(position)) return Status::fine();
  detach();
  return Status::failed("corrupt", "an entry of the index was changed from outside");
}

// SYNC: cursor and attachment are published, a full fence follows, then the trim frontier is read again; the sequencer
// publishes the trim frontier, fences, and reads the cursors again before it reuses anything (Sequencer::trimTo). So
// either this reader sees that it was overtaken, or the sequencer sees the reader. The epoch is read again with it.
bool IndexReader::publishCursor(From from) {
  const Publication& p = region_->publication();
  const ControlLine& control = region_->header().control;
  ReaderLine& line = region_->reader(topic_, claim_.slot).line;
  attached_ = true;
  for (int attempt = 0; attempt < attachAttempts + pauses_; attempt += 1) {
    if (attempt >= attachAttempts) usleep(pauseMicros);
    epoch_ = p.observe(control.epoch);
    if (!epochSound(epoch_)) continue;
    const TopicLine& topic = region_->topicLine(epoch_, topic_);
    TopicLine::Retention kept;
    if (!readSealed(p, topic.retention, kept)) continue;
    const TopicLine::Committed at = lookAtCommitted();
    const uint64_t cursor = from == From::end ? at.entries : kept.trim;
    p.write(line.cursor, cursor);
    p.publish(line.attachedGeneration, claim_.generation);
    p.fullFence();
    first_ = kept.firstEntry;
    next_ = released_ = cursor;
    nextPosition_ = from == From::end ? at.messages : kept.trimMessages;
    positioned_ = true;
    const bool same = p.observe(control.epoch) == epoch_ && readSealed(p, topic.retention, kept);
    if (same && kept.trim <= cursor) return true;
  }
  return false;
}

// Position of the first message that is kept for this reader. The trim frontier's own count may already be that of a
// frontier which the sequencer takes back when it sees this reader.
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

// False when it meets an entry that is damaged: where the position lies cannot be told then.
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

// SYNC: pairs with the publish of the seal in Sequencer::publishCommitted, which follows the entries; what the entries
// point to was published by the lane's client and observed by the sequencer before that.
const TopicLine::Committed& IndexReader::lookAtCommitted() const {
  TopicLine::Committed now;
  if (readSealed(region_->publication(), region_->topicLine(epoch(), topic_).committed, now)) committed_ = now;
  return committed_;
}

uint64_t IndexReader::committed() const {
  const uint64_t entries = lookAtCommitted().entries;
  return entries < first_ ? 0 : entries - first_;
}

// The line of its cursor says what it wrote there, and the sequencer has not ended it: only then nothing of what it
// reads is reused.
bool IndexReader::ownsItsPlace() const {
  const Publication& p = region_->publication();
  const ReaderSlot& slot = region_->reader(topic_, claim_.slot);
  return p.read(slot.claim.generation) == claim_.generation && p.read(slot.line.cursor) == released_ &&
         p.read(slot.line.attachedGeneration) == claim_.generation &&
         p.read(slot.line.detachedGeneration) != claim_.generation &&
         p.read(region_->readerEnd(epoch(), topic_, claim_.slot).endedGeneration) != claim_.generation;
}

// Every number is checked before it is used as an address: the memory is not trusted.
bool IndexReader::read(uint64_t index, BatchView& view) const {
  const Geometry& g = region_->layout().geometry;
  const IndexEntry entry = region_->publication().copyOut(region_->entry(epoch(), topic_, index));
  if (!entrySealed(entry, readyToken(index, epoch()))) return false;
  const uint64_t offset = entry.place.payloadPosition & (g.lanePayloadBytes - 1);
  const uint64_t bytes =
      batchBytesOf(entry.order.payloadBytes, entry.order.messageCount, entry.order.uniformBytes);
  if (entry.order.lane >= region_->layout().lanes() || entry.order.messageCount == 0) return false;
  if (offset % lineBytes != 0 || bytes > g.batchBytes || offset + bytes > g.lanePayloadBytes) return false;
  if (entry.order.uniformBytes != 0 &&
      uint64_t{entry.order.uniformBytes} * entry.order.messageCount != entry.order.payloadBytes) {
    return false;
  }
  view.index = index - first_;
  view.position = entry.order.firstPosition;
  view.sessionId = entry.order.sessionKey >> 16;
  view.batchSequence = entry.order.batchSequence;
  view.firstMessage = entry.order.firstMessage;
  view.payloadOffset = offset;
  view.publishedNanos = entry.place.publishedNanos;
  view.orderedNanos = entry.place.orderedNanos;
  view.lane = entry.order.lane;
  view.messages = entry.order.messageCount;
  view.payloadBytes = entry.order.payloadBytes;
  view.uniformBytes = entry.order.uniformBytes;
  return true;
}

int32_t IndexReader::poll(BatchView* views, uint32_t max) {
  if (attached_ && !region_->closed() && !ownsItsPlace()) return -1;
  const uint64_t count = lookAtCommitted().entries;
  if (count - next_ > region_->layout().geometry.indexEntries) return count < next_ ? 0 : -1;
  uint32_t filled = 0;
  for (; filled < max && next_ < count; filled += 1) {
    if (!read(next_, views[filled])) return filled != 0 ? static_cast<int32_t>(filled) : -1;
    const BatchView& view = views[filled];
    // The order is dense: whatever does not begin where the one before it ends is not what follows it.
    if (positioned_ && view.position != nextPosition_) return filled != 0 ? static_cast<int32_t>(filled) : -1;
    positioned_ = true;
    nextPosition_ = view.position + view.messages;
    region_->publication().willRead(region_->payload(view.lane) + view.payloadOffset, view.payloadBytes);
    next_ += 1;
  }
  return static_cast<int32_t>(filled);
}

// SYNC: pairs with the observe in Sequencer::followReaders. All loads of the payload come before it.
void IndexReader::release(uint64_t released) {
  const uint64_t index = first_ + released;
  if (!attached_ || region_->closed() || index <= released_ || index > next_) return;
  if (!ownsItsPlace()) return;  // it is not written over: the next poll tells
  released_ = index;
  region_->publication().publish(region_->reader(topic_, claim_.slot).line.cursor, index);
  region_->wakeSequencer(sleepsForRoom);
}

void IndexReader::detach() {
  if (!attached_) return;
  attached_ = false;
  if (region_->closed()) return;
  ReaderLine& line = region_->reader(topic_, claim_.slot).line;
  region_->publication().write(line.leftNanos, monotonicNanos());
  region_->publication().publish(line.detachedGeneration, claim_.generation);
  region_->wakeSequencer(sleepsForRoom);
}

}  // namespace ringfence
