#include "lane_reader.h"

#include <unistd.h>

#include <algorithm>

#include "descriptor_check.h"
#include "region/epochs.h"
#include "region/futex.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence {

namespace {

constexpr int attachAttempts = 64;  // without a pause; a line that is torn at each of them is not just being written
constexpr useconds_t pauseMicros = 1000;

}  // namespace

LaneReader::LaneReader(std::shared_ptr<Region> region, uint32_t topic, Claim claim, int pauses)
    : region_(std::move(region)), topic_(topic), pauses_(pauses), claim_(claim) {
  const Geometry& g = region_->layout().geometry;
  sessions_.resize(g.clients);
  lanes_.resize(uint64_t{g.clients} * g.brokers);
}

// --- attaching

// An attached reader holds every lane in which it has no cursor yet, so one fence is enough for all lanes, those of
// later sessions too.
// SYNC: a successor announces its epoch, fences, and reads the attachments; this reader believes no session's line then.
// SYNC: publishes the attachment, fences, and reads the sessions and the trim frontiers of their lanes; the sequencer
// publishes a frontier (sequencing::releaseTaken) or that a session leaves (sequencing::letGo), fences, and reads the
// attachments again. So either this reader begins behind what is given back, or the sequencer takes it back.
Status LaneReader::attach(From from, uint64_t) {
  const Publication& p = region_->publication();
  atEnd_ = from == From::end;
  attached_ = true;
  p.on(role_, region_->reader(topic_, claim_.slot).line)
      .set<&ReaderLine::cursor>(0)
      .publish<&ReaderLine::attachedGeneration>(claim_.generation);
  const Fenced fenced = p.fullFence();
  for (int attempt = 0; attempt < attachAttempts + pauses_; attempt += 1) {
    if (attempt >= attachAttempts) usleep(pauseMicros);
    const Followed followed = follow(fenced);
    if (followed == Followed::waits) {
      detach();
      return recovering();
    }
    if (followed == Followed::torn) continue;
    // Wakes publishers that wait for readers of their topic.
    region_->wakeProcesses(sleepsForData);
    return Status::fine();
  }
  detach();
  return Status::failed("corrupt", "the lines of the log's sessions contradict themselves");
}

void LaneReader::detach() {
  if (!attached_) return;
  attached_ = false;
  if (region_->closed()) return;
  leavePlace(*region_, topic_, claim_.slot, claim_.generation);
  region_->wakeSequencer(sleepsForRoom);
}

// Whether the reader's line holds what this reader wrote, and the sequencer has not ended the reader. Otherwise the
// memory that it reads may be reused.
bool LaneReader::ownsItsPlace() const {
  const Publication& p = region_->publication();
  const ReaderSlot& slot = region_->reader(topic_, claim_.slot);
  if (p.observe<&ReaderClaim::generation>(slot.claim) != claim_.generation) return false;
  const ReaderLine line = p.copy(slot.line);
  if (line.cursor != released_ || line.attachedGeneration != claim_.generation) return false;
  if (line.detachedGeneration == claim_.generation) return false;
  EpochView view(*region_);
  if (!view.look() || view.epoch() == 0) return true;
  const auto& end = region_->readerEnd(view.epoch(), topic_, claim_.slot);
  return p.observe<&ReaderEnd::endedGeneration>(end) != claim_.generation || !view.believes();
}

// --- which lanes

// The same behind the fence that follows the attachment.
LaneReader::Followed LaneReader::follow(const Fenced&) { return follow(); }

// Follows the lanes of sessions that have opened, and leaves those of sessions that have ended. `torn` when a line could
// not be read: it is just being written, or damaged, and the next call looks at it again. `waits` while another process
// takes the log over: it reads on in the lanes that it follows.
LaneReader::Followed LaneReader::follow() {
  EpochView view(*region_);
  if (!view.look()) return Followed::waits;
  if (view.epoch() == 0) {
    const bool none = view.believes();
    // Those that open later are read from their start, also where the log has begun between the two looks.
    for (Session& session : sessions_) session.looked |= none;
    return none ? Followed::all : Followed::torn;
  }
  bool whole = true;
  for (uint32_t i = 0; i < sessions_.size(); i += 1) whole &= lookAt(view, i, sessions_[i]);
  return whole ? Followed::all : view.believes() ? Followed::torn : Followed::waits;
}

