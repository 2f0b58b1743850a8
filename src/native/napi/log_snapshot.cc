#include "log_snapshot.h"

#include <algorithm>
#include <cstring>

#include "log/claims.h"
#include "log/cursors.h"
#include "log/identities.h"
#include "log/replicas.h"
#include "log/topic_reader.h"
#include "region/sealed_line.h"
#include "region/token.h"
#include "values.h"

namespace ringfence::binding {

namespace {

// The difference of two counts, which may have been read at different moments; at least 0.
uint64_t since(uint64_t first, uint64_t at) { return at < first ? 0 : at - first; }

// A line as its seal confirms it, or as it stands if it stays damaged.
template <class Fields, class Role>
Fields wholeOf(const Publication& p, const Line<Fields, Role>& shared) {
  constexpr int attempts = 64;
  Fields local;
  for (int i = 0; i < attempts; i += 1) {
    if (readSealed(p, shared, local)) break;
  }
  return local;
}

// What a reader has not released, as far as the sequencer has seen it.
struct Behind {
  uint64_t batches = 0, messages = 0;
};

// Of a topic of order `none`, whose batches are in the lanes alone.
Behind behindInLanes(const Region& region, uint64_t epoch, uint32_t topic, uint32_t reader, uint64_t generation) {
  const Publication& p = region.publication();
  Behind behind;
  for (uint32_t client = 0; client < region.layout().geometry.clients; client += 1) {
    const SessionLine::Acknowledged session = p.copy(region.sessionLine(epoch, client).acknowledged);
    if (session.unordered != topic + 1 || session.endedGeneration == session.generation) continue;
    for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) {
      const uint64_t at = region.laneOf(b, client);
      const LaneLine::Frontiers frontiers = p.copy(region.laneLine(epoch, at).frontiers);
      const LaneCursor cursor = p.copy(region.laneCursor(topic, reader, at));
      const bool known = cursor.sessionGeneration == session.generation && cursor.readerGeneration == generation;
      const uint64_t taken = known ? cursor.taken[region.layout().cursorAt(at)] : frontiers.trim;
      behind.batches += since(taken, frontiers.scanned);
      for (uint64_t i = std::max(taken, frontiers.released); i < frontiers.scanned; i += 1) {
        if (frontiers.scanned - i <= region.layout().geometry.laneSlots) behind.messages += p.copy(region.descriptor(at, i)).messageCount;
      }
    }
  }
  return behind;
}

// Its next entry says how many messages it has released. An entry that is damaged, or is just being trimmed as the reader
// leaves, says nothing: then all kept messages count.
Behind behindInIndex(const Region& region, uint64_t epoch, uint32_t topic, const TopicLine::Committed& committed,
                     const TopicLine::Retention& retention, uint64_t cursor) {
  if (cursor >= committed.entries) return {};
  const IndexEntry entry = region.publication().copy(region.entry(epoch, topic, cursor));
  const bool whole = entrySealed(entry, readyToken(region.mark(), cursor, epoch));
  return {committed.entries - cursor, since(whole ? entry.firstPosition : retention.trimMessages, committed.messages)};
}

Napi::Array readersOf(Napi::Env env, const Region& region, uint64_t epoch, const TopicView& view,
                      const TopicLine::Committed& committed, const TopicLine::Retention& retention) {
  const uint32_t topic = view.index;
  const Publication& p = region.publication();
  auto out = Napi::Array::New(env);
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    const ReaderClaim claim = p.snapshot<&ReaderClaim::generation>(region.reader(topic, i).claim);
    const ReaderLine line = p.copy(region.reader(topic, i).line);
    if (claim.generation == 0 || line.attachedGeneration != claim.generation) continue;
    if (line.detachedGeneration == claim.generation) continue;
    if (p.observe<&ReaderEnd::endedGeneration>(region.readerEnd(epoch, topic, i)) == claim.generation) continue;
    auto reader = Napi::Object::New(env);
    reader.Set("reader", number(env, i));
    const bool gates = line.cursor != holdsNothing;
    const uint64_t cursor = gates ? line.cursor : line.read;
    const Behind behind = view.order == orderNone ? behindInLanes(region, epoch, topic, i, claim.generation)
                                                  : behindInIndex(region, epoch, topic, committed, retention, cursor);
    reader.Set("cursor", number(env, since(retention.firstEntry, cursor)));
    reader.Set("gates", Napi::Boolean::New(env, gates));
    reader.Set("behind", number(env, behind.batches));
    reader.Set("behindMessages", number(env, behind.messages));
    reader.Set("process", number(env, claim.process));
    Synced synced;
    const bool replica = syncedAt(region, topic, i, synced) == SyncedState::whole && synced.generation == claim.generation;
    reader.Set("replica", number(env, replica ? synced.replica.required : 0));
    setPid(reader, region.pidOf(claim.process));
    reader.Set("name", std::string(claim.name, strnlen(claim.name, nameBytes)));
    out.Set(out.Length(), reader);
  }
  return out;
}

