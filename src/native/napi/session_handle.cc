#include "session_handle.h"

#include <cstring>

#include "constructors.h"
#include "fault.h"
#include "hot_method.h"
#include "values.h"

namespace ringfence::binding {

namespace {

constexpr uint32_t frontierFields = 11;

// False, with a pending `invalid` fault, when the region has no such broker.
bool valid(Napi::Env env, const LaneWriter& lanes, uint32_t broker) {
  if (broker < lanes.region().layout().geometry.brokers) return true;
  throwFault(env, Status::failed("invalid", "there is no such broker"));
  return false;
}

// seal(broker, batchSequence, firstMessage, messages, payloadBytes, uniformBytes, lengths: Uint32Array)
napi_value seal(LaneWriter& lanes, napi_env env, const napi_value* arguments) {
  const uint32_t broker = word(env, arguments[0]);
  if (!valid(env, lanes, broker)) return nullptr;
  size_t elements = 0;
  const auto* lengths = hotArray<uint32_t>(env, arguments[6], elements);
  const BatchToSeal batch{natural(env, arguments[1]), natural(env, arguments[2]), word(env, arguments[3]),
                          word(env, arguments[4]),    word(env, arguments[5]),    lengths};
  const bool known = batch.uniformBytes != 0 || (lengths != nullptr && elements >= batch.messages);
  return Napi::Boolean::New(env, known && lanes.seal(broker, batch));
}

}  // namespace

Napi::Function SessionHandle::define(Napi::Env env) {
  return DefineClass(env, "Session",
                     {InstanceMethod<&SessionHandle::info>("info"),
                      InstanceMethod<&SessionHandle::ready>("ready"),
                      InstanceMethod<&SessionHandle::identity>("identity"),
                      InstanceMethod<&SessionHandle::begin>("begin"),
                      InstanceMethod<&SessionHandle::publish>("publish"),
                      InstanceMethod<&SessionHandle::inFlight>("inFlight"),
                      InstanceMethod<&SessionHandle::committedBatches>("committedBatches"),
                      InstanceMethod<&SessionHandle::committedMessages>("committedMessages"),
                      InstanceMethod<&SessionHandle::commitPoint>("commitPoint"),
                      InstanceMethod<&SessionHandle::durableEntries>("durableEntries"),
                      InstanceMethod<&SessionHandle::endReason>("endReason"),
                      InstanceMethod<&SessionHandle::fullEvents>("fullEvents"),
                      InstanceMethod<&SessionHandle::held>("held"),
                      InstanceMethod<&SessionHandle::brokerHolding>("brokerHolding"),
                      InstanceMethod<&SessionHandle::uncommitted>("uncommitted"),
                      InstanceMethod<&SessionHandle::frontiers>("frontiers"),
                      InstanceMethod<&SessionHandle::wantRoom>("wantRoom"),
                      InstanceMethod<&SessionHandle::close>("close")});
}

Napi::Value SessionHandle::make(Napi::Env env, std::unique_ptr<LaneWriter> lanes) {
  return HandedOver<std::unique_ptr<LaneWriter>>::make(constructorsOf(env).session, lanes);
}

SessionHandle::SessionHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto* lanes = HandedOver<std::unique_ptr<LaneWriter>>::of(info);
  if (lanes == nullptr) return;
  lanes_ = std::move(*lanes);
  setHotMethod<LaneWriter, 7, &seal>(info.This().As<Napi::Object>(), "seal", lanes_);
}

bool SessionHandle::brokerValid(Napi::Env env, uint32_t broker) const { return valid(env, *lanes_, broker); }

Napi::Value SessionHandle::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto out = Napi::Object::New(env);
  out.Set("sessionId", number(env, lanes_->claim().clientId));
  out.Set("slot", number(env, lanes_->claim().slot));
  out.Set("generation", number(env, lanes_->claim().generation));
  out.Set("ordered", Napi::Boolean::New(env, !lanes_->claim().unordered));
  out.Set("durable", Napi::Boolean::New(env, lanes_->claim().durable));
  return out;
}

Napi::Value SessionHandle::ready(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), lanes_->ready());
}

// identity(): once it is ready; zeros without an identity
Napi::Value SessionHandle::identity(const Napi::CallbackInfo& info) {
  const Incarnation at = lanes_->incarnation();
  auto out = Napi::Object::New(info.Env());
  out.Set("incarnation", number(info.Env(), at.number));
  out.Set("base", number(info.Env(), at.base));
  return out;
}

