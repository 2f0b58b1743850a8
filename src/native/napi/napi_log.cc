#include <cstring>

#include "log/index_reader.h"
#include "log/lane_writer.h"
#include "napi_support.h"

namespace ringfence::binding {

template <>
const napi_type_tag* tagOf<LaneWriter>() {
  static const napi_type_tag tag = {0x2c7d8e9fa0b1c2d3, 0x1e2f3a4b5c6d7e8f};
  return &tag;
}

template <>
const napi_type_tag* tagOf<IndexReader>() {
  static const napi_type_tag tag = {0x3d8e9fa0b1c2d3e4, 0x2f3a4b5c6d7e8f90};
  return &tag;
}

namespace {

constexpr uint32_t batchFields = 12;
constexpr uint32_t batchesAtOnce = 256;
constexpr uint32_t frontierFields = 11;

bool brokerValid(const Arguments& arguments, const LaneWriter& writer, uint32_t broker) {
  if (broker < writer.region().layout().geometry.brokers) return true;
  throwFault(arguments.env, Status::failed("invalid", "there is no such broker"));
  return false;
}

napi_value topicObject(napi_env env, const TopicView& topic) {
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "index", count(env, topic.index));
  set(env, out, "generation", count(env, topic.generation));
  set(env, out, "order", count(env, topic.order));
  set(env, out, "ack", count(env, topic.ack));
  set(env, out, "name", text(env, topic.name));
  return out;
}

// --- topics ---

napi_value topics(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const TopicView& topic : topicsOf(*handle->region())) napi_set_element(env, out, i++, topicObject(env, topic));
  return out;
}

// declareTopic(region, name, order, ack, wished): the topic, or nothing while the sequencer was asked for its place and
// has not answered: then once more, with `wished`
napi_value declare(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  TopicView topic;
  TopicWish wish{arguments.boolean(4)};
  const Status status =
      declareTopic(*handle->region(), arguments.text(1), arguments.word(2), arguments.word(3), topic, &wish);
  if (status.ok()) return topicObject(env, topic);
  return std::strcmp(status.fault, "wished") == 0 ? nothing(env) : throwFault(env, status);
}

// Of the two arguments from `at` on. False, with an error, where the region has no such place.
bool placeAt(const Arguments& arguments, const Region& region, size_t at, TopicPlace& place) {
  place = {arguments.word(at), arguments.natural(at + 1)};
  if (place.index < region.layout().geometry.topics) return true;
  throwFault(arguments.env, Status::failed("invalid", "there is no such topic"));
  return false;
}

// --- a session's lanes ---

napi_value openLanes(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  TopicPlace topic{};
  if (!placeAt(arguments, *handle->region(), 1, topic)) return nothing(env);
  Claim claim;
  const Status status = claimClient(*handle->region(), topic, ~uint64_t{0}, claim);
  if (!status.ok()) return throwFault(env, status);
  return own(env, new LaneWriter(handle->region(), claim));
}

// sessionsEnding(region): slots that come free as soon as the sequencer looks
napi_value endingSessions(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  return handle == nullptr ? nothing(env) : count(env, sessionsEnding(*handle->region()));
}

// readersEnding(region, topic): slots of the topic's readers that come free as soon as the sequencer looks
napi_value endingReaders(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || arguments.word(1) >= handle->region()->layout().geometry.topics) return nothing(env);
  return count(env, readersEnding(*handle->region(), arguments.word(1)));
}

napi_value lanesInfo(napi_env env, napi_callback_info info) {
  const auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  if (writer == nullptr) return nothing(env);
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "sessionId", count(env, writer->claim().clientId));
  set(env, out, "slot", count(env, writer->claim().slot));
  set(env, out, "generation", count(env, writer->claim().generation));
  return out;
}

napi_value lanesReady(napi_env env, napi_callback_info info) {
  auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : truth(env, writer->ready());
}

napi_value laneBegin(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<LaneWriter>(arguments, 0);
  if (writer == nullptr || !brokerValid(arguments, *writer, arguments.word(1))) return nothing(env);
  return number(env, static_cast<double>(writer->begin(arguments.word(1), arguments.natural(2))));
}

// laneSeal(lanes, broker, sequence, firstMessage, messages, payloadBytes, uniformBytes, lengths)
napi_value laneSeal(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<LaneWriter>(arguments, 0);
  if (writer == nullptr || !brokerValid(arguments, *writer, arguments.word(1))) return nothing(env);
  size_t elements = 0;
  const auto* lengths = arguments.array<uint32_t>(7, elements);
  const BatchToSeal batch{arguments.natural(2), arguments.natural(3), arguments.word(4),
                          arguments.word(5),    arguments.word(6),    lengths};
  if (batch.uniformBytes == 0 && (lengths == nullptr || elements < batch.messages)) return truth(env, false);
  return truth(env, writer->seal(arguments.word(1), batch));
}

