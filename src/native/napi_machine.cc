#include "lifeline.h"
#include "machine.h"
#include "napi_support.h"

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
        *limit = copyLimit(total, ring, block, publishEvery);
        return limit->bytes == 0 ? Status::failed("noSpace", "no memory for the ring") : Status::fine();
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
        *micros = lineRoundTripMicros();
        return Status::fine();
      },
      [=](napi_env at) { return number(at, *micros); });
}

// holdLifeline(fd, proof, exitCode): false when it is not the lifeline.
napi_value holdLifelineOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto fd = static_cast<int>(arguments.integer(0));
  return truth(env, holdLifeline(fd, arguments.text(1), static_cast<int>(arguments.integer(2))));
}

}  // namespace

void registerMachine(napi_env env, napi_value exports) {
  method(env, exports, "foldInto", foldInto);
  method(env, exports, "measureCopyLimit", measureCopyLimit);
  method(env, exports, "measureLineRoundTrip", measureLineRoundTrip);
  method(env, exports, "holdLifeline", holdLifelineOf);
}

}  // namespace ringfence::binding