// Their records are not known while the oldest kept entry is above them.
std::optional<uint64_t> recordsBelow(const Region& region, uint64_t epoch, uint32_t topic, const TopicLine::Committed& committed,
                                     const TopicLine::Retention& retention, uint64_t entries) {
  if (entries >= committed.entries) return committed.messages;
  if (entries < retention.trim) return {};
  const IndexEntry entry = region.publication().copy(region.entry(epoch, topic, entries));
  if (!entrySealed(entry, readyToken(region.mark(), entries, epoch))) return {};
  return entry.firstPosition;
}

void setDurability(Napi::Object out, const Region& region, uint64_t epoch, const TopicView& view,
                   const TopicLine::Committed& committed, const TopicLine::Retention& retention) {
  Durability durability;
  if (view.ack == ackDurable) durability = durabilityOf(region, view.index);
  std::optional<uint64_t> batches;
  std::optional<uint64_t> messages;
  if (durability.entries) {
    batches = since(retention.firstEntry, *durability.entries);
    messages = recordsBelow(region, epoch, view.index, committed, retention, *durability.entries);
  }
  out.Set("replicasRequired", number(out.Env(), durability.required));
  out.Set("durableBatches", optional(out.Env(), batches));
  out.Set("durableMessages", optional(out.Env(), messages));
}

Napi::Object topicState(Napi::Env env, const Region& region, uint64_t epoch, const TopicView& view) {
  const Publication& p = region.publication();
  // In this order what is trimmed is never more than what is committed.
  const auto retention = wholeOf(p, region.topicLine(epoch, view.index).retention);
  const auto committed = wholeOf(p, region.topicLine(epoch, view.index).committed);
  auto out = topicObject(env, view);
  // A restored topic that the sequencer has not adopted yet begins at its base.
  out.Set("committedBatches", number(env, std::max(view.base.entries, since(retention.firstEntry, committed.entries))));
  out.Set("committedMessages", number(env, std::max(view.base.messages, committed.messages)));
  out.Set("committedBytes", number(env, committed.bytes));
  out.Set("trimmedBatches", number(env, std::max(view.base.entries, since(retention.firstEntry, retention.trim))));
  out.Set("trimmedMessages", number(env, std::max(view.base.messages, retention.trimMessages)));
  out.Set("gatingReader", number(env, retention.gatingReader));
  out.Set("unreplicated", Napi::Boolean::New(env, retention.unreplicated == 1));
  setDurability(out, region, epoch, view, committed, retention);
  out.Set("readers", readersOf(env, region, epoch, view, committed, retention));
  return out;
}

Napi::Object laneState(Napi::Env env, const Region& region, uint64_t epoch, uint64_t at, uint64_t generation) {
  const Publication& p = region.publication();
  const ProducerLine producer = p.copy(region.producer(at));
  const LaneLine::Frontiers frontiers = p.copy(region.laneLine(epoch, at).frontiers);
  const LaneLine::Counts counts = p.copy(region.laneLine(epoch, at).counts);
  const bool begun = producer.generation == generation;
  auto out = Napi::Object::New(env);
  out.Set("written", number(env, begun ? producer.writtenBatches - counts.firstIndex : 0));
  out.Set("published", number(env, begun ? producer.publishedBatches - counts.firstIndex : 0));
  out.Set("scanned", number(env, frontiers.scanned - counts.firstIndex));
  out.Set("released", number(env, frontiers.released));
  out.Set("inFlight", number(env, (begun ? producer.writtenBatches : frontiers.scanned) - frontiers.released));
  out.Set("publishedMessages", number(env, begun ? producer.publishedMessages : 0));
  out.Set("fullEvents", number(env, begun ? producer.fullEvents : 0));
  out.Set("held", number(env, counts.held));
  out.Set("ordered", number(env, counts.ordered));
  out.Set("orderedMessages", number(env, counts.orderedMessages));
  out.Set("delivered", number(env, counts.delivered));
  out.Set("deliveredMessages", number(env, counts.deliveredMessages));
  out.Set("duplicates", number(env, counts.duplicates));
  out.Set("purged", number(env, counts.purged));
  return out;
}