// SYNC: observes the seal of the session's line, which the sequencer publishes before the lines of the session's lanes
// (sequencing::adoptSession), when it lets the session go (sequencing::letGo) and when it has ended it
// (sequencing::endSession).
bool LaneReader::lookAt(const EpochView& view, uint32_t client, Session& session) {
  const Publication& p = region_->publication();
  const SessionLine& shared = region_->sessionLine(view.epoch(), client);
  if (session.looked && p.observe<&SessionLine::Acknowledged::seal>(shared.acknowledged) == session.seal) return true;
  SessionLine::Acknowledged line;
  if (!readEither(p, shared.acknowledged, shared.acknowledgedSpare, line) || !view.believes()) return false;
  const bool ended = line.endedGeneration == line.generation;
  if (session.generation != 0 && (ended || line.generation != session.generation)) leave(client);
  // A session that leaves is not entered: if the sequencer keeps it for this reader after all, its line changes again.
  const bool open = line.unordered == topic_ + 1 && line.generation != 0 && !ended && line.leavingGeneration != line.generation;
  if (session.generation == 0 && open && !enter(view, client, line, atEnd_ && !session.looked)) return false;
  markDamaged(session, session.generation != 0 && line.endReason == endCorrupt);
  session.seal = line.seal;
  return session.looked = true;
}

bool LaneReader::enter(const EpochView& view, uint32_t client, const SessionLine::Acknowledged& line, bool atEnd) {
  const uint32_t brokers = region_->layout().geometry.brokers;
  std::vector<Lane> entered(brokers);
  for (uint32_t b = 0; b < brokers; b += 1) {
    const auto at = static_cast<uint32_t>(region_->laneOf(b, client));
    if (!enterLane(view.epoch(), at, line, atEnd, entered[b])) return false;
  }
  if (!view.believes()) return false;
  for (uint32_t b = 0; b < brokers; b += 1) {
    Lane& lane = lanes_[uint64_t{client} * brokers + b];
    lane = entered[b];
    lane.sessionId = sessionIdOf(region_->layout().geometry, client, line.generation);
  }
  for (uint32_t b = 0; b < brokers; b += lanesOfCursor) publishCursor(client * brokers + b);
  sessions_[client].generation = line.generation;
  listFollowed();
  return true;
}

// Begins at the oldest batch that is kept of the session, or behind the last one that is published.
bool LaneReader::enterLane(uint64_t epoch, uint32_t at, const SessionLine::Acknowledged& line, bool atEnd, Lane& lane) const {
  const Publication& p = region_->publication();
  LaneLine::Frontiers frontiers;
  const LaneLine& shared = region_->laneLine(epoch, at);
  if (!readEither(p, shared.frontiers, shared.frontiersSpare, frontiers)) return false;
  if (frontiers.generation != line.generation) return false;
  lane.lane = at;
  lane.generation = line.generation;
  lane.next = atEnd ? std::max(frontiers.trim, frontiers.scanned) : frontiers.trim;
  const auto published = [&] {
    return p.observe<&Descriptor::token>(region_->descriptor(at, lane.next)) == readyToken(region_->mark(), lane.next, lane.generation);
  };
  while (atEnd && published()) lane.next += 1;
  lane.taken = lane.next;
  return true;
}

void LaneReader::leave(uint32_t client) {
  const uint32_t brokers = region_->layout().geometry.brokers;
  for (uint32_t b = 0; b < brokers; b += 1) lanes_[uint64_t{client} * brokers + b].generation = 0;
  sessions_[client].generation = 0;
  markDamaged(sessions_[client], false);
  listFollowed();
}

void LaneReader::markDamaged(Session& session, bool damaged) {
  if (session.damaged == damaged) return;
  session.damaged = damaged;
  damaged_ += damaged ? 1 : -1;
}

// Whether it lends a batch of the session, or could take another one.
bool LaneReader::holds(uint32_t client) const {
  const uint32_t brokers = region_->layout().geometry.brokers;
  const auto first = lanes_.begin() + static_cast<std::ptrdiff_t>(uint64_t{client} * brokers);
  Descriptor ignored{};
  return std::any_of(first, first + brokers, [&](const Lane& lane) { return lane.taken != lane.next || peek(lane, ignored); });
}

