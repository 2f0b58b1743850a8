#include "reader_handle.h"

#include <algorithm>

#include "constructors.h"
#include "hot_method.h"
#include "values.h"

namespace ringfence::binding {

namespace {

constexpr uint32_t batchFields = 16;
constexpr uint32_t batchesAtOnce = 256;

void writeFields(const BatchView& view, double* fields) {
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
  fields[12] = view.identity;
  fields[13] = static_cast<double>(view.identityGeneration);
  fields[14] = static_cast<double>(view.identityRecord);
  fields[15] = view.incarnation;
}

// poll(out: Float64Array, max): number of batches, -1 when the memory contradicts the layout
napi_value poll(TopicReader& reader, napi_env env, const napi_value* arguments) {
  size_t elements = 0;
  auto* out = hotArray<double>(env, arguments[0], elements);
  const size_t max = std::min<size_t>({word(env, arguments[1]), batchesAtOnce, elements / batchFields});
  BatchView views[batchesAtOnce];
  const int32_t filled = reader.poll(views, static_cast<uint32_t>(max));
  for (int32_t i = 0; i < filled; i += 1) writeFields(views[i], out + size_t(i) * batchFields);
  return Napi::Number::New(env, filled);
}

// copy(out: Float64Array, max, to: Uint8Array): the same of a reader that holds nothing back, whose batches are copied
napi_value copy(TopicReader& reader, napi_env env, const napi_value* arguments) {
  size_t elements = 0;
  size_t room = 0;
  auto* out = hotArray<double>(env, arguments[0], elements);
  auto* to = hotArray<uint8_t>(env, arguments[2], room);
  const size_t max = std::min<size_t>({word(env, arguments[1]), batchesAtOnce, elements / batchFields});
  BatchView views[batchesAtOnce];
  const int32_t filled = reader.copy(views, static_cast<uint32_t>(max), to, room);
  for (int32_t i = 0; i < filled; i += 1) writeFields(views[i], out + size_t(i) * batchFields);
  return Napi::Number::New(env, filled);
}

}  // namespace

Napi::Function ReaderHandle::define(Napi::Env env) {
  return DefineClass(env, "Reader",
                     {InstanceMethod<&ReaderHandle::position>("position"),
                      InstanceMethod<&ReaderHandle::resume>("resume"),
                      InstanceMethod<&ReaderHandle::release>("release"),
                      InstanceMethod<&ReaderHandle::next>("next"),
                      InstanceMethod<&ReaderHandle::committed>("committed"),
                      InstanceMethod<&ReaderHandle::committedMessages>("committedMessages"),
                      InstanceMethod<&ReaderHandle::storedCursors>("storedCursors"),
                      InstanceMethod<&ReaderHandle::close>("close")});
}

Napi::Value ReaderHandle::make(Napi::Env env, std::unique_ptr<TopicReader> reader) {
  return HandedOver<std::unique_ptr<TopicReader>>::make(constructorsOf(env).reader, reader);
}

ReaderHandle::ReaderHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto* reader = HandedOver<std::unique_ptr<TopicReader>>::of(info);
  if (reader == nullptr) return;
  reader_ = std::move(*reader);
  const auto self = info.This().As<Napi::Object>();
  setHotMethod<TopicReader, 2, &poll>(self, "poll", reader_);
  setHotMethod<TopicReader, 3, &copy>(self, "copy", reader_);
}

Napi::Value ReaderHandle::position(const Napi::CallbackInfo& info) { return number(info.Env(), reader_->position()); }

// resume(index, position): whether that batch is kept
Napi::Value ReaderHandle::resume(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), reader_->resume(natural(info[0]), natural(info[1])));
}

void ReaderHandle::release(const Napi::CallbackInfo& info) { reader_->release(natural(info[0])); }

Napi::Value ReaderHandle::next(const Napi::CallbackInfo& info) { return number(info.Env(), reader_->next()); }

Napi::Value ReaderHandle::committed(const Napi::CallbackInfo& info) { return number(info.Env(), reader_->committed()); }

Napi::Value ReaderHandle::committedMessages(const Napi::CallbackInfo& info) {
  return number(info.Env(), reader_->committedMessages());
}

void ReaderHandle::storedCursors(const Napi::CallbackInfo& info) { reader_->storedCursors(natural(info[0])); }

void ReaderHandle::close(const Napi::CallbackInfo&) { reader_->detach(); }

}  // namespace ringfence::binding