napi_value lanePublish(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<LaneWriter>(arguments, 0);
  if (writer == nullptr || !brokerValid(arguments, *writer, arguments.word(1))) return nothing(env);
  writer->publish(arguments.word(1));
  return nothing(env);
}

napi_value laneInFlight(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<LaneWriter>(arguments, 0);
  if (writer == nullptr || !brokerValid(arguments, *writer, arguments.word(1))) return nothing(env);
  return count(env, writer->inFlight(arguments.word(1)));
}

napi_value laneCommittedBatches(napi_env env, napi_callback_info info) {
  const auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, writer->committedBatches());
}

napi_value laneCommittedMessages(napi_env env, napi_callback_info info) {
  const auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, writer->committedMessages());
}

napi_value laneEndReason(napi_env env, napi_callback_info info) {
  const auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, writer->endReason());
}

napi_value laneFullEvents(napi_env env, napi_callback_info info) {
  const auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, writer->fullEvents());
}

napi_value laneHeld(napi_env env, napi_callback_info info) {
  const auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, writer->held());
}

napi_value laneBrokerHolding(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* writer = owned<LaneWriter>(arguments, 0);
  return writer == nullptr ? nothing(env) : number(env, writer->brokerHolding(arguments.natural(1)));
}

// laneFrontiers(lanes, broker, out: Float64Array)
napi_value laneFrontiers(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* writer = owned<LaneWriter>(arguments, 0);
  if (writer == nullptr || !brokerValid(arguments, *writer, arguments.word(1))) return nothing(env);
  size_t elements = 0;
  auto* out = arguments.array<double>(2, elements);
  if (out == nullptr || elements < frontierFields) return nothing(env);
  const LaneFrontiers at = writer->frontiers(arguments.word(1));
  const uint64_t fields[frontierFields] = {at.written,         at.published, at.scanned,          at.released,
                                           at.held,            at.ordered,   at.orderedMessages,  at.delivered,
                                           at.deliveredMessages, at.duplicates, at.purged};
  for (uint32_t i = 0; i < frontierFields; i += 1) out[i] = static_cast<double>(fields[i]);
  return nothing(env);
}

napi_value lanesWantRoom(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<LaneWriter>(arguments, 0);
  if (writer != nullptr) writer->wantRoom(arguments.boolean(1));
  return nothing(env);
}

napi_value closeLanes(napi_env env, napi_callback_info info) {
  auto* writer = owned<LaneWriter>(Arguments(env, info), 0);
  if (writer != nullptr) writer->close();
  return nothing(env);
}

// --- a reader of the index ---

napi_value openReader(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  TopicPlace topic{};
  if (!placeAt(arguments, *handle->region(), 1, topic)) return nothing(env);
  Claim claim;
  Status status = claimReader(*handle->region(), topic, arguments.text(3), claim);
  if (!status.ok()) return throwFault(env, status);
  // It waits for nothing: the event loop is this thread's. The caller looks again.
  auto reader = std::make_unique<IndexReader>(handle->region(), topic.index, claim, 0);
  status = reader->attach(static_cast<From>(arguments.word(4)), arguments.natural(5));
  return status.ok() ? own(env, reader.release()) : throwFault(env, status);
}

// readerPoll(reader, out: Float64Array, max): number of batches, -1 when the index is damaged
napi_value readerPoll(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* reader = owned<IndexReader>(arguments, 0);
  if (reader == nullptr) return nothing(env);
  size_t elements = 0;
  auto* out = arguments.array<double>(1, elements);
  uint32_t max = arguments.word(2);
  if (max > batchesAtOnce) max = batchesAtOnce;
  if (out == nullptr || elements < size_t{max} * batchFields) max = static_cast<uint32_t>(elements / batchFields);
  BatchView views[batchesAtOnce];
  const int32_t filled = reader->poll(views, max);
  for (int32_t i = 0; i < filled; i += 1) {
    const BatchView& view = views[i];
    double* fields = out + size_t(i) * batchFields;
    fields[0] = static_cast<double>(view.index);
    fields[1] = static_cast<double>(view.position);
    fields[2] = view.messages;
    fields[3] = static_cast<double>(view.sessionId);
    fields[4] = static_cast<double>(view.batchSequence);
    fields[5] = static_cast<double>(view.firstMessage);
    fields[6] = view.lane;
    fields[7] = view.uniformBytes;
    fields[8] = static_cast<double>(view.payloadOffset);
    fields[9] = view.payloadBytes;
    fields[10] = static_cast<double>(view.publishedNanos / 1000) / 1000.0;
    fields[11] = static_cast<double>(view.orderedNanos / 1000) / 1000.0;
  }
  return number(env, filled);
}

