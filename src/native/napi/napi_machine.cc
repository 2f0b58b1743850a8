#include <algorithm>

#include "measure/machine.h"
#include "napi_support.h"
#include "measure/round_trips.h"

namespace ringfence::binding {

namespace {

// foldInto(bytes, words: Uint32Array): adds the fold to the 64-bit number in two words, low first.
napi_value foldInto(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  size_t bytes = 0;
  size_t words = 0;
  const auto* at = arguments.array<uint8_t>(0, bytes);
  auto* sum = arguments.array<uint32_t>(1, words);
  if (sum == nullptr || words < 2) return nothing(env);
  const uint64_t before = (uint64_t{sum[1]} << 32) | sum[0];
  const uint64_t after = before + foldBytes(at, bytes);
  sum[0] = static_cast<uint32_t>(after);
  sum[1] = static_cast<uint32_t>(after >> 32);
  return nothing(env);
}

napi_value measureCopyLimit(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto limit = std::make_shared<CopyLimit>();
  const uint64_t total = arguments.natural(0);
  const uint64_t ring = arguments.natural(1);
  const uint32_t block = arguments.word(2);
  const uint32_t publishEvery = arguments.word(3);
  if (block < 8 || (64 * 1024) % block != 0 || ring < 64 * 1024 || ring % (64 * 1024) != 0 || publishEvery < block ||
      publishEvery % block != 0 || (64 * 1024) % publishEvery != 0) {
    return throwFault(env, Status::failed("invalid", "blocks must divide 64 KiB, and the ring be a multiple of it"));
  }
  return async(
      env,
      [=] {
        return copyLimit(total, ring, block, publishEvery, *limit);
      },
      [=](napi_env at) {
        napi_value out;
        napi_create_object(at, &out);
        set(at, out, "seconds", number(at, limit->seconds));
        set(at, out, "bytes", count(at, limit->bytes));
        set(at, out, "agree", truth(at, limit->writerFold == limit->readerFold));
        return out;
      });
}

napi_value measureLineRoundTrip(napi_env env, napi_callback_info) {
  auto micros = std::make_shared<double>(0);
  return async(
      env,
      [=] {
        return lineRoundTripMicros(*micros);
      },
      [=](napi_env at) { return number(at, *micros); });
}

// Resolves with { p50Micros, p99Micros } of what `measure` finds.
napi_value roundTrips(napi_env env, std::function<Status(RoundTrips&)> measure) {
  auto found = std::make_shared<RoundTrips>();
  return async(
      env, [=] { return measure(*found); },
      [=](napi_env at) {
        napi_value out;
        napi_create_object(at, &out);
        set(at, out, "p50Micros", number(at, found->p50Micros));
        set(at, out, "p99Micros", number(at, found->p99Micros));
        return out;
      });
}

// measureFutexRoundTrips(trips)
napi_value measureFutexRoundTrips(napi_env env, napi_callback_info info) {
  const uint32_t trips = std::max(1U, Arguments(env, info).word(0));
  return roundTrips(env, [=](RoundTrips& found) { return futexRoundTrips(trips, found); });
}

// measureRingRoundTrips(trips, asleep)
napi_value measureRingRoundTrips(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const uint32_t trips = std::max(1U, arguments.word(0));
  const bool asleep = arguments.boolean(1);
  return roundTrips(env, [=](RoundTrips& found) { return ringRoundTrips(trips, asleep, found); });
}

}  // namespace

void registerMachine(napi_env env, napi_value exports) {
  method(env, exports, "foldInto", foldInto);
  method(env, exports, "measureCopyLimit", measureCopyLimit);
  method(env, exports, "measureLineRoundTrip", measureLineRoundTrip);
  method(env, exports, "measureFutexRoundTrips", measureFutexRoundTrips);
  method(env, exports, "measureRingRoundTrips", measureRingRoundTrips);
}

}  // namespace ringfence::binding
