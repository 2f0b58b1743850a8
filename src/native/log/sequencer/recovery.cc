#include "recovery.h"

#include <algorithm>

#include "log/descriptor_check.h"
#include "log/replicas.h"
#include "identities.h"
#include "publishing.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/token.h"
#include "retention.h"

namespace ringfence::sequencing {

namespace {

uint64_t payloadEndOf(const IndexEntry& entry) {
  return roundUp(entry.payloadPosition + batchBytesOf(entry.payloadBytes, entry.messageCount, entry.uniformBytes), lineBytes);
}

uint64_t generationOf(const Geometry& g, uint64_t sessionId) { return (sessionId - 1) / g.clients + 1; }

class Recovery {
 public:
  Recovery(SequencerState& order, const Former& former) : order_(order), former_(former), g_(order.geometry) {}

  void run() {
    entries_.resize(uint64_t{g_.topics} * g_.clients);
    for (uint32_t at = 0; at < order_.lanes.size(); at += 1) beginLane(at);
    for (uint32_t t = 0; t < topicsKnown(); t += 1) topic(t);
    for (uint32_t i = 0; i < g_.clients; i += 1) session(i);
    recoverIdentities(order_, former_);
    for (uint32_t at = 0; at < order_.lanes.size(); at += 1) finishLane(at);
    for (Lane& lane : order_.lanes) {
      if (lane.released != lane.scanned) watch(order_, lane);
    }
    order_.places.wishAnswered = former_.service.wishesAnswered;
    order_.places.wishRefused = former_.service.wishesRefused;
  }

 private:
  // --- topics

  // The sequencer adopts topics in the order of their places.
  uint32_t topicsKnown() const {
    uint32_t known = 0;
    for (uint32_t t = 0; t < g_.topics; t += 1) {
      const FormerTopic& f = former_.topics[t];
      const bool adopted = f.adopted && f.adoption.generation != 0;
      if (adopted || !f.adopted || f.committed.entries != 0 || f.retention.freedMark != 0) known = t + 1;
    }
    while (known > 0 && !everAdopted(former_.topics[known - 1])) known -= 1;
    return known;
  }

  // A kill during the first adoption leaves a torn line of it, and nothing else.
  static bool everAdopted(const FormerTopic& f) {
    return (f.adopted && f.adoption.generation != 0) || !f.counted || !f.retained || f.committed.entries != 0 ||
           f.retention.freedMark != 0;
  }

  void topic(uint32_t t) {
    const FormerTopic& f = former_.topics[t];
    Topic& topic = order_.topics.emplace_back();
    topic.kept.assign(g_.indexEntries, Kept{});
    name(t, f, topic);
    count(f, topic);
    for (uint64_t i = 0; i < f.entries.size(); i += 1) keep(t, f.trim + i, f.entries[i]);
    retain(f, topic);
    if (f.known && f.view.generation == topic.generation && !topic.free) beginAt(f.view.base, topic);
    topic.delivered = f.cursor == ~uint64_t{0} ? topic.trim : std::clamp(f.cursor, topic.trim, topic.committed);
    topic.usedNanos = monotonicNanos();
  }

  // By what the former sequencer knew; where that was damaged, as the slot says.
  void name(uint32_t t, const FormerTopic& f, Topic& topic) {
    const bool adopted = f.adopted && f.adoption.generation != 0;
    topic.generation = adopted ? f.adoption.generation : f.view.generation;
    topic.seal = adopted ? f.adoption.slotSeal : f.slotSeal;
    topic.order = adopted ? f.adoption.order : f.view.order == orderNone ? orderNone : orderSession;
    topic.ack = adopted ? static_cast<uint32_t>(f.adoption.ack) : f.view.ack;
    topic.named = adopted && f.adoption.named == 1;
    if (f.known && f.view.generation == topic.generation) topic.name = f.view.name;
    // A place that was being freed is in use again.
    const bool freeing = f.retention.freedMark == freeingMarkOf(topic.generation);
    topic.mark = freeing ? freedMarkOf(topic.generation - 1) : f.retention.freedMark;
    if (!f.retained) topic.mark = freedMarkOf(topic.generation - 1);
    topic.free = topic.mark == freedMarkOf(topic.generation);
    if (topic.free) order_.places.free += 1;
  }