// --- batches -----------------------------------------------------------------------------------------------------

// begin(broker, batchSequence): offset in the lane's buffer, -1 when the lane is full
Napi::Value SessionHandle::begin(const Napi::CallbackInfo& info) {
  const uint32_t broker = word(info[0]);
  if (!brokerValid(info.Env(), broker)) return {};
  return Napi::Number::New(info.Env(), static_cast<double>(lanes_->begin(broker, natural(info[1]))));
}

void SessionHandle::publish(const Napi::CallbackInfo& info) {
  const uint32_t broker = word(info[0]);
  if (brokerValid(info.Env(), broker)) lanes_->publish(broker);
}

void SessionHandle::wantRoom(const Napi::CallbackInfo& info) {
  lanes_->wantRoom();
}

void SessionHandle::close(const Napi::CallbackInfo&) { lanes_->close(); }

// --- outcomes ----------------------------------------------------------------------------------------------------

Napi::Value SessionHandle::inFlight(const Napi::CallbackInfo& info) {
  const uint32_t broker = word(info[0]);
  return brokerValid(info.Env(), broker) ? number(info.Env(), lanes_->inFlight(broker)) : Napi::Value();
}

Napi::Value SessionHandle::committedBatches(const Napi::CallbackInfo& info) {
  return number(info.Env(), lanes_->committedBatches());
}

Napi::Value SessionHandle::committedMessages(const Napi::CallbackInfo& info) {
  return number(info.Env(), lanes_->committedMessages());
}

// commitPoint(), durableEntries(): -1 while it is not known
Napi::Value SessionHandle::commitPoint(const Napi::CallbackInfo& info) { return optional(info.Env(), lanes_->commitPoint()); }

Napi::Value SessionHandle::durableEntries(const Napi::CallbackInfo& info) {
  return optional(info.Env(), lanes_->durableEntries());
}

// endReason(): an EndReason
Napi::Value SessionHandle::endReason(const Napi::CallbackInfo& info) { return number(info.Env(), lanes_->endReason()); }

Napi::Value SessionHandle::fullEvents(const Napi::CallbackInfo& info) { return number(info.Env(), lanes_->fullEvents()); }

Napi::Value SessionHandle::held(const Napi::CallbackInfo& info) { return number(info.Env(), lanes_->held()); }

// brokerHolding(batchSequence): -1 when no lane holds that batch unpublished
Napi::Value SessionHandle::brokerHolding(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lanes_->brokerHolding(natural(info[0])));
}

// uncommitted(): once it has ended, before close
Napi::Value SessionHandle::uncommitted(const Napi::CallbackInfo& info) {
  return listOf(info.Env(), lanes_->uncommitted(), [](Napi::Env env, const UncommittedBatch& batch) {
    auto payload = Napi::Uint8Array::New(env, batch.payload.size());
    if (!batch.payload.empty()) std::memcpy(payload.Data(), batch.payload.data(), batch.payload.size());
    auto lengths = Napi::Uint32Array::New(env, batch.lengths.size());
    if (!batch.lengths.empty()) std::memcpy(lengths.Data(), batch.lengths.data(), batch.lengths.size() * sizeof(uint32_t));
    auto out = Napi::Object::New(env);
    out.Set("batchSequence", number(env, batch.sequence));
    out.Set("firstMessage", number(env, batch.firstMessage));
    out.Set("messages", number(env, batch.messages));
    out.Set("payload", payload);
    out.Set("uniformBytes", number(env, batch.uniformBytes));
    out.Set("lengths", lengths);
    return out;
  });
}

// frontiers(broker, out: Float64Array): writes 11 numbers
void SessionHandle::frontiers(const Napi::CallbackInfo& info) {
  const uint32_t broker = word(info[0]);
  if (!brokerValid(info.Env(), broker)) return;
  auto out = info[1].As<Napi::Float64Array>();
  if (out.ElementLength() < frontierFields) return;
  const LaneFrontiers at = lanes_->frontiers(broker);
  const uint64_t fields[frontierFields] = {at.written,           at.published,  at.scanned,         at.released,
                                           at.held,              at.ordered,    at.orderedMessages, at.delivered,
                                           at.deliveredMessages, at.duplicates, at.purged};
  for (uint32_t i = 0; i < frontierFields; i += 1) out[i] = static_cast<double>(fields[i]);
}

}  // namespace ringfence::binding