// The broker whose lane holds the batch unpublished; -1 when its client has not written it.
int32_t brokerHolding(const Region& region, uint64_t epoch, uint32_t client, uint64_t generation, uint64_t sequence) {
  const Publication& p = region.publication();
  for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) {
    const uint64_t at = region.laneOf(b, client);
    const ProducerLine producer = p.snapshot<&ProducerLine::generation>(region.producer(at));
    if (producer.generation != generation) continue;
    const uint64_t written = producer.writtenBatches;
    const uint64_t scanned = p.observe<&LaneLine::Frontiers::scanned>(region.laneLine(epoch, at).frontiers);
    if (written - scanned > region.layout().geometry.laneSlots) continue;
    for (uint64_t i = scanned; i < written; i += 1) {
      const uint64_t found = p.observe<&Descriptor::batchSequence>(region.descriptor(at, i));
      if (found == sequence) return static_cast<int32_t>(b);
    }
  }
  return -1;
}

// Whether its client has closed the session or is dead, and the sequencer has not ended it yet.
bool ending(const Region& region, uint32_t client, const ClientClaim& claim) {
  if (sessionOver(region, client, claim.generation)) return false;
  return region.publication().observe<&ClientLine::closingGeneration>(region.client(client).line) == claim.generation ||
         !region.processAlive(claim.process, claim.processGeneration);
}

std::string processName(const Region& region, uint32_t slot) {
  if (slot >= region.layout().geometry.processes) return "";
  const ProcessOwner owner = region.publication().copy(region.process(slot).owner);
  return std::string(owner.name, strnlen(owner.name, nameBytes));
}

Napi::Object sessionState(Napi::Env env, const Region& region, uint64_t epoch, uint32_t client, const ClientClaim& claim) {
  const Publication& p = region.publication();
  const SessionLine::Acknowledged acks = p.copy(region.sessionLine(epoch, client).acknowledged);
  const SessionLine::Pressure pressure = p.copy(region.sessionLine(epoch, client).pressure);
  const bool adopted = acks.generation == claim.generation;
  const int32_t gapBroker = brokerHolding(region, epoch, client, claim.generation, acks.batches);
  auto out = Napi::Object::New(env);
  out.Set("client", number(env, client));
  out.Set("sessionId", number(env, sessionIdOf(region.layout().geometry, client, claim.generation)));
  out.Set("topic", number(env, claim.topic));
  out.Set("topicGeneration", number(env, claim.topicGeneration));
  setPid(out, region.pidOf(claim.process));
  out.Set("process", processName(region, claim.process));
  out.Set("quarantined", Napi::Boolean::New(env, slotState(region, client) == SlotState::quarantined));
  out.Set("ended", Napi::Boolean::New(env, sessionOver(region, client, claim.generation)));
  out.Set("ending", Napi::Boolean::New(env, ending(region, client, claim)));
  out.Set("batches", number(env, adopted ? acks.batches : 0));
  out.Set("messages", number(env, adopted ? acks.messages : 0));
  out.Set("held", number(env, adopted ? pressure.held : 0));
  out.Set("gap", Napi::Boolean::New(env, adopted && pressure.gapSinceNanos != 0));
  out.Set("heldTotal", number(env, adopted ? pressure.heldTotal : 0));
  out.Set("duplicates", number(env, adopted ? pressure.duplicates : 0));
  out.Set("purged", number(env, adopted ? pressure.purged : 0));
  out.Set("gapBroker", Napi::Number::New(env, gapBroker));
  auto lanes = Napi::Array::New(env);
  for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) {
    lanes.Set(b, laneState(env, region, epoch, region.laneOf(b, client), claim.generation));
  }
  out.Set("lanes", lanes);
  return out;
}

