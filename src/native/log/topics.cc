#include "topics.h"

#include <cstring>

#include "region/claim_locks.h"
#include "region/sealed_line.h"
#include "region/token.h"
#include "region/waiter.h"

namespace ringfence {

namespace {

constexpr int lookAttempts = 64;  // at a place that is another with each look

uint64_t epochOf(const Region& region) { return region.publication().observe(region.header().control.epoch); }

const uint64_t& markAt(const Region& region, uint32_t index) {
  return region.topicLine(epochOf(region), index).retention.freedMark;
}

// What slot and mark say together. The seal is the declaration, whether the process that made it lived to publish the
// generation or not; and a mark that belongs to neither this generation nor the one before it was changed from outside.
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

// SYNC: a place is written after its mark was observed, and the seal is taken away first, behind which the declarer
// fences: a look that sees any word of the new topic under the old seal is followed by one that sees the seal gone. So
// what is damaged in two looks, and the same in both, is damaged.
TopicState topicAt(const Region& region, uint32_t index, TopicView& topic) {
  const Publication& p = region.publication();
  const TopicSlot& shared = region.topic(index);
  topic.index = index;
  TopicSlot before{};
  uint64_t markBefore = 0;
  for (int attempt = 0; attempt < lookAttempts; attempt += 1) {
    const uint64_t mark = p.observe(markAt(region, index));
    p.observe(shared.generation);
    const TopicSlot slot = p.copyOut(shared);
    p.loadFence();
    const TopicState state = stateOf(slot, mark, topic.generation);
    if (state == TopicState::declared) {
      topic.order = slot.order;
      topic.ack = slot.ack;
      topic.name.assign(slot.name, slot.nameLength);
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

bool topicStays(const Region& region, TopicPlace place) {
  return region.publication().observe(markAt(region, place.index)) == freedMarkOf(place.generation - 1);
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

// Where the next topic goes, under the names lock. No name is given as long as one is not known: it might be this one.
Status findFree(const Region& region, TopicView& topic) {
  const uint32_t topics = region.layout().geometry.topics;
  TopicView view{};
  bool found = false;
  for (uint32_t index = 0; index < topics; index += 1) {
    const TopicState state = topicAt(region, index, view);
    if (state == TopicState::damaged) {
      return Status::failed("corrupt", "topic " + std::to_string(index) + " was damaged from outside: no other is declared");
    }
    if (state == TopicState::free && !found) topic = view;
    found = found || state == TopicState::free;
  }
  if (found) return Status::fine();
  return Status::failed("full", "all " + std::to_string(topics) + " topics of the region are in use or named by the server");
}

// Under the names lock, by which wishes are written one at a time. A wish is answered once no later one waits for its
// answer: the sequencer has then looked for a topic to free since this one was made.
// SYNC: pairs with the observes in Sequencer::answerWish. The refusal is published ahead of the answer.
Status wishForPlace(const Region& region, TopicWish& wish, const Status& full) {
  const Publication& p = region.publication();
  TopicWishes& shared = region.header().topicWishes;
  const BlockHeader& block = region.blockHeader(epochOf(region));
  if (serverState(region) != serverServing) return full;
  const Status wished = Status::failed("wished", full.detail);
  TopicWishes local;
  const bool whole = readSealed(p, shared, local);
  const uint64_t answered = p.observe(block.wishesAnswered);
  if (whole && wish.made) {
    if (local.wanted != answered) return wished;
    if (p.observe(block.wishesRefused) == answered) return full;
  }
  const uint64_t last = whole ? local.wanted : answered;
  local = {};
  local.wanted = last + 1;
  p.write(shared.wanted, local.wanted);
  publishSeal(p, shared, local);
  wish.made = true;
  region.wakeSequencer(sleepsForData);
  return wished;
}

// A process that dies in here leaves a free place. The generation is first what it was when the place was freed: a
// declarer that died may have left the one before.
void writeTopic(const Region& region, const TopicView& topic) {
  const Publication& p = region.publication();
  TopicSlot& shared = region.topic(topic.index);
  TopicSlot slot{};
  slot.generation = topic.generation - 1;
  slot.order = topic.order;
  slot.ack = topic.ack;
  slot.nameLength = static_cast<uint32_t>(topic.name.size());
  std::memcpy(slot.name, topic.name.data(), topic.name.size());
  p.publish(shared.generation, slot.generation);
  p.publish(shared.seal, uint64_t{0});
  p.storeFence();
  p.copyIn(shared, slot);
  p.publish(shared.seal, topicSealOf(slot, topic.generation));
  p.publish(shared.generation, topic.generation);
}

}  // namespace

// A name that is known needs no lock. A new one is given by one process at a time, which looks again once it may.
// SYNC: `seal` is published behind the fields, and `generation` last; they pair with the observes in topicAt().
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic,
                    TopicWish* wish) {
  if (name.empty() || name.size() > topicNameBytes) return Status::failed("invalid", "the topic's name is too long");
  if (findTopic(region, name, topic)) return Status::fine();
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  if (findTopic(region, name, topic)) return Status::fine();
  const Status status = findFree(region, topic);
  if (!status.ok()) {
    const bool full = std::strcmp(status.fault, "full") == 0;
    return full && wish != nullptr ? wishForPlace(region, *wish, status) : status;
  }
  topic = {topic.index, topic.generation, order, ack, name};
  writeTopic(region, topic);
  return Status::fine();
}

}  // namespace ringfence
