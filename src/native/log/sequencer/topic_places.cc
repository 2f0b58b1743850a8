// The sequencer's part in the table of topics: it adopts what is declared, and frees the place of an unused topic when
// a process asks for one. It frees no other way, so that what is kept of a topic is kept as long as all find a place.
#include <algorithm>

#include "log/claims.h"
#include "region/futex.h"
#include "region/sealed_line.h"
#include "sequencer.h"
#include "region/token.h"

namespace ringfence {

// Without gaps, but for places that were freed. One that was damaged before it was adopted is none, and those behind it
// wait: a session that wants one of them ends as corrupt.
bool Sequencer::adoptTopics() {
  bool adopted = false;
  for (uint32_t t = 0; t < topics_.size() && anyFree(); t += 1) {
    if (topics_[t].free) adopted |= adoptTopic(t);
  }
  while (topics_.size() < g_.topics && adoptTopic(static_cast<uint32_t>(topics_.size()))) adopted = true;
  return adopted;
}

bool Sequencer::adoptTopic(uint32_t t) {
  const bool again = t < topics_.size();
  const uint64_t seal = p_.observe(region_->topic(t).seal);
  if (again && seal == topics_[t].seal) return false;  // as it was freed
  TopicView view{};
  if (topicAt(*region_, t, view) != TopicState::declared) return false;
  if (!again) topics_.emplace_back().kept.assign(g_.indexEntries, Kept{});
  Topic& topic = topics_[t];
  if (topic.free) free_ -= 1;
  topic.free = false;
  topic.name = view.name;
  topic.generation = view.generation;
  topic.seal = seal;
  topic.usedNanos = monotonicNanos();
  topic.order = view.order == orderTotal || options_.ignoreSessionOrder ? orderTotal : orderSession;
  return true;
}

bool Sequencer::keepTopic(TopicPlace place) {
  const std::lock_guard<std::mutex> lock(mutex_);
  adoptTopics();
  if (place.index >= topics_.size()) return false;
  Topic& topic = topics_[place.index];
  if (topic.free || topic.generation != place.generation) return false;
  return topic.named = true;
}

// --- sessions that come too late ---

bool Sequencer::stale(const ClientClaim& claim) const {
  if (claim.topic >= topics_.size()) return true;
  return topics_[claim.topic].free || topics_[claim.topic].generation != claim.topicGeneration;
}

// The session of a topic that was freed before it was adopted: it ends as it begins, and its lanes stay as they are.
// SYNC: the seal is published last, and pairs with the looks in LaneWriter::ready and LaneWriter::endReason.
void Sequencer::refuse(uint32_t client, const ClientClaim& claim) {
  giveSlot(client);
  Session& session = sessions_[client];
  session.generation = session.endedGeneration = claim.generation;
  session.id = sessionIdOf(g_, client, claim.generation);
  session.endReason = endTopicGone;
  session.expected = session.expectedMessages = 0;
  SessionLine::Acknowledged& line = region_->sessionLine(epoch_, client).acknowledged;
  p_.write(line.batches, uint64_t{0});
  p_.write(line.messages, uint64_t{0});
  p_.write(line.endReason, session.endReason);
  p_.publish(line.endedGeneration, claim.generation);
  p_.publish(line.generation, claim.generation);
  sealSession(client);
}

// --- places that are asked for ---

// Once for all wishes that were made until now: of two that wish at once, one finds the place, and the other wishes again.
// A wish that nothing can be freed for waits while a topic is left by a session that ends, or by a dead process.
// SYNC: the wish pairs with the publish in declareTopic; the refusal is published ahead of the answer.
bool Sequencer::answerWish() {
  const TopicWishes& shared = region_->header().topicWishes;
  if (p_.observe(shared.wanted) == wishAnswered_) return false;
  TopicWishes wish;
  if (!readSealed(p_, shared, wish) || wish.wanted == wishAnswered_) return false;
  adoptTopics();
  const bool found = anyFree() || topics_.size() < g_.topics || freeUnused();
  if (!found && comesFree()) return false;
  wishAnswered_ = wish.wanted;
  if (!found) wishRefused_ = wish.wanted;
  publishAnswers();
  return true;
}

void Sequencer::publishAnswers() {
  BlockHeader& block = region_->blockHeader(epoch_);
  p_.publish(block.wishesRefused, wishRefused_);
  p_.publish(block.wishesAnswered, wishAnswered_);
}

bool Sequencer::anyFree() const { return free_ != 0; }

// First one of which nothing is kept, then the one left alone for longest.
bool Sequencer::freeUnused() {
  struct Unused {
    bool keeps;
    uint64_t sinceNanos;
    uint32_t topic;
  };
  std::vector<Unused> unused;
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    const Topic& topic = topics_[t];
    if (!topic.free && !topic.named && !used(t)) unused.push_back({topic.committed != topic.trim, leftNanos(t), t});
  }
  std::sort(unused.begin(), unused.end(), [](const Unused& a, const Unused& b) {
    return a.keeps != b.keeps ? b.keeps : a.sinceNanos < b.sinceNanos;
  });
  return std::any_of(unused.begin(), unused.end(), [this](const Unused& each) { return freeTopic(each.topic); });
}

