// The sequencer's part in the table of topics: it adopts what is declared, and frees the place of an unused topic when
// a process asks for one. It frees no other way, so that what is kept of a topic is kept as long as all find a place.
#include "topic_places.h"

#include <algorithm>

#include "log/claims.h"
#include "publishing.h"
#include "region/futex.h"
#include "region/sealed_line.h"
#include "region/token.h"
#include "retention.h"

namespace ringfence::sequencing {

namespace {

bool anyFree(const SequencerState& order) { return order.places.free != 0; }

bool adoptTopic(SequencerState& order, uint32_t t) {
  const bool again = t < order.topics.size();
  const uint64_t seal = order.publication.observe(order.region.topic(t).seal);
  if (again && seal == order.topics[t].seal) return false;  // as it was freed
  TopicView view{};
  if (topicAt(order.region, t, view) != TopicState::declared) return false;
  if (!again) order.topics.emplace_back().kept.assign(order.geometry.indexEntries, Kept{});
  Topic& topic = order.topics[t];
  if (topic.free) order.places.free -= 1;
  topic.free = false;
  topic.name = view.name;
  topic.generation = view.generation;
  topic.seal = seal;
  topic.usedNanos = monotonicNanos();
  topic.order = view.order == orderTotal || order.options.ignoreSessionOrder ? orderTotal : orderSession;
  return true;
}

// From its claim on, attached or not yet.
// SYNC: pairs with the publishes in claimReader and IndexReader::detach.
bool readerClaimed(const SequencerState& order, uint32_t topic, uint32_t i) {
  const Publication& p = order.publication;
  const ReaderSlot& slot = order.region.reader(topic, i);
  const uint64_t generation = p.observe(slot.claim.generation);
  return generation != 0 && p.observe(slot.line.detachedGeneration) != generation &&
         p.read(order.region.readerEnd(order.epoch, topic, i).endedGeneration) != generation;
}

bool topicUsed(const SequencerState& order, uint32_t topic) {
  for (const Session& session : order.sessions) {
    if (session.active && session.topic == topic) return true;
  }
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    if (readerClaimed(order, topic, i)) return true;
  }
  return false;
}

// When the last of them was gone. A reader says so itself: the sequencer is not told.
uint64_t leftNanos(const SequencerState& order, uint32_t topic) {
  uint64_t left = order.topics[topic].usedNanos;
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    left = std::max(left, order.publication.read(order.region.reader(topic, i).line.leftNanos));
  }
  return left;
}

// A topic is about to be left: its sessions end with one of the next passes, and the dead are ended within a tenth of a
// second (Sequencer::endDead).
bool comesFree(const SequencerState& order) {
  for (const Session& session : order.sessions) {
    if (!session.active || order.topics.empty() || order.topics[session.topic].named) continue;
    if (session.ending || !order.region.processAlive(session.process, session.processGeneration)) return true;
  }
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    if (!order.topics[t].named && readersEnding(order.region, t) != 0) return true;
  }
  return false;
}

// All that is kept. The numbers of entries go on, so that no token of this topic looks like one of the next; what is
// counted of the next begins anew.
void discard(SequencerState& order, uint32_t t) {
  const Geometry& g = order.geometry;
  Topic& topic = order.topics[t];
  for (uint64_t i = topic.trim; i < topic.committed; i += 1) {
    const Kept& kept = topic.kept[i & (g.indexEntries - 1)];
    Lane& lane = order.lanes[kept.lane];
    lane.state[kept.laneIndex & (g.laneSlots - 1)] = Slot::done;
    lane.dirty = true;
    releaseSlots(order, lane);
  }
  topic.trim = topic.delivered = topic.firstEntry = topic.committed;
  topic.trimMessages = topic.messages = topic.bytes = 0;
  topic.gating = topic.gatingSinceNanos = 0;
  publishRetention(order, t);
  publishCommitted(order, t);
}

// False when a reader has come meanwhile.
// SYNC: the mark is published, a full fence follows, then the claims of readers are looked at again (see claimReader).
bool freeTopic(SequencerState& order, uint32_t t) {
  Topic& topic = order.topics[t];
  const uint64_t mark = topic.mark;
  topic.mark = freeingMarkOf(topic.generation);
  publishRetention(order, t);
  order.publication.fullFence();
  if (topicUsed(order, t)) {
    topic.mark = mark;
    publishRetention(order, t);
    return false;
  }
  discard(order, t);
  topic.mark = freedMarkOf(topic.generation);
  topic.free = true;
  order.places.free += 1;
  publishRetention(order, t);
  return true;
}

// First one of which nothing is kept, then the one left alone for longest.
bool freeUnused(SequencerState& order) {
  struct Unused {
    bool keeps;
    uint64_t sinceNanos;
    uint32_t topic;
  };
  std::vector<Unused> unused;
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    const Topic& topic = order.topics[t];
    if (topic.free || topic.named || topicUsed(order, t)) continue;
    unused.push_back({topic.committed != topic.trim, leftNanos(order, t), t});
  }
  std::sort(unused.begin(), unused.end(), [](const Unused& a, const Unused& b) {
    return a.keeps != b.keeps ? b.keeps : a.sinceNanos < b.sinceNanos;
  });
  return std::any_of(unused.begin(), unused.end(),
                     [&order](const Unused& each) { return freeTopic(order, each.topic); });
}

}  // namespace

// Without gaps, but for places that were freed. One that was damaged before it was adopted is none, and those behind it
// wait: a session that wants one of them ends as corrupt.
bool adoptTopics(SequencerState& order) {
  bool adopted = false;
  for (uint32_t t = 0; t < order.topics.size() && anyFree(order); t += 1) {
    if (order.topics[t].free) adopted |= adoptTopic(order, t);
  }
  while (order.topics.size() < order.geometry.topics) {
    if (!adoptTopic(order, static_cast<uint32_t>(order.topics.size()))) break;
    adopted = true;
  }
  return adopted;
}

bool keepTopic(SequencerState& order, TopicPlace place) {
  adoptTopics(order);
  if (place.index >= order.topics.size()) return false;
  Topic& topic = order.topics[place.index];
  if (topic.free || topic.generation != place.generation) return false;
  return topic.named = true;
}

// Once for all wishes that were made until now: of two that wish at once, one finds the place, and the other wishes again.
// A wish that nothing can be freed for waits while a topic is left by a session that ends, or by a dead process.
// SYNC: the wish pairs with the publish in declareTopic; the refusal is published ahead of the answer.
bool answerWish(SequencerState& order) {
  const Publication& p = order.publication;
  const TopicWishes& shared = order.region.header().topicWishes;
  if (p.observe(shared.wanted) == order.places.wishAnswered) return false;
  TopicWishes wish;
  if (!readSealed(p, shared, wish) || wish.wanted == order.places.wishAnswered) return false;
  adoptTopics(order);
  const bool found = anyFree(order) || order.topics.size() < order.geometry.topics || freeUnused(order);
  if (!found && comesFree(order)) return false;
  order.places.wishAnswered = wish.wanted;
  if (!found) order.places.wishRefused = wish.wanted;
  publishAnswers(order);
  return true;
}

}  // namespace ringfence::sequencing
