#include "former.h"

#include <algorithm>

#include "publishing.h"
#include "region/planted.h"
#include "region/sealed_line.h"
#include "region/token.h"

namespace ringfence::sequencing {

namespace {

constexpr uint64_t pulseEvery = 1024;  // entries or slots

class Reading {
 public:
  Reading(SequencerState& order, uint64_t epoch) : order_(order), p_(order.publication), g_(order.geometry), epoch_(epoch) {}

  FormerLane lane(uint32_t at) {
    FormerLane lane;
    LaneLine& line = order_.region.laneLine(epoch_, at);
    lane.whole = readEither(p_, line.frontiers, line.frontiersSpare, lane.frontiers) &&
                 lane.frontiers.scanned - lane.frontiers.released <= g_.laneSlots;
    lane.counts = p_.copy(line.counts);
    return lane;
  }

  // Behind the lanes' own lines, and before the sessions': what the slots hold does not change.
  void slots(uint32_t at, FormerLane& lane) {
    const LaneLine::Frontiers& f = lane.frontiers;
    for (uint64_t i = f.released; i - f.released < g_.laneSlots; i += 1) {
      FormerSlot slot;
      const auto& shared = order_.region.descriptor(at, i);
      const auto token = p_.observeCovering<&Descriptor::token>(shared);
      slot.ready = token.value == readyToken(order_.region.mark(), i, f.generation);
      if (!slot.ready && i >= f.scanned) break;
      slot.descriptor = p_.copy(shared);
      lane.slots.push_back(slot);
      beat();
    }
  }

  FormerTopic retention(uint32_t t) {
    FormerTopic topic;
    TopicLine& line = order_.region.topicLine(epoch_, t);
    topic.retained = readEither(p_, line.retention, line.retentionSpare, topic.retention);
    return topic;
  }

  // Ahead of the sessions: a session that ends is published before its identity goes on without it, and one that an adoption
  // has given an identity to names it itself.
  FormerIdentity identity(uint32_t i) {
    FormerIdentity identity;
    const IdentityLine& line = order_.region.identityLine(epoch_, i);
    identity.whole = readEither(p_, line.standing, line.standingSpare, identity.standing);
    identity.slotGeneration = p_.observe<&IdentitySlot::generation>(order_.region.identity(i));
    return identity;
  }

  // The facts ahead of the prefix: a fact that has lost its place to another batch's is below the prefix by then. Meanwhile a
  // deposed sequencer may adopt the slot's next session, which has no facts: no client believes its adoption.
  FormerSession session(uint32_t client) {
    FormerSession session;
    SessionLine& line = order_.region.sessionLine(epoch_, client);
    SessionLine::Acknowledged before{};
    static_cast<void>(readEither(p_, line.acknowledged, line.acknowledgedSpare, before));
    for (uint64_t place = 0; place < order_.region.layout().windowPlaces(); place += factsOfLine) {
      const FactLine facts = p_.copy(order_.region.factLine(epoch_, client, place));
      session.facts.insert(session.facts.end(), std::begin(facts.facts), std::end(facts.facts));
    }
    p_.loadFence();
    session.whole = readEither(p_, line.acknowledged, line.acknowledgedSpare, session.acknowledged);
    const bool another = before.generation != session.acknowledged.generation;
    if (another && !planted("facts of the slot's former session")) std::fill(session.facts.begin(), session.facts.end(), 0);
    session.pressure = p_.copy(line.pressure);
    session.adopted = readSealed(p_, line.adoption, session.adoption);
    session.claim = p_.snapshot<&ClientClaim::generation>(order_.region.client(client).claim);
    return session;
  }

  // The frontier again behind the counts and the slot: a deposed sequencer may have freed the place meanwhile. It then has what
  // a discard leaves, also where these counts are older, or its adoption was torn.
  void counts(uint32_t t, FormerTopic& topic) {
    TopicLine& line = order_.region.topicLine(epoch_, t);
    topic.counted = readEither(p_, line.committed, line.committedSpare, topic.committed);
    topic.adopted = readSealed(p_, line.adoption, topic.adoption);
    topic.slotSeal = p_.observe<&TopicSlot::seal>(order_.region.topic(t));
    const TopicState state = topicAt(order_.region, t, topic.view);
    topic.known = state == TopicState::declared || state == TopicState::undecided;
    if (state == TopicState::undecided) topic.view.generation -= 1;  // of the topic that was there, not of the next one
    const uint64_t generation = topic.adopted && topic.adoption.generation != 0 ? topic.adoption.generation : topic.view.generation;
    TopicLine::Retention now{};
    const bool whole = readEither(p_, line.retention, line.retentionSpare, now) && generation != 0;
    if (whole && now.freedMark == freedMarkOf(generation) && !planted("a place that is freed in a last pass")) {
      topic.retention = now;
      topic.committed = {};
      topic.committed.entries = now.firstEntry;
      topic.retained = topic.counted = true;
    }
  }