// False when a reader has come meanwhile.
// SYNC: the mark is published, a full fence follows, then the claims of readers are looked at again (see claimReader).
bool Sequencer::freeTopic(uint32_t t) {
  Topic& topic = topics_[t];
  const uint64_t mark = topic.mark;
  topic.mark = freeingMarkOf(topic.generation);
  publishRetention(t);
  p_.fullFence();
  if (used(t)) {
    topic.mark = mark;
    publishRetention(t);
    return false;
  }
  discard(t);
  topic.mark = freedMarkOf(topic.generation);
  topic.free = true;
  free_ += 1;
  publishRetention(t);
  return true;
}

// All that is kept. The numbers of entries go on, so that no token of this topic looks like one of the next; what is
// counted of the next begins anew.
void Sequencer::discard(uint32_t t) {
  Topic& topic = topics_[t];
  for (uint64_t i = topic.trim; i < topic.committed; i += 1) {
    const Kept& kept = topic.kept[i & (g_.indexEntries - 1)];
    Lane& lane = lanes_[kept.lane];
    lane.state[kept.laneIndex & (g_.laneSlots - 1)] = Slot::done;
    lane.dirty = true;
    releaseSlots(lane);
  }
  topic.trim = topic.delivered = topic.firstEntry = topic.committed;
  topic.trimMessages = topic.messages = topic.bytes = 0;
  topic.gating = topic.gatingSinceNanos = 0;
  publishRetention(t);
  publishCommitted(t);
}

// --- who uses a topic ---

// From its claim on, attached or not yet.
// SYNC: pairs with the publishes in claimReader and IndexReader::detach.
bool Sequencer::claimed(uint32_t topic, uint32_t i) const {
  const ReaderSlot& slot = region_->reader(topic, i);
  const uint64_t generation = p_.observe(slot.claim.generation);
  return generation != 0 && p_.observe(slot.line.detachedGeneration) != generation &&
         p_.read(region_->readerEnd(epoch_, topic, i).endedGeneration) != generation;
}

bool Sequencer::used(uint32_t topic) const {
  for (const Session& session : sessions_) {
    if (session.active && session.topic == topic) return true;
  }
  for (uint32_t i = 0; i < g_.readers; i += 1) {
    if (claimed(topic, i)) return true;
  }
  return false;
}

// When the last of them was gone. A reader says so itself: the sequencer is not told.
uint64_t Sequencer::leftNanos(uint32_t topic) const {
  uint64_t left = topics_[topic].usedNanos;
  for (uint32_t i = 0; i < g_.readers; i += 1) left = std::max(left, p_.read(region_->reader(topic, i).line.leftNanos));
  return left;
}

// A topic is about to be left: its sessions end with one of the next passes, and the dead are ended within a tenth of a
// second (endDead).
bool Sequencer::comesFree() const {
  for (const Session& session : sessions_) {
    if (!session.active || topics_.empty() || topics_[session.topic].named) continue;
    if (session.ending || !region_->processAlive(session.process, session.processGeneration)) return true;
  }
  for (uint32_t t = 0; t < topics_.size(); t += 1) {
    if (!topics_[t].named && readersEnding(*region_, t) != 0) return true;
  }
  return false;
}

}  // namespace ringfence