// Leaves the damaged sessions of which it holds nothing more: the sequencer ends them once all their readers have, for it
// cannot see what a reader has taken behind the damage, and their publishers may not have been told yet.
// SYNC: publishes that it has left after all loads of the payload; pairs with the readSealed in sequencing::cursorOf.
bool LaneReader::leaveDamaged() {
  if (damaged_ == 0) return false;
  const uint32_t brokers = region_->layout().geometry.brokers;
  bool left = false;
  for (uint32_t client = 0; client < sessions_.size(); client += 1) {
    const uint32_t first = client * brokers;
    if (!sessions_[client].damaged || lanes_[first].left || holds(client)) continue;
    for (uint32_t b = 0; b < brokers; b += 1) lanes_[first + b].left = true;
    for (uint32_t b = 0; b < brokers; b += lanesOfCursor) publishCursor(first + b);
    left = true;
  }
  return left;
}

void LaneReader::listFollowed() {
  followed_.clear();
  for (uint32_t place = 0; place < lanes_.size(); place += 1) {
    if (lanes_[place].generation != 0) followed_.push_back(place);
  }
}

// --- reading

// An invalid descriptor ends its session, but not the readers: they take what the lane holds before it.
// SYNC: observes the token; pairs with the publish in LaneWriter::publish, which follows payload and fields.
std::optional<Seen<Payload>> LaneReader::peek(const Lane& lane, Descriptor& descriptor) const {
  if (lane.left) return std::nullopt;
  const Publication& p = region_->publication();
  const auto& shared = region_->descriptor(lane.lane, lane.next);
  const auto token = p.observeCovering<&Descriptor::token>(shared);
  if (token.value != readyToken(region_->mark(), lane.next, lane.generation)) return std::nullopt;
  descriptor = p.copy(shared);
  const Geometry& g = region_->layout().geometry;
  if (!descriptorSound(g, descriptor, lane.sessionId)) return std::nullopt;
  if (lane.endKnown && !descriptorFollows(g, descriptor, lane.payloadEnd)) return std::nullopt;
  return token.seen;
}

bool LaneReader::take(Lane& lane, BatchView& view) {
  Descriptor d{};
  const auto seen = peek(lane, d);
  if (!seen) return false;
  view.index = next_;
  view.position = messages_;
  view.sessionId = lane.sessionId;
  view.batchSequence = d.batchSequence;
  view.firstMessage = d.firstMessage;
  view.payloadOffset = d.payloadPosition & (region_->layout().geometry.lanePayloadBytes - 1);
  view.publishedNanos = d.publishedNanos;
  view.lane = lane.lane;
  view.messages = d.messageCount;
  view.payloadBytes = d.payloadBytes;
  view.uniformBytes = d.uniformBytes;
  const uint64_t bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes);
  region_->publication().lend(region_->payload(lane.lane).part(view.payloadOffset, bytes), *seen);
  lane.next += 1;
  lane.payloadEnd = payloadEndOf(d);
  lane.endKnown = true;
  next_ += 1;
  messages_ += d.messageCount;
  return true;
}

int32_t LaneReader::poll(BatchView* views, uint32_t max) {
  if (!attached_ || region_->closed()) return 0;
  if (!ownsItsPlace()) return -1;
  follow();
  const auto first = std::lower_bound(followed_.begin(), followed_.end(), turn_);
  size_t at = first == followed_.end() ? 0 : static_cast<size_t>(first - followed_.begin());
  uint32_t filled = 0;
  for (size_t missed = 0; filled < max && missed < followed_.size(); at = at + 1 == followed_.size() ? 0 : at + 1) {
    const uint32_t place = followed_[at];
    Lane& lane = lanes_[place];
    const uint64_t laneIndex = lane.next;
    if (!take(lane, views[filled])) {
      missed += 1;
      continue;
    }
    unreleased_.push_back({place, lane.generation, laneIndex});
    missed = 0;
    turn_ = place + 1;
    filled += 1;
  }
  const uint64_t now = filled == 0 ? 0 : wallNanos();
  for (uint32_t i = 0; i < filled; i += 1) views[i].orderedNanos = now;
  if (filled == 0) {
    if (leaveDamaged()) region_->wakeSequencer(sleepsForRoom);
    keepCursors();
    if (!lanesWhole()) return -1;
  }
  return static_cast<int32_t>(filled);
}