napi_value readerRelease(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* reader = owned<IndexReader>(arguments, 0);
  if (reader != nullptr) reader->release(arguments.natural(1));
  return nothing(env);
}

napi_value readerNext(napi_env env, napi_callback_info info) {
  const auto* reader = owned<IndexReader>(Arguments(env, info), 0);
  return reader == nullptr ? nothing(env) : count(env, reader->next());
}

napi_value readerCommitted(napi_env env, napi_callback_info info) {
  const auto* reader = owned<IndexReader>(Arguments(env, info), 0);
  return reader == nullptr ? nothing(env) : count(env, reader->committed());
}

napi_value readerCommittedMessages(napi_env env, napi_callback_info info) {
  const auto* reader = owned<IndexReader>(Arguments(env, info), 0);
  return reader == nullptr ? nothing(env) : count(env, reader->committedMessages());
}

napi_value closeReader(napi_env env, napi_callback_info info) {
  auto* reader = owned<IndexReader>(Arguments(env, info), 0);
  if (reader != nullptr) reader->detach();
  return nothing(env);
}

// --- the sequencer and the brokers of this process ---

Sequencer* sequencerOf(const Arguments& arguments) {
  auto* handle = regionHandle(arguments, 0);
  if (handle == nullptr) return nullptr;
  if (handle->sequencer != nullptr) return handle->sequencer.get();
  throwFault(arguments.env, Status::failed("notServing", "no sequencer runs here"));
  return nullptr;
}

napi_value startSequencer(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  if (handle->sequencer != nullptr) return throwFault(env, Status::failed("busy", "its sequencer runs here already"));
  SequencerOptions options;
  options.epochMicros = arguments.natural(1);
  options.manual = arguments.boolean(2);
  options.ignoreSessionOrder = arguments.boolean(3);
  handle->sequencer = std::make_unique<Sequencer>(handle->region(), options);
  const Status status = handle->sequencer->start();
  if (status.ok()) return nothing(env);
  handle->sequencer.reset();
  return throwFault(env, status);
}

napi_value stepSequencer(napi_env env, napi_callback_info info) {
  Sequencer* sequencer = sequencerOf(Arguments(env, info));
  return sequencer == nullptr ? nothing(env) : truth(env, sequencer->step());
}

// keepTopic(region, topic, topicGeneration): false when it was freed
napi_value keepTopic(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Sequencer* sequencer = sequencerOf(arguments);
  return sequencer == nullptr ? nothing(env)
                              : truth(env, sequencer->keepTopic({arguments.word(1), arguments.natural(2)}));
}

napi_value pauseSequencer(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Sequencer* sequencer = sequencerOf(arguments);
  if (sequencer == nullptr) return nothing(env);
  if (arguments.boolean(1)) {
    sequencer->pause();
  } else {
    sequencer->resume();
  }
  return nothing(env);
}

napi_value stopSequencer(napi_env env, napi_callback_info info) {
  Sequencer* sequencer = sequencerOf(Arguments(env, info));
  if (sequencer != nullptr) sequencer->stop();
  return nothing(env);
}

napi_value sequencerCounters(napi_env env, napi_callback_info info) {
  Sequencer* sequencer = sequencerOf(Arguments(env, info));
  if (sequencer == nullptr) return nothing(env);
  const SequencerCounters at = sequencer->counters();
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "epoch", count(env, at.epoch));
  set(env, out, "passes", count(env, at.passes));
  set(env, out, "commits", count(env, at.commits));
  set(env, out, "batches", count(env, at.batches));
  set(env, out, "messages", count(env, at.messages));
  set(env, out, "duplicates", count(env, at.duplicates));
  set(env, out, "purged", count(env, at.purged));
  set(env, out, "held", count(env, at.held));
  set(env, out, "paused", truth(env, at.paused));
  set(env, out, "stopped", truth(env, at.stopped));
  return out;
}

