// Attaches readers to a topic, and polls its index for them.
#include "log/index_reader.h"
#include "napi_log.h"

namespace ringfence::binding {

template <>
const napi_type_tag* tagOf<IndexReader>() {
  static const napi_type_tag tag = {0x3d8e9fa0b1c2d3e4, 0x2f3a4b5c6d7e8f90};
  return &tag;
}

namespace {

constexpr uint32_t batchFields = 12;
constexpr uint32_t batchesAtOnce = 256;

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

// readersEnding(region, topic): slots of the topic's readers that come free as soon as the sequencer looks
napi_value endingReaders(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || arguments.word(1) >= handle->region()->layout().geometry.topics) return nothing(env);
  return count(env, readersEnding(*handle->region(), arguments.word(1)));
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

}  // namespace

void registerReaders(napi_env env, napi_value exports) {
  method(env, exports, "readersEnding", endingReaders);
  method(env, exports, "openReader", openReader);
  method(env, exports, "readerPoll", readerPoll);
  method(env, exports, "readerRelease", readerRelease);
  method(env, exports, "readerNext", readerNext);
  method(env, exports, "readerCommitted", readerCommitted);
  method(env, exports, "readerCommittedMessages", readerCommittedMessages);
  method(env, exports, "closeReader", closeReader);
}

}  // namespace ringfence::binding