  void count(const FormerTopic& f, Topic& topic) {
    topic.firstEntry = f.retention.firstEntry;
    topic.committed = f.committed.entries;
    topic.messages = f.committed.messages;
    topic.bytes = f.committed.bytes;
    topic.orderedNanos = f.committed.orderedNanos;
    if (!f.counted) {
      topic.committed = f.trim + f.entries.size();
      topic.messages = f.retention.trimMessages;
      topic.orderedNanos = 0;
      for (const FormerEntry& each : f.entries) topic.messages = each.entry.firstPosition + each.entry.messageCount;
      for (const FormerEntry& each : f.entries) topic.orderedNanos = std::max(topic.orderedNanos, each.entry.orderedNanos);
    }
    if (f.retained && topic.committed == topic.firstEntry && topic.firstEntry != 0) topic.messages = topic.bytes = 0;
  }

  void keep(uint32_t t, uint64_t index, const FormerEntry& found) {
    Kept& kept = order_.topics[t].kept[index & (g_.indexEntries - 1)];
    kept.lane = noLane;
    if (!found.payload) return;
    const IndexEntry& e = found.entry;
    entriesOf(t, e.sessionKey >> 16).push_back(&e);
    kept = {e.lane, e.messageCount, e.laneIndex, generationOf(g_, e.sessionKey >> 16)};
    Lane& lane = order_.lanes[e.lane];
    if (e.laneIndex - lane.released >= g_.laneSlots || lane.broken) {
      kept.lane = noLane;  // the lane's line contradicts it
      return;
    }
    if (planted("a slot that an entry alone names")) return;
    const uint64_t slot = e.laneIndex & (g_.laneSlots - 1);
    lane.state[slot] = Slot::ordered;
    lane.topic[slot] = t;
    lane.entry[slot] = index;
    lane.start[slot] = e.payloadPosition;
    lane.messages[slot] = e.messageCount;
    endOf(e.lane, e.laneIndex) = payloadEndOf(e);
  }

  void retain(const FormerTopic& f, Topic& topic) {
    topic.trim = f.trim;
    topic.firmTrim = f.trim;
    topic.synced = f.trim;  // what was trimmed, a replica had; of the rest, those that are attached say it again
    topic.trimMessages = f.retention.trimMessages;
    if (f.trim == topic.committed) {
      topic.trimMessages = topic.messages;
    } else if (f.entries.front().payload) {
      topic.trimMessages = f.entries.front().entry.firstPosition;
    }
  }

  // A deposed sequencer may have adopted a restored topic behind the look at its frontier, or at its counts.
  static void beginAt(const TopicBase& base, Topic& topic) {
    const uint64_t begins = topic.firstEntry + base.entries;
    if (base.entries == 0 || topic.trim >= begins || planted("the base of a restored topic")) return;
    topic.trim = topic.firmTrim = topic.synced = begins;
    topic.trimMessages = base.messages;
    if (topic.committed >= begins) return;
    topic.committed = begins;
    topic.messages = base.messages;
    topic.orderedNanos = base.nanos;
  }

  // --- sessions

  void session(uint32_t i) {
    const FormerSession& f = former_.sessions[i];
    Session& session = order_.sessions[i];
    const SessionLine::Acknowledged& a = f.acknowledged;
    session.generation = f.whole ? a.generation : f.adopted ? f.adoption.generation : f.claim.generation;
    if (session.generation == 0) return;
    session.id = sessionIdOf(g_, i, session.generation);
    session.endedGeneration = f.whole ? a.endedGeneration : 0;
    session.endReason = f.whole ? a.endReason : uint32_t{endNone};
    if (session.endedGeneration != session.generation) activate(order_, i);
    identify(f, session);
    session.heldTotal = f.pressure.heldTotal;
    session.duplicates = f.pressure.duplicates;
    session.purged = f.pressure.purged;
    session.expected = f.whole ? a.batches : order_.options.first.batches;
    session.expectedMessages = f.whole ? a.messages : order_.options.first.sessionMessages;
    session.told = !session.active;
    session.refused = !session.active && (session.endReason == endTopicGone || (session.endReason == endFenced && !adopted(f)));
    if (session.active) resume(i, f, session);
  }

  static bool adopted(const FormerSession& f) { return f.adopted && f.adoption.generation == f.acknowledged.generation; }

