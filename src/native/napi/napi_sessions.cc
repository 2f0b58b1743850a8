// Opens the lanes of a session, and publishes its batches in them.
#include "log/lane_writer.h"
#include "napi_log.h"

namespace ringfence::binding {

template <>
const napi_type_tag* tagOf<LaneWriter>() {
  static const napi_type_tag tag = {0x2c7d8e9fa0b1c2d3, 0x1e2f3a4b5c6d7e8f};
  return &tag;
}

namespace {

constexpr uint32_t frontierFields = 11;

bool brokerValid(const Arguments& arguments, const LaneWriter& writer, uint32_t broker) {
  if (broker < writer.region().layout().geometry.brokers) return true;
  throwFault(arguments.env, Status::failed("invalid", "there is no such broker"));
  return false;
}

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

}  // namespace

void registerSessions(napi_env env, napi_value exports) {
  method(env, exports, "openLanes", openLanes);
  method(env, exports, "sessionsEnding", endingSessions);
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
}

}  // namespace ringfence::binding
