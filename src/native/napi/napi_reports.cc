// Reports a whole log as numbers: its topics, readers, sessions and lanes.
#include <cstring>

#include "log/claims.h"
#include "napi_log.h"

namespace ringfence::binding {

namespace {

void put(napi_env env, napi_value object, const char* name, uint64_t value) { set(env, object, name, count(env, value)); }

// Of numbers that were read at different moments.
uint64_t since(uint64_t first, uint64_t at) { return at < first ? 0 : at - first; }

napi_value topicState(napi_env env, const Region& region, uint64_t epoch, const TopicView& view) {
  const Publication& p = region.publication();
  const TopicLine::Committed committed = p.copyOut(region.topicLine(epoch, view.index).committed);
  const TopicLine::Retention retention = p.copyOut(region.topicLine(epoch, view.index).retention);
  napi_value out = topicObject(env, view);
  put(env, out, "committedBatches", since(retention.firstEntry, committed.entries));
  put(env, out, "committedMessages", committed.messages);
  put(env, out, "committedBytes", committed.bytes);
  put(env, out, "trimmedBatches", since(retention.firstEntry, retention.trim));
  put(env, out, "trimmedMessages", retention.trimMessages);
  put(env, out, "gatingReader", retention.gatingReader);
  napi_value readers;
  napi_create_array(env, &readers);
  uint32_t n = 0;
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    const ReaderClaim claim = p.copyOut(region.reader(view.index, i).claim);
    const ReaderLine line = p.copyOut(region.reader(view.index, i).line);
    if (claim.generation == 0 || line.attachedGeneration != claim.generation) continue;
    if (line.detachedGeneration == claim.generation) continue;
    if (p.read(region.readerEnd(epoch, view.index, i).endedGeneration) == claim.generation) continue;
    napi_value reader;
    napi_create_object(env, &reader);
    put(env, reader, "reader", i);
    put(env, reader, "cursor", since(retention.firstEntry, line.cursor));
    put(env, reader, "process", claim.process);
    setPid(env, reader, region.pidOf(claim.process));
    set(env, reader, "name", text(env, std::string(claim.name, strnlen(claim.name, nameBytes))));
    napi_set_element(env, readers, n++, reader);
  }
  set(env, out, "readers", readers);
  return out;
}

napi_value laneState(napi_env env, const Region& region, uint64_t epoch, uint64_t at, uint64_t generation) {
  const Publication& p = region.publication();
  const ProducerLine producer = p.copyOut(region.producer(at));
  const LaneLine::Frontiers frontiers = p.copyOut(region.laneLine(epoch, at).frontiers);
  const LaneLine::Counts counts = p.copyOut(region.laneLine(epoch, at).counts);
  const bool begun = producer.generation == generation;
  napi_value out;
  napi_create_object(env, &out);
  put(env, out, "written", begun ? producer.writtenBatches - counts.firstIndex : 0);
  put(env, out, "published", begun ? producer.publishedBatches - counts.firstIndex : 0);
  put(env, out, "scanned", frontiers.scanned - counts.firstIndex);
  put(env, out, "released", frontiers.released);
  put(env, out, "inFlight", (begun ? producer.writtenBatches : frontiers.scanned) - frontiers.released);
  put(env, out, "publishedMessages", begun ? producer.publishedMessages : 0);
  put(env, out, "fullEvents", begun ? producer.fullEvents : 0);
  put(env, out, "held", counts.held);
  put(env, out, "ordered", counts.ordered);
  put(env, out, "orderedMessages", counts.orderedMessages);
  put(env, out, "delivered", counts.delivered);
  put(env, out, "deliveredMessages", counts.deliveredMessages);
  put(env, out, "duplicates", counts.duplicates);
  put(env, out, "purged", counts.purged);
  return out;
}

// The broker whose lane holds the batch written, not yet published; -1 when its client has not written it.
int32_t brokerHolding(const Region& region, uint64_t epoch, uint32_t client, uint64_t generation, uint64_t sequence) {
  const Publication& p = region.publication();
  for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) {
    const uint64_t at = region.laneOf(b, client);
    if (p.observe(region.producer(at).generation) != generation) continue;
    const uint64_t written = p.observe(region.producer(at).writtenBatches);
    const uint64_t scanned = p.observe(region.laneLine(epoch, at).frontiers.scanned);
    if (written - scanned > region.layout().geometry.laneSlots) continue;
    for (uint64_t i = scanned; i < written; i += 1) {
      if (p.read(region.descriptor(at, i).batchSequence) == sequence) return static_cast<int32_t>(b);
    }
  }
  return -1;
}