  // Who it is stands in the block, because its claim may have been damaged since, or be another session's.
  void identify(const FormerSession& f, Session& session) {
    const bool adopted = f.adopted && f.adoption.generation == session.generation;
    session.topic = adopted ? f.adoption.topic : f.claim.topic;
    session.topicGeneration = adopted ? f.adoption.topicGeneration : f.claim.topicGeneration;
    session.process = adopted ? f.adoption.process : f.claim.process;
    session.processGeneration = adopted ? f.adoption.processGeneration : f.claim.processGeneration;
    if (session.topic >= order_.topics.size()) {
      session.topic = 0;
      return;
    }
    session.order = adopted ? f.adoption.order : order_.topics[session.topic].order;
    session.topicName = order_.topics[session.topic].name;
  }

  void resume(uint32_t i, const FormerSession& f, Session& session) {
    session.window.assign(order_.region.layout().windowPlaces(), Pending{});
    if (!f.whole || session.topic >= order_.topics.size()) session.endReason = endCorrupt;
    session.ending = session.endReason == endCorrupt;
    if (session.order == orderNone) return;
    if (session.order == orderTotal) {
      for (const uint64_t fact : f.facts) commitAhead(session, fact);
    }
    do {
      for (const IndexEntry* each : entriesOf(session.topic, session.id)) {
        if (each->sessionKey >> 16 == session.id) commitAhead(session, *each);
      }
    } while (moveOn(session) && !planted("entries behind the window"));
  }

  // Moves the prefix on through what is committed. If it has moved the window reaches further, also over entries that the
  // former sequencer had committed and not acknowledged yet.
  static bool moveOn(Session& session) {
    const uint64_t before = session.expected;
    for (;;) {
      Pending& next = session.window[session.expected & (session.window.size() - 1)];
      if (next.tag != session.expected + 1) break;
      next.tag = 0;
      session.expectedMessages += next.messages;
      session.expected += 1;
    }
    return session.expected != before;
  }

  // A batch at or above the prefix that is committed.
  void commitAhead(Session& session, uint64_t fact) {
    const uint64_t window = session.window.size();
    // The fact has the low half of the number; the batch lies in the window.
    const uint64_t sequence = session.expected + (((fact >> 32) - session.expected) & 0xffffffff);
    if (fact == 0 || sequence - session.expected >= window) return;
    commitAhead(session, sequence, messagesOf(fact));
  }

  void commitAhead(Session& session, const IndexEntry& entry) {
    if (entry.batchSequence < session.expected || entry.batchSequence - session.expected >= session.window.size()) return;
    if (session.order == orderSession) {
      session.expected = entry.batchSequence + 1;
      session.expectedMessages = entry.firstMessage + entry.messageCount;
    } else {
      commitAhead(session, entry.batchSequence, entry.messageCount);
    }
  }

  static void commitAhead(Session& session, uint64_t sequence, uint32_t messages) {
    Pending& pending = session.window[sequence & (session.window.size() - 1)];
    pending.tag = sequence + 1;
    pending.messages = messages;
    pending.emitted = true;
  }

  // --- lanes

  void beginLane(uint32_t at) {
    const FormerLane& f = former_.lanes[at];
    Lane& lane = order_.lanes[at];
    lane.broken = !f.whole;
    lane.generation = f.frontiers.generation;
    lane.released = lane.scanned = f.whole ? f.frontiers.released : 0;
    lane.trim = f.frontiers.trim;
    lane.firstIndex = f.frontiers.firstIndex;
    lane.payloadEnd = f.frontiers.payloadEnd;
    lane.ordered = f.counts.ordered;
    lane.orderedMessages = f.counts.orderedMessages;
    lane.delivered = f.counts.delivered;
    lane.deliveredMessages = f.counts.deliveredMessages;
    lane.duplicates = f.counts.duplicates;
    lane.purged = f.counts.purged;
    ends_.emplace_back(g_.laneSlots, 0);
  }

  // Those of the topic that name the session, or another of its slot.
  std::vector<const IndexEntry*>& entriesOf(uint32_t t, uint64_t sessionId) {
    return entries_[uint64_t{t} * g_.clients + (sessionId - 1) % g_.clients];
  }

  // Where the batch in that slot ends, 0 where it is unknown.
  uint64_t& endOf(uint32_t at, uint64_t index) { return ends_[at][index & (g_.laneSlots - 1)]; }

