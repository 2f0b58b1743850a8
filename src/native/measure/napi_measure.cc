// The measuring addon for bench/, which the package does not contain: the machine's limits and bare round trips.
#include <napi.h>

#include <algorithm>
#include <cmath>

#include "machine.h"
#include "napi/fault.h"
#include "napi/task.h"
#include "napi/values.h"
#include "pass_cost.h"
#include "publish_cost.h"
#include "round_trips.h"
#include "verb_cost.h"

namespace ringfence::binding {

namespace {

// foldInto(bytes, words: Uint32Array): adds the fold to the 64-bit number in two words, low first.
void foldInto(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  auto sum = info[1].As<Napi::Uint32Array>();
  if (sum.ElementLength() < 2) return;
  const uint64_t before = (uint64_t{sum[1]} << 32) | sum[0];
  const uint64_t after = before + foldBytes(bytes.Data(), bytes.ByteLength());
  sum[0] = static_cast<uint32_t>(after);
  sum[1] = static_cast<uint32_t>(after >> 32);
}

// foldFrames(bytes, first, words: Uint32Array): adds the fold of the payloads, and returns the number of frames that are
// in order, -1 when one is not
Napi::Value foldFramesInto(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  auto sum = info[2].As<Napi::Uint32Array>();
  if (sum.ElementLength() < 2) return {};
  const FramesFold found = foldFrames(bytes.Data(), bytes.ByteLength(), word(info[1]));
  const uint64_t after = ((uint64_t{sum[1]} << 32) | sum[0]) + found.sum;
  sum[0] = static_cast<uint32_t>(after);
  sum[1] = static_cast<uint32_t>(after >> 32);
  return Napi::Number::New(info.Env(), found.inOrder == found.frames ? static_cast<double>(found.frames) : -1);
}

// measureCopyLimit(totalBytes, ringBytes, blockBytes, publishEveryBytes, flushed)
Napi::Value measureCopyLimit(const Napi::CallbackInfo& info) {
  constexpr uint32_t chunkBytes = 256 * 1024;
  const uint64_t total = natural(info[0]);
  const uint64_t ring = natural(info[1]);
  const uint32_t block = info[2].As<Napi::Number>();
  const uint32_t publishEvery = info[3].As<Napi::Number>();
  if (block < 8 || chunkBytes % block != 0 || ring < chunkBytes || ring % chunkBytes != 0 || publishEvery < block ||
      publishEvery % block != 0 || chunkBytes % publishEvery != 0) {
    return throwFault(info.Env(), Status::failed("invalid", "the block must divide 256 KiB, and 256 KiB the ring"));
  }
  const auto coherence = info[4].As<Napi::Boolean>() ? Coherence::flushed : Coherence::coherent;
  auto limit = std::make_shared<CopyLimit>();
  return Task::start(
      info.Env(), [=] { return copyLimit({total, ring, block, publishEvery, coherence}, *limit); },
      [=](Napi::Env env) {
        auto out = Napi::Object::New(env);
        out.Set("seconds", Napi::Number::New(env, limit->seconds));
        out.Set("bytes", number(env, limit->bytes));
        out.Set("agree", Napi::Boolean::New(env, limit->writerFold == limit->readerFold));
        return out;
      });
}

Napi::Value measureLineRoundTrip(const Napi::CallbackInfo& info) {
  auto micros = std::make_shared<double>(0);
  return Task::start(
      info.Env(), [=] { return lineRoundTripMicros(*micros); },
      [=](Napi::Env env) { return Napi::Number::New(env, *micros); });
}

// measureVerbs(): { verb, byHand, coherent, flushed } each, in nanoseconds
Napi::Value measureVerbs(const Napi::CallbackInfo& info) {
  auto costs = std::make_shared<std::vector<VerbCost>>();
  return Task::start(
      info.Env(), [=] { return verbCosts(*costs); },
      [=](Napi::Env env) {
        auto out = Napi::Array::New(env);
        for (uint32_t i = 0; i < costs->size(); i += 1) {
          const VerbCost& cost = (*costs)[i];
          auto each = Napi::Object::New(env);
          each.Set("verb", cost.verb);
          each.Set("byHand", Napi::Number::New(env, cost.byHand));
          each.Set("coherent", Napi::Number::New(env, cost.coherent));
          each.Set("flushed", Napi::Number::New(env, cost.flushed));
          out[i] = each;
        }
        return out;
      });
}

// measurePass(brokers, clients): { idleNanos, batchNanos, wholeNanos }
Napi::Value measurePass(const Napi::CallbackInfo& info) {
  const uint32_t brokers = info[0].As<Napi::Number>();
  const uint32_t clients = info[1].As<Napi::Number>();
  auto cost = std::make_shared<PassCost>();
  return Task::start(
      info.Env(), [=] { return passCost(brokers, clients, *cost); },
      [=](Napi::Env env) {
        auto out = Napi::Object::New(env);
        out.Set("idleNanos", Napi::Number::New(env, cost->idleNanos));
        out.Set("batchNanos", Napi::Number::New(env, cost->batchNanos));
        out.Set("wholeNanos", Napi::Number::New(env, cost->wholeNanos));
        return out;
      });
}

// Resolves with { p50Micros, p99Micros } of what `measure` finds.
Napi::Value roundTrips(Napi::Env env, std::function<Status(RoundTrips&)> measure) {
  auto found = std::make_shared<RoundTrips>();
  return Task::start(
      env, [=] { return measure(*found); },
      [=](Napi::Env at) {
        auto out = Napi::Object::New(at);
        out.Set("p50Micros", Napi::Number::New(at, found->p50Micros));
        out.Set("p99Micros", Napi::Number::New(at, found->p99Micros));
        return out;
      });
}

// measureFutexRoundTrips(trips)
Napi::Value measureFutexRoundTrips(const Napi::CallbackInfo& info) {
  const uint32_t trips = std::max(1U, info[0].As<Napi::Number>().Uint32Value());
  return roundTrips(info.Env(), [=](RoundTrips& found) { return futexRoundTrips(trips, found); });
}

// measureRingRoundTrips(trips, asleep)
Napi::Value measureRingRoundTrips(const Napi::CallbackInfo& info) {
  const uint32_t trips = std::max(1U, info[0].As<Napi::Number>().Uint32Value());
  const bool asleep = info[1].As<Napi::Boolean>();
  return roundTrips(info.Env(), [=](RoundTrips& found) { return ringRoundTrips(trips, asleep, found); });
}

// new PublishCost(path, processName, rings: string[])
class PublishCostHandle : public Napi::ObjectWrap<PublishCostHandle> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "PublishCost",
                       {InstanceMethod<&PublishCostHandle::nanos>("nanos"), InstanceMethod<&PublishCostHandle::close>("close")});
  }

  explicit PublishCostHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const auto names = info[2].As<Napi::Array>();
    std::vector<std::string> rings;
    for (uint32_t i = 0; i < names.Length(); i += 1) rings.push_back(Napi::Value(names[i]).As<Napi::String>());
    const Status status = PublishCost::open(info[0].As<Napi::String>(), info[1].As<Napi::String>(), rings, cost_);
    if (!status.ok()) throwFault(info.Env(), status);
  }

 private:
  // nanos(ring, publishes, messageBytes): `ring` counts in the order of their names.
  Napi::Value nanos(const Napi::CallbackInfo& info) {
    const uint32_t ring = info[0].As<Napi::Number>();
    if (cost_ == nullptr || ring >= cost_->rings()) return Napi::Number::New(info.Env(), std::nan(""));
    const uint64_t nanos = cost_->nanos(ring, info[1].As<Napi::Number>(), natural(info[2]));
    return number(info.Env(), nanos);
  }

  void close(const Napi::CallbackInfo&) { cost_.reset(); }

  std::unique_ptr<PublishCost> cost_;
};

Napi::Object defineMeasuring(Napi::Env env, Napi::Object exports) {
  exports.Set("foldFrames", Napi::Function::New<foldFramesInto>(env, "foldFrames"));
  exports.Set("foldInto", Napi::Function::New<foldInto>(env, "foldInto"));
  exports.Set("measureCopyLimit", Napi::Function::New<measureCopyLimit>(env, "measureCopyLimit"));
  exports.Set("measureLineRoundTrip", Napi::Function::New<measureLineRoundTrip>(env, "measureLineRoundTrip"));
  exports.Set("measurePass", Napi::Function::New<measurePass>(env, "measurePass"));
  exports.Set("measureVerbs", Napi::Function::New<measureVerbs>(env, "measureVerbs"));
  exports.Set("measureFutexRoundTrips", Napi::Function::New<measureFutexRoundTrips>(env, "measureFutexRoundTrips"));
  exports.Set("measureRingRoundTrips", Napi::Function::New<measureRingRoundTrips>(env, "measureRingRoundTrips"));
  exports.Set("PublishCost", PublishCostHandle::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(ringfence_measure, defineMeasuring)

}  // namespace ringfence::binding
