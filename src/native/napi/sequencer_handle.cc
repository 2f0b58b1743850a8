#include "sequencer_handle.h"

#include "constructors.h"
#include "log_snapshot.h"
#include "region/server.h"
#include "values.h"

namespace ringfence::binding {

Napi::Function SequencerHandle::define(Napi::Env env) {
  return DefineClass(env, "Sequencer",
                     {InstanceMethod<&SequencerHandle::step>("step"),
                      InstanceMethod<&SequencerHandle::pause>("pause"),
                      InstanceMethod<&SequencerHandle::resume>("resume"),
                      InstanceMethod<&SequencerHandle::stop>("stop"),
                      InstanceMethod<&SequencerHandle::recovery>("recovery"),
                      InstanceMethod<&SequencerHandle::deposed>("deposed"),
                      InstanceMethod<&SequencerHandle::counters>("counters"),
                      InstanceMethod<&SequencerHandle::sessions>("sessions"),
                      InstanceMethod<&SequencerHandle::gates>("gates"),
                      InstanceMethod<&SequencerHandle::endDead>("endDead")});
}

Napi::Value SequencerHandle::make(Napi::Env env, std::shared_ptr<Region> region, std::shared_ptr<Sequencer> sequencer) {
  Parts parts{std::move(region), std::move(sequencer)};
  return HandedOver<Parts>::make(constructorsOf(env).sequencer, parts);
}

SequencerHandle::SequencerHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (auto* parts = HandedOver<Parts>::of(info)) {
    region_ = std::move(parts->region);
    sequencer_ = std::move(parts->sequencer);
  }
}

Napi::Value SequencerHandle::step(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), sequencer_->step());
}

void SequencerHandle::pause(const Napi::CallbackInfo&) { sequencer_->pause(); }

void SequencerHandle::resume(const Napi::CallbackInfo&) { sequencer_->resume(); }

// stop(keep)
void SequencerHandle::stop(const Napi::CallbackInfo& info) { sequencer_->stop(info[0].IsBoolean() && info[0].As<Napi::Boolean>()); }

Napi::Value SequencerHandle::recovery(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const RecoveryReport found = sequencer_->recovery();
  auto out = Napi::Object::New(env);
  out.Set("epoch", number(env, found.epoch));
  setPid(out, found.pid);
  out.Set("name", found.name);
  out.Set("batches", number(env, found.batches));
  out.Set("messages", number(env, found.messages));
  out.Set("sessions", number(env, found.sessions));
  out.Set("micros", number(env, found.micros));
  return out;
}

// The epoch that has replaced this one, or undefined.
Napi::Value SequencerHandle::deposed(const Napi::CallbackInfo& info) {
  const uint64_t by = sequencer_->deposedBy();
  return by == 0 ? Napi::Value() : epochObject(info.Env(), processOf(*region_, by % region_->layout().geometry.epochBlocks));
}

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
  out.Set("deposed", Napi::Boolean::New(env, at.deposed));
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