  void finishLane(uint32_t at) {
    Lane& lane = order_.lanes[at];
    if (lane.broken) return;
    const FormerLane& f = former_.lanes[at];
    Session& session = order_.sessions[at % g_.clients];
    const bool cutShort = session.active && session.generation != lane.generation;
    const bool owned = session.active && !cutShort;
    if (owned && session.order == orderNone) return followLane(at, session);
    const uint64_t end = endOfLane(at);
    uint64_t again = end;  // the first slot that is to be scanned again
    for (uint64_t i = lane.released; i < end; i += 1) {
      const FormerSlot found = i - lane.released < f.slots.size() ? f.slots[i - lane.released] : FormerSlot{};
      Slot& state = lane.state[i & (g_.laneSlots - 1)];
      const bool own = i >= lane.firstIndex && found.ready;
      if (own && endOf(at, i) == 0) endOf(at, i) = ringfence::payloadEndOf(found.descriptor);
      if (state == Slot::ordered) continue;
      if (owned && i >= lane.firstIndex && !(own && isDone(session, found.descriptor))) {
        again = std::min(again, i);
        state = Slot::none;
      } else {
        state = Slot::done;
        lane.start[i & (g_.laneSlots - 1)] = found.descriptor.payloadPosition;
      }
    }
    setMarks(at, again, end);
    releaseSlots(order_, lane);
    if (cutShort) beginAnew(lane, session);
  }

  // Behind the last slot that was scanned, or was published since and may have been ordered or ended. A deposed sequencer may
  // have ordered slots that were published behind the look at the slots: entries alone name them.
  uint64_t endOfLane(uint32_t at) {
    const uint64_t released = former_.lanes[at].frontiers.released;
    uint64_t end = released + former_.lanes[at].slots.size();
    for (uint64_t i = end; i - released < g_.laneSlots; i += 1) {
      if (endOf(at, i) != 0) end = i + 1;
    }
    return end;
  }

  static bool isDone(const Session& session, const Descriptor& d) {
    if (d.batchSequence < session.expected) return true;
    const uint64_t window = session.window.size();
    if (d.batchSequence - session.expected >= window) return false;
    return session.window[d.batchSequence & (window - 1)].tag == d.batchSequence + 1;
  }

  // Two marks: where the scan goes on, and the lane's end, which alone is handed to the slot's next owner.
  void setMarks(uint32_t at, uint64_t again, uint64_t end) {
    Lane& lane = order_.lanes[at];
    const LaneLine::Frontiers& f = former_.lanes[at].frontiers;
    const uint64_t lineEnd = f.payloadEnd;
    uint64_t last = end <= f.scanned ? lineEnd : std::max(lineEnd, endOf(at, end - 1));
    lane.scanned = again;
    lane.payloadEnd = again == end ? last : again == f.scanned ? lineEnd : endBefore(at, again);
    if (again == end) return;
    lane.found = {end, last, again, {}};
    uint64_t reached = lane.payloadEnd;
    for (uint64_t i = again; i < end; i += 1) {
      reached = std::max(reached, endOf(at, i));
      lane.found.payloadEnds.push_back(reached);
    }
  }

  uint64_t endBefore(uint32_t at, uint64_t index) {
    for (uint64_t i = index; i > order_.lanes[at].released; i -= 1) {
      if (endOf(at, i - 1) != 0) return endOf(at, i - 1);
    }
    return former_.lanes[at].frontiers.payloadReleased;
  }

  // The former epoch's adoption of the session was cut short before this lane. What the lane holds is of the slot's former
  // session.
  static void beginAnew(Lane& lane, const Session& session) {
    lane.generation = session.generation;
    lane.firstIndex = lane.trim = lane.deliveredTo = lane.scanned;
    lane.ordered = lane.orderedMessages = lane.delivered = lane.deliveredMessages = 0;
    lane.duplicates = lane.purged = 0;
  }

  // Under order `none` the frontiers go on: what the readers have not released stays.
  void followLane(uint32_t at, Session& session) {
    Lane& lane = order_.lanes[at];
    const FormerLane& f = former_.lanes[at];
    lane.scanned = f.frontiers.scanned;
    for (uint64_t i = lane.released; i < lane.scanned; i += 1) {
      const uint64_t slot = i & (g_.laneSlots - 1);
      if (lane.state[slot] == Slot::ordered) continue;
      const Descriptor& d = f.slots[i - lane.released].descriptor;
      lane.state[slot] = i < lane.firstIndex ? Slot::done : Slot::unordered;
      lane.start[slot] = d.payloadPosition;
      lane.messages[slot] = d.messageCount;
      if (i >= lane.firstIndex) session.seenMessages += d.messageCount;
    }
    // Only what is released is lost for readers that attach from here on.
    lane.trim = std::max(lane.released, lane.firstIndex);
    session.seen += lane.scanned - lane.firstIndex;
    lane.deliveredTo = std::clamp(lane.firstIndex + lane.delivered, lane.trim, std::max(lane.trim, lane.scanned));
    releaseSlots(order_, lane);
  }