napi_value sequencerSessions(napi_env env, napi_callback_info info) {
  Sequencer* sequencer = sequencerOf(Arguments(env, info));
  if (sequencer == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const SessionReport& report : sequencer->sessions()) {
    napi_value session;
    napi_create_object(env, &session);
    set(env, session, "client", count(env, report.client));
    set(env, session, "generation", count(env, report.generation));
    set(env, session, "sessionId", count(env, report.sessionId));
    set(env, session, "topic", text(env, report.topic));
    setPid(env, session, report.pid);
    set(env, session, "endReason", count(env, report.endReason));
    set(env, session, "ended", truth(env, report.ended));
    set(env, session, "batches", count(env, report.batches));
    set(env, session, "messages", count(env, report.messages));
    set(env, session, "held", count(env, report.held));
    set(env, session, "purged", count(env, report.purged));
    set(env, session, "gapSinceNanos", count(env, report.gapSinceNanos));
    napi_set_element(env, out, i++, session);
  }
  return out;
}

napi_value sequencerGates(napi_env env, napi_callback_info info) {
  Sequencer* sequencer = sequencerOf(Arguments(env, info));
  if (sequencer == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const GateReport& report : sequencer->gates()) {
    napi_value gate;
    napi_create_object(env, &gate);
    set(env, gate, "topic", text(env, report.topic));
    set(env, gate, "reader", count(env, report.reader));
    setPid(env, gate, report.pid);
    set(env, gate, "name", text(env, report.name));
    set(env, gate, "behind", count(env, report.behind));
    set(env, gate, "sinceNanos", count(env, report.sinceNanos));
    napi_set_element(env, out, i++, gate);
  }
  return out;
}

napi_value endDead(napi_env env, napi_callback_info info) {
  Sequencer* sequencer = sequencerOf(Arguments(env, info));
  if (sequencer == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const Sequencer::DeadReader& dead : sequencer->endDead()) {
    napi_value reader;
    napi_create_object(env, &reader);
    set(env, reader, "topic", text(env, dead.topic));
    set(env, reader, "reader", count(env, dead.reader));
    setPid(env, reader, dead.pid);
    set(env, reader, "name", text(env, dead.name));
    napi_set_element(env, out, i++, reader);
  }
  return out;
}

napi_value grant(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || arguments.word(1) >= handle->region()->layout().geometry.brokers) return nothing(env);
  return count(env, grantLanes(*handle->region(), arguments.word(1)));
}

// --- the whole log, as numbers ---

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

void registerLog(napi_env env, napi_value exports) {
  method(env, exports, "topics", topics);
  method(env, exports, "declareTopic", declare);
  method(env, exports, "openLanes", openLanes);
  method(env, exports, "sessionsEnding", endingSessions);
  method(env, exports, "readersEnding", endingReaders);
  method(env, exports, "lanesInfo", lanesInfo);
  method(env, exports, "lanesReady", lanesReady);
  method(env, exports, "laneBegin", laneBegin);
  method(env, exports, "laneSeal", laneSeal);
  method(env, exports, "lanePublish", lanePublish);
  method(env, exports, "laneInFlight", laneInFlight);
  method(env, exports, "laneCommittedBatches", laneCommittedBatches);
  method(env, exports, "laneCommittedMessages", laneCommittedMessages);
  method(env, exports, "laneEndReason", laneEndReason);
  method(env, exports, "laneFullEvents", laneFullEvents);
  method(env, exports, "laneHeld", laneHeld);
  method(env, exports, "laneBrokerHolding", laneBrokerHolding);
  method(env, exports, "laneFrontiers", laneFrontiers);
  method(env, exports, "lanesWantRoom", lanesWantRoom);
  method(env, exports, "closeLanes", closeLanes);
  method(env, exports, "openReader", openReader);
  method(env, exports, "readerPoll", readerPoll);
  method(env, exports, "readerRelease", readerRelease);
  method(env, exports, "readerNext", readerNext);
  method(env, exports, "readerCommitted", readerCommitted);
  method(env, exports, "readerCommittedMessages", readerCommittedMessages);
  method(env, exports, "closeReader", closeReader);
  method(env, exports, "startSequencer", startSequencer);
  method(env, exports, "keepTopic", keepTopic);
  method(env, exports, "stepSequencer", stepSequencer);
  method(env, exports, "pauseSequencer", pauseSequencer);
  method(env, exports, "stopSequencer", stopSequencer);
  method(env, exports, "sequencerCounters", sequencerCounters);
  method(env, exports, "sequencerSessions", sequencerSessions);
  method(env, exports, "sequencerGates", sequencerGates);
  method(env, exports, "endDead", endDead);
  method(env, exports, "grantLanes", grant);
  method(env, exports, "snapshot", snapshot);
}

}  // namespace ringfence::binding
