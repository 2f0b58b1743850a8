#include "lapped_reader.h"

#include <algorithm>

#include "region/epochs.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/sealed_line.h"

namespace ringfence {

namespace {

// Each attempt at which it was overtaken is a trim, which needs new batches: once they pause, an attempt succeeds.
constexpr int overtakenAttempts = 64;

}  // namespace

Status LappedReader::attach(From from, uint64_t position) {
  Status status = IndexReader::attach(from, position);
  if (!status.ok()) return status;
  // What it attached to is kept until it lets go, so the entry is there.
  const TopicLine::Committed now = lookAtCommitted();
  BatchView next{};
  if (next_ >= now.entries) {
    // Behind the end stands a reader of a restored topic that the sequencer has not adopted yet: at its base.
    if (next_ == now.entries) nextPosition_ = now.messages;
  } else if (read(next_, next)) {
    nextPosition_ = next.position;
  } else {
    const bool behind = behindTheEpoch();
    detach();
    return behind ? recovering() : Status::failed("corrupt", "an entry of the index was changed from outside");
  }
  positioned_ = true;
  letGo();
  return status;
}

void LappedReader::letGo() {
  released_ = holdsNothing;
  region_->publication()
      .on(role_, region_->reader(topic_, claim_.slot).line)
      .set<&ReaderLine::read>(next_)
      .publish<&ReaderLine::cursor>(holdsNothing);
  region_->wakeSequencer(sleepsForRoom);
}

void LappedReader::release(uint64_t released) {
  if (!attached_ || region_->closed() || !ownsItsPlace()) return;
  region_->publication().on(role_, region_->reader(topic_, claim_.slot).line).set<&ReaderLine::read>(first_ + released);
}

bool LappedReader::resume(uint64_t index, uint64_t position) {
  TopicLine::Retention kept{};
  if (!lookAtKept(kept) || first_ + index < kept.firmTrim) return false;
  next_ = first_ + index;
  nextPosition_ = position;
  return true;
}

// Each batch begins on a line of its own, so that its table of lengths is aligned.
LappedReader::Unproven LappedReader::copyUnproven(BatchView* views, uint32_t max, uint8_t* to, uint64_t room) const {
  const uint64_t count = end();
  Unproven copied;
  uint64_t position = nextPosition_;
  uint64_t at = 0;
  for (uint64_t index = next_; copied.filled < max && index < count; index += 1) {
    BatchView& view = views[copied.filled];
    const auto payload = read(index, view);
    copied.refused = !payload || view.position != position;
    if (copied.refused) break;
    const uint64_t bytes = batchBytesOf(view.payloadBytes, view.messages, view.uniformBytes);
    if (bytes > room - at) break;
    region_->publication().read(to + at, region_->payload(view.lane).part(view.payloadOffset, bytes), *payload);
    view.payloadOffset = at;
    at = std::min(room, at + (bytes + lineBytes - 1) / lineBytes * lineBytes);
    position = view.position + view.messages;
    copied.filled += 1;
  }
  return copied;
}

// SYNC: fences behind the copy, and observes heads and frontier; pairs with the firm frontier that sequencing::trimTo
// publishes ahead of any release, and with the announcement of an epoch ahead of its own.
bool LappedReader::lookAtKept(TopicLine::Retention& kept) const {
  const Publication& p = region_->publication();
  p.loadFence();
  EpochView view(*region_);
  if (!view.look() || view.epoch() == 0) return false;
  const TopicLine& lines = region_->topicLine(view.epoch(), topic_);
  return readEither(p, lines.retention, lines.retentionSpare, kept) && view.believes();
}

// A frontier ahead of the firm one may be taken back: what lies between is kept then, and would be missing without a reason. Its
// count is not that of the firm frontier, so the entry says where that batch begins; where it is gone, the next look says more.
void LappedReader::goOnAtOldest(const TopicLine::Retention& kept) {
  const bool mayBeTakenBack = kept.trim != kept.firmTrim && !planted("a gap reaches to a frontier that is taken back");
  BatchView oldest{};
  if (mayBeTakenBack && !read(kept.firmTrim, oldest)) return;
  next_ = mayBeTakenBack ? kept.firmTrim : kept.trim;
  nextPosition_ = mayBeTakenBack ? oldest.position : kept.trimMessages;
}

// Until an epoch serves that can be believed, it waits: a successor may have given the room on.
int32_t LappedReader::copy(BatchView* views, uint32_t max, uint8_t* to, uint64_t room) {
  if (!attached_ || region_->closed()) return 0;
  if (!ownsItsPlace()) return -1;
  for (int attempt = 0; attempt < overtakenAttempts; attempt += 1) {
    const Unproven copied = copyUnproven(views, max, to, room);
    if (copied.filled == 0 && !copied.refused) return 0;
    TopicLine::Retention kept{};
    if (!lookAtKept(kept)) return 0;
    if (planted("a copy is believed without a look")) kept.firmTrim = next_;
    if (copied.filled == 0 && kept.firmTrim <= next_) return behindTheEpoch() ? 0 : -1;
    const auto lost = static_cast<uint32_t>(std::clamp<uint64_t>(kept.firmTrim, next_, next_ + copied.filled) - next_);
    if (lost < copied.filled) {
      std::copy(views + lost, views + copied.filled, views);
      const BatchView& last = views[copied.filled - lost - 1];
      next_ += copied.filled;
      nextPosition_ = last.position + last.messages;
      return static_cast<int32_t>(copied.filled - lost);
    }
    // Of the oldest ones, the next to go, it copies one at a time.
    goOnAtOldest(kept);
    max = 1;
  }
  return 0;
}

}  // namespace ringfence
