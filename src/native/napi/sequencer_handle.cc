#include "sequencer_handle.h"

#include "constructors.h"
#include "values.h"

namespace ringfence::binding {

Napi::Function SequencerHandle::define(Napi::Env env) {
  return DefineClass(env, "Sequencer",
                     {InstanceMethod<&SequencerHandle::step>("step"),
                      InstanceMethod<&SequencerHandle::pause>("pause"),
                      InstanceMethod<&SequencerHandle::resume>("resume"),
                      InstanceMethod<&SequencerHandle::stop>("stop"),
                      InstanceMethod<&SequencerHandle::counters>("counters"),
                      InstanceMethod<&SequencerHandle::sessions>("sessions"),
                      InstanceMethod<&SequencerHandle::gates>("gates"),
                      InstanceMethod<&SequencerHandle::endDead>("endDead")});
}

Napi::Value SequencerHandle::make(Napi::Env env, std::shared_ptr<Sequencer> sequencer) {
  return HandedOver<std::shared_ptr<Sequencer>>::make(constructorsOf(env).sequencer, sequencer);
}

SequencerHandle::SequencerHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (auto* sequencer = HandedOver<std::shared_ptr<Sequencer>>::of(info)) sequencer_ = std::move(*sequencer);
}

Napi::Value SequencerHandle::step(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), sequencer_->step());
}

void SequencerHandle::pause(const Napi::CallbackInfo&) { sequencer_->pause(); }

void SequencerHandle::resume(const Napi::CallbackInfo&) { sequencer_->resume(); }

void SequencerHandle::stop(const Napi::CallbackInfo&) { sequencer_->stop(); }

Napi::Value SequencerHandle::counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SequencerCounters at = sequencer_->counters();
  auto out = Napi::Object::New(env);
  out.Set("epoch", number(env, at.epoch));
  out.Set("passes", number(env, at.passes));
  out.Set("commits", number(env, at.commits));
  out.Set("batches", number(env, at.batches));
  out.Set("messages", number(env, at.messages));
  out.Set("duplicates", number(env, at.duplicates));
  out.Set("purged", number(env, at.purged));
  out.Set("held", number(env, at.held));
  out.Set("paused", Napi::Boolean::New(env, at.paused));
  out.Set("stopped", Napi::Boolean::New(env, at.stopped));
  return out;
}

Napi::Value SequencerHandle::sessions(const Napi::CallbackInfo& info) {
  return listOf(info.Env(), sequencer_->sessions(), [](Napi::Env env, const SessionReport& report) {
    auto session = Napi::Object::New(env);
    session.Set("client", number(env, report.client));
    session.Set("generation", number(env, report.generation));
    session.Set("sessionId", number(env, report.sessionId));
    session.Set("topic", report.topic);
    session.Set("order", number(env, report.order));
    setPid(session, report.pid);
    session.Set("endReason", number(env, report.endReason));
    session.Set("ended", Napi::Boolean::New(env, report.ended));
    session.Set("batches", number(env, report.batches));
    session.Set("messages", number(env, report.messages));
    session.Set("held", number(env, report.held));
    session.Set("purged", number(env, report.purged));
    session.Set("gapSinceNanos", number(env, report.gapSinceNanos));
    return session;
  });
}

Napi::Value SequencerHandle::gates(const Napi::CallbackInfo& info) {
  return listOf(info.Env(), sequencer_->gates(), [](Napi::Env env, const GateReport& report) {
    auto gate = Napi::Object::New(env);
    gate.Set("topic", report.topic);
    gate.Set("reader", number(env, report.reader));
    setPid(gate, report.pid);
    gate.Set("name", report.name);
    gate.Set("behind", number(env, report.behind));
    gate.Set("sinceNanos", number(env, report.sinceNanos));
    return gate;
  });
}

Napi::Value SequencerHandle::endDead(const Napi::CallbackInfo& info) {
  return listOf(info.Env(), sequencer_->endDead(), [](Napi::Env env, const DeadReader& dead) {
    auto reader = Napi::Object::New(env);
    reader.Set("topic", dead.topic);
    reader.Set("reader", number(env, dead.reader));
    setPid(reader, dead.pid);
    reader.Set("name", dead.name);
    return reader;
  });
}

}  // namespace ringfence::binding
