// Runs the sequencer and the brokers of this process.
#include "napi_log.h"

namespace ringfence::binding {

namespace {

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

}  // namespace

void registerSequencer(napi_env env, napi_value exports) {
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
}

}  // namespace ringfence::binding