napi_value sessionState(napi_env env, const Region& region, uint64_t epoch, uint32_t client, const ClientClaim& claim) {
  const Publication& p = region.publication();
  const SessionLine::Acknowledged acks = p.copyOut(region.sessionLine(epoch, client).acknowledged);
  const SessionLine::Pressure pressure = p.copyOut(region.sessionLine(epoch, client).pressure);
  const bool adopted = acks.generation == claim.generation;
  napi_value out;
  napi_create_object(env, &out);
  put(env, out, "client", client);
  put(env, out, "sessionId", sessionIdOf(region.layout().geometry, client, claim.generation));
  put(env, out, "topic", claim.topic);
  put(env, out, "topicGeneration", claim.topicGeneration);
  setPid(env, out, region.pidOf(claim.process));
  set(env, out, "ended", truth(env, sessionOver(region, client, claim.generation)));
  put(env, out, "batches", adopted ? acks.batches : 0);
  put(env, out, "messages", adopted ? acks.messages : 0);
  put(env, out, "held", adopted ? pressure.held : 0);
  set(env, out, "gap", truth(env, adopted && pressure.gapSinceNanos != 0));
  put(env, out, "heldTotal", adopted ? pressure.heldTotal : 0);
  put(env, out, "duplicates", adopted ? pressure.duplicates : 0);
  put(env, out, "purged", adopted ? pressure.purged : 0);
  set(env, out, "gapBroker", number(env, brokerHolding(region, epoch, client, claim.generation, acks.batches)));
  napi_value lanes;
  napi_create_array(env, &lanes);
  for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) {
    napi_set_element(env, lanes, b, laneState(env, region, epoch, region.laneOf(b, client), claim.generation));
  }
  set(env, out, "lanes", lanes);
  return out;
}

// It never was a session: its topic was freed first.
bool refused(const Region& region, uint64_t epoch, uint32_t client, uint64_t generation) {
  const SessionLine::Acknowledged acks = region.publication().copyOut(region.sessionLine(epoch, client).acknowledged);
  return acks.endedGeneration == generation && acks.endReason == endTopicGone;
}

napi_value snapshot(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  const Region& region = *handle->region();
  const Publication& p = region.publication();
  const uint64_t epoch = p.observe(region.header().control.epoch);
  napi_value out;
  napi_create_object(env, &out);
  put(env, out, "epoch", epoch);
  napi_value topicList;
  napi_create_array(env, &topicList);
  uint32_t listed = 0;
  for (const TopicView& view : topicsOf(region)) {
    napi_set_element(env, topicList, listed++, topicState(env, region, epoch, view));
  }
  set(env, out, "topics", topicList);
  napi_value sessions;
  napi_create_array(env, &sessions);
  uint32_t n = 0;
  for (uint32_t i = 0; i < region.layout().geometry.clients; i += 1) {
    const ClientClaim claim = p.copyOut(region.client(i).claim);
    if (claim.generation == 0 || refused(region, epoch, i, claim.generation)) continue;
    napi_set_element(env, sessions, n++, sessionState(env, region, epoch, i, claim));
  }
  set(env, out, "sessions", sessions);
  return out;
}

}  // namespace

void registerReports(napi_env env, napi_value exports) {
  method(env, exports, "snapshot", snapshot);
}

}  // namespace ringfence::binding