  // The cursors of attached readers, which hold back what is trimmed. They are read behind the fence of the announcement
  // (Sequencer::announce): a reader that attaches later is refused (IndexReader::publishCursor).
  void cursors(uint32_t t, const std::vector<uint64_t>& ends, FormerTopic& topic) {
    for (uint32_t i = 0; i < g_.readers; i += 1) {
      const ReaderSlot& slot = order_.region.reader(t, i);
      const uint64_t generation = p_.observe<&ReaderClaim::generation>(slot.claim);
      if (generation == 0 || ends[uint64_t{t} * g_.readers + i] == generation) continue;
      const auto [attached, detached, cursor] =
          p_.observe<&ReaderLine::attachedGeneration, &ReaderLine::detachedGeneration, &ReaderLine::cursor>(slot.line);
      if (attached == generation && detached != generation) topic.cursor = std::min(topic.cursor, cursor);
    }
  }

  // The entries from the trim frontier to the count; where both copies of the count are damaged, as far as they are whole.
  void entries(uint32_t t, FormerTopic& topic) {
    const TopicLine::Retention& r = topic.retention;
    topic.trim = std::max(r.firmTrim, std::min(r.trim, topic.cursor));
    if (topic.counted) topic.trim = std::min(topic.trim, topic.committed.entries);
    const uint64_t limit = topic.counted ? topic.committed.entries : topic.trim + g_.indexEntries;
    // Where the frontiers were damaged, nothing is trimmed that an entry proves to be there.
    if (limit - topic.trim > g_.indexEntries) topic.trim = limit - g_.indexEntries;
    while (!topic.retained && topic.counted && topic.trim < limit && !sound(t, topic.trim)) topic.trim += 1;
    for (uint64_t i = topic.trim; i < limit; i += 1) {
      auto shown = p_.snapshotCovering<&IndexEntry::seal>(order_.region.entry(epoch_, t, i));
      FormerEntry found{shown.value, {}};
      const bool whole = soundAs(found.entry, i);
      if (whole) found.payload = shown.seen;
      if (!whole && !topic.counted) break;
      topic.entries.push_back(found);
      beat();
    }
  }

 private:
  bool soundAs(const IndexEntry& entry, uint64_t index) const {
    return entrySealed(entry, readyToken(order_.region.mark(), index, epoch_)) && entry.lane < order_.lanes.size();
  }
  bool sound(uint32_t t, uint64_t index) const {
    return soundAs(p_.snapshotCovering<&IndexEntry::seal>(order_.region.entry(epoch_, t, index)).value, index);
  }

  void beat() {
    done_ += 1;
    if (done_ % pulseEvery == 0) publishPulse(order_);
  }

  SequencerState& order_;
  const Publication p_;
  const Geometry& g_;
  const uint64_t epoch_;
  uint64_t done_ = 0;
};

}  // namespace

Former readFormer(SequencerState& order, uint64_t epoch) {
  const Geometry& g = order.geometry;
  const Publication p = order.publication;
  Reading reading(order, epoch);
  Former former;
  former.epoch = epoch;
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) former.lanes.push_back(reading.lane(at));
  for (uint32_t at = 0; at < order.lanes.size(); at += 1) {
    if (former.lanes[at].whole) reading.slots(at, former.lanes[at]);
  }
  for (uint32_t t = 0; t < g.topics; t += 1) former.topics.push_back(reading.retention(t));
  for (uint32_t i = 0; i < order.identities.size(); i += 1) former.identities.push_back(reading.identity(i));
  for (uint32_t i = 0; i < g.clients; i += 1) former.sessions.push_back(reading.session(i));
  for (uint32_t t = 0; t < g.topics; t += 1) reading.counts(t, former.topics[t]);
  for (uint32_t t = 0; t < g.topics; t += 1) {
    for (uint32_t i = 0; i < g.readers; i += 1) {
      former.readerEnds.push_back(p.observe<&ReaderEnd::endedGeneration>(order.region.readerEnd(epoch, t, i)));
    }
    reading.cursors(t, former.readerEnds, former.topics[t]);
    reading.entries(t, former.topics[t]);
  }
  former.service = p.copy(order.region.blockHead(epoch).service);
  return former;
}

}  // namespace ringfence::sequencing
