#include "topics.h"

#include <algorithm>
#include <cstring>

#include "region/claim_locks.h"
#include "region/epochs.h"
#include "region/quantities.h"
#include "region/sealed_line.h"
#include "region/token.h"
#include "region/waiter.h"

namespace ringfence {

namespace {

constexpr int lookAttempts = 64;  // for a place that changes with each look

// The sequencer's mark of a place. While one process takes the log over from another it is that of the former, and not
// believed. Before an epoch has served, no place was freed.
struct Mark {
  uint64_t value = 0;
  bool believed = false;
};

// Looks again where an epoch has begun to serve meanwhile.
template <class Read>
Mark markAt(const Region& region, uint32_t index, Read read) {
  EpochView view(region);
  for (int attempt = 0;; attempt += 1) {
    const bool looked = view.look();
    const uint64_t epoch = looked ? view.epoch() : headsOf(region).served.number;
    Mark mark;
    if (epoch != 0) mark.value = read(region.topicLine(epoch, index).retention);
    mark.believed = looked && view.believes();
    if (!looked || mark.believed || attempt == lookAttempts) return mark;
  }
}

Mark markAt(const Region& region, uint32_t index) {
  return markAt(region, index, [&](const auto& line) { return region.publication().template observe<&TopicLine::Retention::freedMark>(line); });
}

// The same behind the fence that follows a claim: a sequencer that does not see the claim has published its mark before.
Mark markAt(const Region& region, const Fenced& fenced, uint32_t index) {
  return markAt(region, index, [&](const auto& line) {
    return region.publication().template observeBehind<&TopicLine::Retention::freedMark>(fenced, line);
  });
}

// The state of a place by its slot and mark. A valid seal makes the declaration, even if its process died before it
// published the generation. A mark of neither this generation nor the one before it is damaged.
TopicState stateOf(const TopicSlot& slot, uint64_t mark, uint64_t& generation) {
  generation = slot.generation;
  if (slot.seal == 0) {
    const bool between = mark == freedMarkOf(generation);
    generation += 1;
    return between ? TopicState::free : TopicState::damaged;
  }
  if (generation == 0 || slot.seal != topicSealOf(slot, generation)) {
    generation += 1;
    if (slot.seal != topicSealOf(slot, generation)) return TopicState::damaged;
  }
  if (mark == freedMarkOf(generation)) {
    generation += 1;
    return TopicState::free;
  }
  const bool used = mark == freedMarkOf(generation - 1) || mark == freeingMarkOf(generation);
  return used && slot.nameLength <= topicNameBytes ? TopicState::declared : TopicState::damaged;
}

}  // namespace

// SYNC: a declarer observes the mark, clears the seal, and fences before it writes the fields: a look that sees a new
// field under the old seal is followed by a look that sees the seal cleared. So a place is damaged if two looks in a
// row find it so, and the same.
TopicState topicAt(const Region& region, uint32_t index, TopicView& topic) {
  const Publication& p = region.publication();
  const auto& shared = region.topic(index);
  topic.index = index;
  TopicSlot before{};
  uint64_t markBefore = 0;
  for (int attempt = 0; attempt < lookAttempts; attempt += 1) {
    const auto [mark, believed] = markAt(region, index);
    const TopicSlot slot = p.snapshot<&TopicSlot::generation>(shared);
    p.loadFence();
    const TopicState state = stateOf(slot, mark, topic.generation);
    if (state == TopicState::free && !believed) return TopicState::undecided;
    if (state == TopicState::declared) {
      topic.order = slot.order;
      topic.ack = slot.ack;
      topic.name.assign(slot.name, slot.nameLength);
      topic.base = {slot.baseEntries, slot.baseMessages, slot.baseNanos};
    }
    if (state != TopicState::damaged) return state;
    if (attempt > 0 && mark == markBefore && std::memcmp(&slot, &before, sizeof(slot)) == 0) break;
    before = slot;
    markBefore = mark;
  }
  return TopicState::damaged;
}

std::vector<TopicView> topicsOf(const Region& region) {
  std::vector<TopicView> views;
  TopicView view{};
  for (uint32_t i = 0; i < region.layout().geometry.topics; i += 1) {
    if (topicAt(region, i, view) == TopicState::declared) views.push_back(view);
  }
  return views;
}

TopicStay topicStays(const Region& region, const Fenced& fenced, TopicPlace place) {
  const Mark mark = markAt(region, fenced, place.index);
  if (!mark.believed) return TopicStay::undecided;
  return mark.value == freedMarkOf(place.generation - 1) ? TopicStay::stays : TopicStay::gone;
}

Status recovering() {
  return Status::failed("recovering", "its log has no server now, and another process may take it over");
}

namespace {

bool findTopic(const Region& region, const std::string& name, TopicView& topic) {
  for (const TopicView& known : topicsOf(region)) {
    if (known.name != name) continue;
    topic = known;
    return true;
  }
  return false;
}

// The place for the next topic, under the names lock. Fails while any place is damaged: its unknown name may be this
// one.
Status findFree(const Region& region, TopicView& topic) {
  const uint32_t topics = region.layout().geometry.topics;
  TopicView view{};
  bool found = false;
  for (uint32_t index = 0; index < topics; index += 1) {
    const TopicState state = topicAt(region, index, view);
    if (state == TopicState::undecided) return recovering();
    if (state == TopicState::damaged) {
      return Status::failed("corrupt", "topic " + std::to_string(index) + " was damaged from outside, so no new topic can be declared");
    }
    if (state == TopicState::free && !found) topic = view;
    found = found || state == TopicState::free;
  }
  if (found) return Status::fine();
  return Status::failed("full", "all " + formatCount(topics) + " topics of the region are in use or named by the server");
}

// Called under the names lock, so wishes are written one at a time. The answer to the latest wish answers the earlier
// ones too: the sequencer has looked for a topic to free after all of them were made.
// SYNC: pairs with the observes in sequencing::answerWish, which publishes a refusal before the answer.
Status wishForPlace(const Region& region, role::NameGiver giver, TopicWish& wish, const Status& full) {
  const Publication& p = region.publication();
  auto& shared = region.header().topicWishes;
  EpochView view(region);
  if (serverState(region) != serverServing || !view.look() || view.epoch() == 0) return full;
  const auto& block = region.blockHead(view.epoch()).service;
  const Status wished = Status::failed("wished", full.detail);
  TopicWishes local;
  const bool whole = readSealed(p, shared, local);
  const uint64_t answered = p.observe<&ServiceLine::wishesAnswered>(block);
  if (whole && wish.made) {
    if (local.wanted != answered) return wished;
    const bool refused = p.observe<&ServiceLine::wishesRefused>(block) == answered;
    if (!view.believes()) return wished;
    if (refused) return full;
  }
  // A process that died while it wrote a wish may have left any number that is not below the answered one.
  const uint64_t last = whole ? local.wanted : std::max(local.wanted, answered);
  local = {};
  local.wanted = std::max<uint64_t>(last + 1, 1);  // 0 counts as refused
  publishSealed(p, giver, shared, Sealed(local));
  wish.made = true;
  region.wakeSequencer(sleepsForData);
  return wished;
}

// A process that dies in here leaves a free place. First set the generation back to that of the freed topic: a declarer
// that died may have left it one behind.
void writeTopic(const Region& region, role::NameGiver giver, const TopicView& topic) {
  const Publication& p = region.publication();
  auto& shared = region.topic(topic.index);
  TopicSlot slot{};
  slot.generation = topic.generation - 1;
  slot.order = topic.order;
  slot.ack = topic.ack;
  slot.nameLength = static_cast<uint32_t>(topic.name.size());
  slot.baseEntries = topic.base.entries;
  slot.baseMessages = topic.base.messages;
  slot.baseNanos = topic.base.nanos;
  std::memcpy(slot.name, topic.name.data(), topic.name.size());
  p.on(giver, shared).publish<&TopicSlot::generation>(slot.generation).publish<&TopicSlot::seal>(0);
  p.storeFence();
  p.on(giver, shared)
      .all(slot)
      .publish<&TopicSlot::seal>(topicSealOf(slot, topic.generation))
      .publish<&TopicSlot::generation>(topic.generation);
}

}  // namespace

// A known name needs no lock. For a new name, look again under the names lock before declaring it: another process may
// have declared it meanwhile.
// SYNC: publishes `seal` after the fields, and `generation` last; they pair with the observes in topicAt().
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic,
                    TopicWish* wish) {
  if (name.empty() || name.size() > topicNameBytes) return Status::failed("invalid", "a topic's name has 1 to 64 bytes");
  if (findTopic(region, name, topic)) return Status::fine();
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  if (findTopic(region, name, topic)) return Status::fine();
  const Status status = findFree(region, topic);
  if (!status.ok()) {
    const bool full = std::strcmp(status.fault, "full") == 0;
    return full && wish != nullptr ? wishForPlace(region, lock.nameGiver(), *wish, status) : status;
  }
  topic = {topic.index, topic.generation, order, ack, name};
  writeTopic(region, lock.nameGiver(), topic);
  return Status::fine();
}

Status restoreTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, const TopicBase& base, TopicView& topic) {
  if (name.empty() || name.size() > topicNameBytes) return Status::failed("invalid", "a topic's name has 1 to 64 bytes");
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  if (findTopic(region, name, topic)) return Status::failed("invalid", "the topic is declared already");
  const Status status = findFree(region, topic);
  if (!status.ok()) return status;
  topic = {topic.index, topic.generation, order, ack, name, base};
  writeTopic(region, lock.nameGiver(), topic);
  return Status::fine();
}

}  // namespace ringfence