// Whether the session was refused: its topic was freed before its adoption, or a newer one has its identity.
bool refused(const Region& region, uint64_t epoch, uint32_t client, uint64_t generation) {
  const SessionLine& line = region.sessionLine(epoch, client);
  const SessionLine::Acknowledged acks = region.publication().copy(line.acknowledged);
  if (acks.endedGeneration != generation) return false;
  if (acks.endReason == endTopicGone) return true;
  return acks.endReason == endFenced && wholeOf(region.publication(), line.adoption).generation != generation;
}

// The line of its identity names a session from ahead of its adoption until behind its end.
Napi::Object identityState(Napi::Env env, const Region& region, uint64_t epoch, const IdentityView& view) {
  const Publication& p = region.publication();
  const Geometry& g = region.layout().geometry;
  auto at = wholeOf(p, region.identityLine(epoch, view.index).standing);
  // A restored identity that no session has had yet has no line: its slot says what was committed before.
  const bool adopted = at.generation == view.generation;
  if (!adopted) at = {};
  uint64_t committed = adopted ? at.base : view.base;
  uint64_t sessionId = 0;
  if (at.client != 0 && at.client <= g.clients) {
    const auto acks = wholeOf(p, region.sessionLine(epoch, at.client - 1).acknowledged);
    const bool known = acks.generation == at.sessionGeneration;
    if (known) committed += acks.messages;
    if (known && acks.endedGeneration != acks.generation) sessionId = sessionIdOf(g, at.client - 1, at.sessionGeneration);
  }
  auto out = Napi::Object::New(env);
  out.Set("name", view.name);
  out.Set("topic", number(env, view.topic.index));
  out.Set("incarnation", number(env, at.incarnation));
  out.Set("committed", number(env, committed));
  out.Set("sessionId", number(env, sessionId));
  return out;
}

}  // namespace

Napi::Object topicObject(Napi::Env env, const TopicView& topic) {
  auto out = Napi::Object::New(env);
  out.Set("index", number(env, topic.index));
  out.Set("generation", number(env, topic.generation));
  out.Set("order", number(env, topic.order));
  out.Set("ack", number(env, topic.ack));
  out.Set("name", topic.name);
  return out;
}

Napi::Object epochObject(Napi::Env env, const EpochProcess& process) {
  auto out = Napi::Object::New(env);
  out.Set("epoch", number(env, process.epoch.number));
  out.Set("state", number(env, static_cast<uint64_t>(process.epoch.state)));
  out.Set("held", Napi::Boolean::New(env, process.held));
  setPid(out, process.pid);
  out.Set("name", process.name);
  return out;
}

Napi::Object cursorObject(Napi::Env env, const CursorView& view) {
  auto out = Napi::Object::New(env);
  out.Set("index", number(env, view.index));
  out.Set("topic", number(env, view.topic.index));
  out.Set("topicGeneration", number(env, view.topic.generation));
  out.Set("name", view.name);
  out.Set("holding", number(env, view.holding));
  out.Set("changes", number(env, view.changes));
  out.Set("position", view.committed ? number(env, view.position) : Napi::Number::New(env, -1));
  out.Set("touchedMillis", number(env, view.touchedMillis));
  out.Set("expiresMillis", number(env, view.expiresMillis));
  out.Set("wantedMicros", number(env, view.wantedMicros));
  out.Set("held", Napi::Boolean::New(env, view.held));
  out.Set("process", view.process);
  setPid(out, view.pid);
  return out;
}

Napi::Object logSnapshot(Napi::Env env, const Region& region) {
  const Publication& p = region.publication();
  const uint64_t epoch = headsOf(region).served.number;
  auto sessions = Napi::Array::New(env);
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    const ClientClaim claim = p.snapshot<&ClientClaim::generation>(region.client(i).claim);
    if (claim.generation == 0 || refused(region, epoch, i, claim.generation)) continue;
    sessions.Set(sessions.Length(), sessionState(env, region, epoch, i, claim));
  }
  auto out = Napi::Object::New(env);
  out.Set("epoch", number(env, epoch));
  out.Set("topics", listOf(env, topicsOf(region), [&](Napi::Env at, const TopicView& view) {
            return topicState(at, region, epoch, view);
          }));
  out.Set("sessions", sessions);
  out.Set("identities", listOf(env, identitiesOf(region), [&](Napi::Env at, const IdentityView& view) {
            return identityState(at, region, epoch, view);
          }));
  out.Set("cursors", listOf(env, cursorsOf(region), cursorObject));
  return out;
}

}  // namespace ringfence::binding
