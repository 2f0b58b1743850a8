// The sequencer's side of the table of topics: adopts declared topics, and frees the place of an unused one when a
// process asks for a place, but not before: so kept records stay as long as every topic finds a place.
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

void addTopic(SequencerState& order) {
  const FirstCounts& first = order.options.first;
  Topic& topic = order.topics.emplace_back();
  topic.kept.assign(order.geometry.indexEntries, Kept{});
  topic.committed = topic.trim = topic.delivered = first.entries;
  topic.firmTrim = first.entries;
  topic.messages = topic.trimMessages = first.messages;
}

// A restored topic goes on at its base. The frontier is published first: a successor that finds it alone adopts the topic
// anew, and one that finds the counts without the adoption knows them.
void beginCounts(SequencerState& order, uint32_t t, const TopicBase& base) {
  Topic& topic = order.topics[t];
  topic.orderedNanos = base.nanos;
  if (base.entries != 0) {
    topic.committed = topic.trim = topic.firmTrim = topic.delivered = topic.firstEntry + base.entries;
    topic.messages = topic.trimMessages = base.messages;
    publishRetention(order, t);
    publishCommitted(order, t);
  }
  topic.synced = topic.trim;
}

bool adoptTopic(SequencerState& order, uint32_t t) {
  const bool again = t < order.topics.size();
  const uint64_t seal = order.publication.observe<&TopicSlot::seal>(order.region.topic(t));
  if (seal == 0) return false;  // not declared, which is asked in each pass
  if (again && seal == order.topics[t].seal) return false;  // still the freed topic
  TopicView view{};
  if (topicAt(order.region, t, view) != TopicState::declared) return false;
  if (!again) addTopic(order);
  Topic& topic = order.topics[t];
  if (topic.free) order.places.free -= 1;
  topic.free = false;
  topic.name = view.name;
  topic.generation = view.generation;
  topic.seal = seal;
  topic.usedNanos = monotonicNanos();
  const bool inSessions = view.order == orderSession && !order.options.ignoreSessionOrder;
  topic.order = view.order == orderNone ? orderNone : inSessions ? orderSession : orderTotal;
  topic.ack = view.ack;
  topic.named = false;
  beginCounts(order, t, view.base);
  publishTopicAdoption(order, t);
  return true;
}

// Whether a reader has the place, from its claim on, even before it has attached.
// SYNC: pairs with the publishes in claimReader and IndexReader::detach.
bool readerClaimed(const SequencerState& order, uint32_t topic, uint32_t i) {
  const Publication p = order.publication;
  const ReaderSlot& slot = order.region.reader(topic, i);
  const uint64_t generation = p.observe<&ReaderClaim::generation>(slot.claim);
  return generation != 0 && p.observe<&ReaderLine::detachedGeneration>(slot.line) != generation &&
         p.own<&ReaderEnd::endedGeneration>(order.role, order.region.readerEnd(order.epoch, topic, i)) != generation;
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

// The same behind the fence that follows the mark: a reader that is not found here sees the mark.
bool topicUsed(const SequencerState& order, const Fenced&, uint32_t topic) { return topicUsed(order, topic); }

// When the topic's last session or reader left. A detached reader has written the time itself, without a notice to the
// sequencer.
uint64_t leftNanos(const SequencerState& order, uint32_t topic) {
  uint64_t left = order.topics[topic].usedNanos;
  for (uint32_t i = 0; i < order.geometry.readers; i += 1) {
    left = std::max(left, order.publication.observe<&ReaderLine::leftNanos>(order.region.reader(topic, i).line));
  }
  return left;
}

// Whether a topic is about to become unused: its sessions end with one of the next passes, and dead users are ended
// within a tenth of a second (Sequencer::endDead).
bool comesFree(const SequencerState& order) {
  for (const Session& session : order.sessions) {
    if (!session.active || order.topics.empty() || order.topics[session.topic].named || session.untaken) continue;
    if (session.ending || !order.region.processAlive(session.process, session.processGeneration)) return true;
  }
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    if (!order.topics[t].named && readersEnding(order.region, t) != 0) return true;
  }
  return false;
}

// Discards the topic's kept batches, and marks its place as free. Entry numbers continue, so that no token of this topic
// is valid for the next one; the next topic's counts begin anew. One publication of the retention line says all of it: a
// successor that finds its first entry at the committed count knows that the counts of the former topic hold no more.
void discard(SequencerState& order, uint32_t t) {
  const Geometry& g = order.geometry;
  Topic& topic = order.topics[t];
  for (uint64_t i = topic.trim; i < topic.committed; i += 1) {
    const Kept& kept = topic.kept[i & (g.indexEntries - 1)];
    if (kept.lane == noLane) continue;
    Lane& lane = order.lanes[kept.lane];
    lane.state[kept.laneIndex & (g.laneSlots - 1)] = Slot::done;
    markDirty(order, lane);
    releaseSlots(order, lane);
  }
  topic.trim = topic.firmTrim = topic.delivered = topic.firstEntry = topic.committed;
  topic.trimMessages = topic.messages = topic.bytes = topic.orderedNanos = 0;
  topic.gating = topic.gatingSinceNanos = 0;
  topic.mark = freedMarkOf(topic.generation);
  topic.free = true;
  order.places.free += 1;
  publishRetention(order, t);
  publishCommitted(order, t);
}

// False when a reader has claimed a place meanwhile.
// SYNC: publishes the mark, fences, and reads the readers' claims again (see claimReader).
bool freeTopic(SequencerState& order, uint32_t t) {
  Topic& topic = order.topics[t];
  const uint64_t mark = topic.mark;
  topic.mark = freeingMarkOf(topic.generation);
  publishRetention(order, t);
  const Fenced fenced = order.publication.fullFence();
  if (topicUsed(order, fenced, t)) {
    topic.mark = mark;
    publishRetention(order, t);
    return false;
  }
  discard(order, t);
  return true;
}

// Frees one unused topic: first one without kept batches, then the one unused for longest.
bool freeUnused(SequencerState& order) {
  struct Unused {
    bool keeps;
    uint64_t sinceNanos;
    uint32_t topic;
  };
  std::vector<Unused> unused;
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    const Topic& topic = order.topics[t];
    // What was acknowledged as durable is not dropped for another topic.
    if (topic.free || topic.named || topic.ack == ackDurable || topicUsed(order, t)) continue;
    unused.push_back({topic.committed != topic.trim, leftNanos(order, t), t});
  }
  std::sort(unused.begin(), unused.end(), [](const Unused& a, const Unused& b) {
    return a.keeps != b.keeps ? b.keeps : a.sinceNanos < b.sinceNanos;
  });
  return std::any_of(unused.begin(), unused.end(),
                     [&order](const Unused& each) { return freeTopic(order, each.topic); });
}

}  // namespace

// Adopts topics in the order of their places, and topics in freed places. It stops at a place damaged before its
// adoption: a session of a topic behind that ends as corrupt.
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
  topic.named = true;
  publishTopicAdoption(order, place.index);
  return true;
}

// Answers all wishes made so far with one place: of two processes that wish at once, one gets it, and the other wishes
// again. While no topic can be freed, the answer waits as long as one is about to become unused.
// SYNC: observes the wish; pairs with the publish in declareTopic. Publishes a refusal before the answer.
bool answerWish(SequencerState& order) {
  const Publication p = order.publication;
  const auto& shared = order.region.header().topicWishes;
  if (p.observe<&TopicWishes::wanted>(shared) == order.places.wishAnswered) return false;
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