  SequencerState& order_;
  const Former& former_;
  const Geometry& g_;
  std::vector<std::vector<uint64_t>> ends_{};              // by lane and slot
  std::vector<std::vector<const IndexEntry*>> entries_{};  // by topic and client
};

}  // namespace

namespace {

// A server that is not told a number requires no fewer than the former one did, nor than it writes itself.
uint32_t copiesAfter(const SequencerOptions& options, const Former& former) {
  if (options.copies != 0) return options.copies;
  return std::max(options.ownReplicas, former.epoch == 0 ? 0 : copiesIn(former.service).value_or(0));
}

}  // namespace

void recover(SequencerState& order, const Former& former) {
  order.copies = copiesAfter(order.options, former);
  if (former.epoch != 0) Recovery(order, former).run();
}

// --- the block

namespace {

// Lines of the sequencer that say nothing, as before its first publication.
void clearTopic(const SequencerState& order, uint32_t t) {
  const Publication p = order.publication;
  TopicLine& line = order.region.topicLine(order.epoch, t);
  p.on(order.role, line.committedSpare).all({});
  p.on(order.role, line.committed).all({});
  p.on(order.role, line.retentionSpare).all({});
  p.on(order.role, line.retention).all({});
  p.on(order.role, line.adoption).all({});
}

void writeSession(SequencerState& order, uint32_t i, const std::vector<uint64_t>& facts) {
  if (order.sessions[i].generation == 0) {
    order.publication.on(order.role, order.region.sessionLine(order.epoch, i).adoption).all({});
  } else {
    publishSessionAdoption(order, i);
  }
  publishSession(order, i);
  if (facts.empty()) return clearFacts(order, i);
  for (uint64_t place = 0; place < facts.size(); place += factsOfLine) {
    FactLine local{};
    std::copy_n(facts.begin() + static_cast<std::ptrdiff_t>(place), factsOfLine, local.facts);
    order.publication.on(order.role, order.region.factLine(order.epoch, i, place)).copy<&FactLine::facts>(local.facts);
  }
}

// SYNC: publishes the seal of each entry, which covers the payload that the former epoch's entry covered.
void writeEntries(SequencerState& order, uint32_t t, const FormerTopic& former) {
  const Publication p = order.publication;
  for (uint64_t i = 0; i < former.entries.size(); i += 1) {
    if (i % 1024 == 1023) publishPulse(order);
    const FormerEntry& found = former.entries[i];
    if (!found.payload) continue;
    IndexEntry entry = found.entry;
    const uint64_t index = former.trim + i;
    sealEntry(entry, readyToken(order.region.mark(), index, order.epoch));
    p.on(order.role, order.region.entry(order.epoch, t, index))
        .allBut<&IndexEntry::seal>(entry)
        .publish<&IndexEntry::seal>(entry.seal, Written<Payload>::passedOn(order.role, *found.payload));
  }
}

}  // namespace

void writeBlock(SequencerState& order, const Former& former, role::Broker broker) {
  const Publication p = order.publication;
  const Region& region = order.region;
  const Geometry& g = order.geometry;
  for (uint32_t t = 0; t < g.topics; t += 1) {
    if (t < order.topics.size()) {
      writeEntries(order, t, former.topics[t]);
      publishCommitted(order, t);
      publishRetention(order, t);
      publishTopicAdoption(order, t);
    } else {
      clearTopic(order, t);
    }
    for (uint32_t i = 0; i < g.readers; i += 1) {
      const uint64_t ended = former.epoch == 0 ? 0 : former.readerEnds[uint64_t{t} * g.readers + i];
      p.on(order.role, region.readerEnd(order.epoch, t, i)).publish<&ReaderEnd::endedGeneration>(ended);
    }
    publishPulse(order);
  }
  for (uint32_t i = 0; i < g.clients; i += 1) {
    writeSession(order, i, former.epoch == 0 ? std::vector<uint64_t>() : former.sessions[i].facts);
  }
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) {
    publishLane(order, at);
    p.on(broker, region.grant(order.epoch, at)).publish<&GrantLine::grantedGeneration>(0);
  }
  writeIdentities(order);
  publishAnswers(order);
  publishCopies(order);
  publishTotals(order);
}

}  // namespace ringfence::sequencing
