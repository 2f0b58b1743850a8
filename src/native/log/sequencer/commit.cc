// Commits an epoch: gives each emitted batch its place in the index of its topic.
#include "commit.h"

#include <algorithm>

#include "publishing.h"
#include "region/futex.h"
#include "region/planted.h"
#include "region/token.h"

namespace ringfence::sequencing {

namespace {

// Of what the acknowledged prefix does not cover, because an earlier batch of the session is missing: only under order
// `total`. A trim may forget the entry before the gap closes.
// SYNC: fences behind the prefixes, because a fact may take the place of one that such a prefix covers since; pairs with
// Reading::session, which reads the facts ahead of the prefix.
void stateFacts(const SequencerState& order) {
  if (planted("a trim without its fact")) return;
  bool fenced = false;
  for (const Ready& ready : order.ready) {
    const uint64_t sequence = ready.batch.tag - 1;
    if (sequence < order.sessions[ready.client].expected) continue;
    if (!fenced) static_cast<void>(order.publication.storeFence());
    fenced = true;
    publishFact(order, ready.client, sequence, ready.batch.messages);
  }
}

}  // namespace

// An epoch is committed at once while no batch is held; otherwise it waits for the batches that close the gaps. It does
// not wait for a gap older than an epoch, which may never close and must not delay other sessions.
bool epochDue(const SequencerState& order) {
  if (order.ready.size() >= readyLimit || order.options.manual) return true;
  const uint64_t now = monotonicNanos();
  const uint64_t epochNanos = order.options.epochMicros * 1000;
  if (now - order.readySinceNanos >= epochNanos) return true;
  for (const uint32_t client : order.active) {
    const Session& session = order.sessions[client];
    if (session.held != 0 && now - session.gapSinceNanos < epochNanos) return false;
  }
  return true;
}

// In this order for any number of batches: entries, then counts, then acknowledgements, then facts. Each is a publication,
// which shows what was published before it.
// SYNC: publishes the seal of each entry, which covers the payload that the client published before; pairs with the
// observe in IndexReader::read.
bool commit(SequencerState& order) {
  const Publication p = order.publication;
  const Geometry& g = order.geometry;
  const uint64_t now = wallNanos();
  for (const Ready& ready : order.ready) {
    const Session& session = order.sessions[ready.client];
    const Pending& batch = ready.batch;
    Topic& topic = order.topics[session.topic];
    Lane& lane = order.lanes[batch.lane];
    const uint64_t index = topic.committed;
    IndexEntry entry{};
    entry.sessionKey = session.id << 16;
    entry.batchSequence = batch.tag - 1;
    entry.firstPosition = topic.messages;
    entry.firstMessage = batch.firstMessage;
    entry.messageCount = batch.messages;
    entry.payloadBytes = batch.payloadBytes;
    entry.lane = batch.lane;
    entry.uniformBytes = batch.uniformBytes;
    entry.payloadPosition = batch.payloadPosition;
    entry.publishedNanos = batch.publishedNanos;
    // The clock may be set back, or that of a former server may have been ahead: the times of a topic never fall.
    topic.orderedNanos = std::max(topic.orderedNanos, now);
    entry.orderedNanos = topic.orderedNanos;
    entry.laneIndex = batch.laneIndex;
    if (session.identity != 0) {
      entry.identity = session.identity;
      entry.identityGeneration = session.identityGeneration;
      entry.identityRecord = session.base + batch.firstMessage - order.options.first.sessionMessages;
      entry.incarnation = session.incarnation;
    }
    sealEntry(entry, readyToken(order.region.mark(), index, order.epoch));
    p.on(order.role, order.region.entry(order.epoch, session.topic, index))
        .allBut<&IndexEntry::seal>(entry)
        .publish<&IndexEntry::seal>(entry.seal, Written<Payload>::passedOn(order.role, *lane.payload));

    topic.kept[index & (g.indexEntries - 1)] = {batch.lane, batch.messages, batch.laneIndex, lane.generation};
    topic.committed += 1;
    topic.pending -= 1;
    topic.messages += batch.messages;
    topic.bytes += batch.payloadBytes;
    topic.dirty = true;
    const uint64_t slot = batch.laneIndex & (g.laneSlots - 1);
    lane.state[slot] = Slot::ordered;
    lane.entry[slot] = index;
    lane.ordered += 1;
    lane.orderedMessages += batch.messages;
    markDirty(order, lane);
    order.totals.batches += 1;
    order.totals.messages += batch.messages;
  }
  order.totals.commits += 1;
  for (uint32_t t = 0; t < order.topics.size(); t += 1) {
    if (!order.topics[t].dirty) continue;
    order.topics[t].dirty = false;
    publishCommitted(order, t);
  }
  if (planted("a fact ahead of the prefix")) stateFacts(order);
  publishPrefixes(order);
  stateFacts(order);
  order.ready.clear();
  return true;
}

}  // namespace ringfence::sequencing