// False when the sequencer has scanned a batch that this reader cannot take. The batch was whole then and has been
// damaged since: the reader would wait for it for ever.
// SYNC: observes how far the sequencer has scanned, which follows its observation of the tokens (sequencing::publishLane).
bool LaneReader::lanesWhole() const {
  const Publication& p = region_->publication();
  const uint64_t epoch = headsOf(*region_).served.number;
  return std::none_of(followed_.begin(), followed_.end(), [&](uint32_t place) {
    const Lane& lane = lanes_[place];
    LaneLine::Frontiers frontiers;
    if (!readSealed(p, region_->laneLine(epoch, lane.lane).frontiers, frontiers)) return false;
    if (lane.left || frontiers.generation != lane.generation || frontiers.scanned <= lane.next) return false;
    Descriptor ignored{};
    return !peek(lane, ignored);
  });
}

uint64_t LaneReader::committed() {
  if (!attached_ || region_->closed()) return next_;
  follow();
  Descriptor ignored{};
  const bool ready = std::any_of(followed_.begin(), followed_.end(),
                                 [&](uint32_t place) { return peek(lanes_[place], ignored).has_value(); });
  return next_ + (ready ? 1 : 0);
}

// --- releasing

// SYNC: publishes the cursors after all loads of the payload; pairs with the readSealed in sequencing::cursorOf.
void LaneReader::release(uint64_t released) {
  if (!attached_ || region_->closed() || released <= released_ || released > next_) return;
  if (!ownsItsPlace()) return;  // never overwrite another reader's values; the next poll fails
  std::vector<uint32_t> moved;
  for (; released_ < released; released_ += 1) {
    const Unreleased batch = unreleased_.front();
    unreleased_.pop_front();
    Lane& lane = lanes_[batch.place];
    if (lane.generation != batch.generation) continue;
    lane.taken = batch.laneIndex + 1;
    const uint32_t first = cursorOf(batch.place);
    if (std::find(moved.begin(), moved.end(), first) == moved.end()) moved.push_back(first);
  }
  for (const uint32_t first : moved) publishCursor(first);
  leaveDamaged();
  region_->publication().on(role_, region_->reader(topic_, claim_.slot).line).publish<&ReaderLine::cursor>(released_);
  region_->wakeSequencer(sleepsForRoom);
}

// The first of the places that have their cursors in one line with this one.
uint32_t LaneReader::cursorOf(uint32_t place) const {
  return place - place % region_->layout().geometry.brokers % lanesOfCursor;
}

LaneCursor LaneReader::cursorAt(uint32_t first) const {
  const uint32_t brokers = region_->layout().geometry.brokers;
  LaneCursor local{};
  local.sessionGeneration = lanes_[first].generation;
  local.readerGeneration = claim_.generation;
  local.leftGeneration = lanes_[first].left ? lanes_[first].generation : 0;
  for (uint32_t i = 0; i < lanesOfCursor && first % brokers + i < brokers; i += 1) local.taken[i] = lanes_[first + i].taken;
  return local;
}

void LaneReader::publishCursor(uint32_t first) const {
  publishSealed(region_->publication(), role_, region_->laneCursor(topic_, claim_.slot, lanes_[first].lane), Sealed(cursorAt(first)));
}

// Rewrites damaged cursors before this reader sleeps. Otherwise the sequencer would hold the lane for ever, and so block
// the publisher that could wake this reader. The sequencer rings a reader that holds a lane ten times a second.
void LaneReader::keepCursors() const {
  bool kept = true;
  for (const uint32_t place : followed_) {
    if (cursorOf(place) != place) continue;
    const LaneCursor own = cursorAt(place);
    LaneCursor shared{};
    const bool whole = readSealed(region_->publication(), region_->laneCursor(topic_, claim_.slot, lanes_[place].lane), shared);
    if (whole && shared.seal == sealOf(own)) continue;
    publishCursor(place);
    kept = false;
  }
  if (!kept) region_->wakeSequencer(sleepsForRoom);
}

}  // namespace ringfence
