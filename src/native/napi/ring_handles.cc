#include "ring_handles.h"

#include "constructors.h"
#include "fault.h"
#include "hot_method.h"
#include "values.h"

namespace ringfence::binding {

namespace {

struct GivenWriter {
  std::unique_ptr<RingWriter> writer;
  std::shared_ptr<LentBuffers> buffers;
};

struct GivenReader {
  std::unique_ptr<RingReader> reader;
  std::shared_ptr<LentBuffers> buffers;
};

}  // namespace

// --- the writer --------------------------------------------------------------------------------------------------

Napi::Function RingWriterHandle::define(Napi::Env env) {
  return DefineClass(env, "RingWriter",
                     {InstanceMethod<&RingWriterHandle::info>("info"),
                      InstanceMethod<&RingWriterHandle::buffer>("buffer"),
                      InstanceMethod<&RingWriterHandle::presentGeneration>("presentGeneration"),
                      hotMethod<RingWriterHandle, 3, &RingWriterHandle::room>("room"),
                      hotMethod<RingWriterHandle, 2, &RingWriterHandle::publish>("publish"),
                      InstanceMethod<&RingWriterHandle::published>("published"),
                      InstanceMethod<&RingWriterHandle::wantRoom>("wantRoom"),
                      InstanceMethod<&RingWriterHandle::slowestReader>("slowestReader"),
                      InstanceMethod<&RingWriterHandle::evictSlowest>("evictSlowest"),
                      InstanceMethod<&RingWriterHandle::end>("end"),
                      InstanceMethod<&RingWriterHandle::close>("close")});
}

Napi::Value RingWriterHandle::make(Napi::Env env, std::unique_ptr<RingWriter> writer, std::shared_ptr<LentBuffers> buffers) {
  GivenWriter given{std::move(writer), std::move(buffers)};
  return HandedOver<GivenWriter>::make(constructorsOf(env).ringWriter, given);
}

RingWriterHandle::RingWriterHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto* given = HandedOver<GivenWriter>::of(info);
  if (given == nullptr) return;
  writer_ = std::move(given->writer);
  buffers_ = std::move(given->buffers);
}

Napi::Value RingWriterHandle::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto out = Napi::Object::New(env);
  out.Set("ring", number(env, writer_->role().ring));
  out.Set("generation", number(env, writer_->role().generation));
  out.Set("position", number(env, writer_->role().position));
  out.Set("payloadBytesMax", number(env, writer_->payloadBytesMax()));
  return out;
}

// buffer(): the ring's bytes, twice in a row; the same buffer until it is collected
Napi::Value RingWriterHandle::buffer(const Napi::CallbackInfo& info) {
  if (writer_->region()->closed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(writer_->memory()->base(), 2 * writer_->memory()->bytes(), writer_->memory());
}

// presentGeneration(): the word in which the ring's present writer stands, for a look between two calls
Napi::Value RingWriterHandle::presentGeneration(const Napi::CallbackInfo& info) {
  if (writer_->region()->closed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(writer_->presentGeneration(), sizeof(RingClaim::generation), writer_->region());
}

// room(end, frames, payloadBytes): takes the frames that were written up to `end`; then the end of the room for more, -1
// when there is none for that payload, -2 when it is too large or the writer has ended
napi_value RingWriterHandle::room(napi_env env, const napi_value* arguments) {
  const bool taken = writer_->wrote(natural(env, arguments[0]), natural(env, arguments[1]));
  return Napi::Number::New(env, taken ? static_cast<double>(writer_->room(natural(env, arguments[2]))) : -2);
}

// publish(end, frames): takes the frames that were written up to `end`, and publishes; false when the writer has ended
napi_value RingWriterHandle::publish(napi_env env, const napi_value* arguments) {
  const bool taken = writer_->wrote(natural(env, arguments[0]), natural(env, arguments[1]));
  if (taken) writer_->publish(false);
  return Napi::Boolean::New(env, taken);
}

Napi::Value RingWriterHandle::published(const Napi::CallbackInfo& info) {
  return number(info.Env(), writer_->published());
}

void RingWriterHandle::wantRoom(const Napi::CallbackInfo& info) { writer_->wantRoom(info[0].As<Napi::Boolean>()); }

Napi::Value RingWriterHandle::slowestReader(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), writer_->slowestReader());
}

Napi::Value RingWriterHandle::evictSlowest(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), writer_->evictSlowest());
}

// end(): a WriterEnd
Napi::Value RingWriterHandle::end(const Napi::CallbackInfo& info) {
  return number(info.Env(), static_cast<uint64_t>(writer_->end()));
}

void RingWriterHandle::close(const Napi::CallbackInfo&) { writer_->close(); }

// --- the reader --------------------------------------------------------------------------------------------------

Napi::Function RingReaderHandle::define(Napi::Env env) {
  return DefineClass(env, "RingReader",
                     {InstanceMethod<&RingReaderHandle::info>("info"),
                      InstanceMethod<&RingReaderHandle::buffer>("buffer"),
                      InstanceMethod<&RingReaderHandle::leadWindow>("leadWindow"),
                      InstanceMethod<&RingReaderHandle::evictedWindow>("evictedWindow"),
                      InstanceMethod<&RingReaderHandle::generation>("generation"),
                      InstanceMethod<&RingReaderHandle::ownGeneration>("ownGeneration"),
                      hotMethod<RingReaderHandle, 0, &RingReaderHandle::available>("available"),
                      InstanceMethod<&RingReaderHandle::leading>("leading"),
                      hotMethod<RingReaderHandle, 4, &RingReaderHandle::advance>("advance"),
                      InstanceMethod<&RingReaderHandle::evicted>("evicted"),
                      InstanceMethod<&RingReaderHandle::rejoin>("rejoin"),
                      InstanceMethod<&RingReaderHandle::ended>("ended"),
                      InstanceMethod<&RingReaderHandle::close>("close")});
}

Napi::Value RingReaderHandle::make(Napi::Env env, std::unique_ptr<RingReader> reader, std::shared_ptr<LentBuffers> buffers) {
  GivenReader given{std::move(reader), std::move(buffers)};
  return HandedOver<GivenReader>::make(constructorsOf(env).ringReader, given);
}

RingReaderHandle::RingReaderHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto* given = HandedOver<GivenReader>::of(info);
  if (given == nullptr) return;
  reader_ = std::move(given->reader);
  buffers_ = std::move(given->buffers);
}

Napi::Value RingReaderHandle::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto out = Napi::Object::New(env);
  out.Set("ring", number(env, reader_->role().ring));
  out.Set("slot", number(env, reader_->role().slot));
  out.Set("generation", number(env, reader_->generation()));
  out.Set("baseline", number(env, reader_->baseline()));
  out.Set("ringBytes", number(env, reader_->memory()->bytes()));
  return out;
}

// buffer(): the ring's bytes, twice in a row; the same buffer until it is collected
Napi::Value RingReaderHandle::buffer(const Napi::CallbackInfo& info) {
  if (reader_->regionClosed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(reader_->memory()->base(), 2 * reader_->memory()->bytes(), reader_->memory());
}

// leadWindow(): the word up to which the ring is published, for a glance between two calls
Napi::Value RingReaderHandle::leadWindow(const Napi::CallbackInfo& info) {
  if (reader_->regionClosed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(reader_->leadWindow(), sizeof(RingLead::position), reader_->region());
}

// evictedWindow(): the generation of this place that was evicted last, for a glance between two calls
Napi::Value RingReaderHandle::evictedWindow(const Napi::CallbackInfo& info) {
  if (reader_->regionClosed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(reader_->evictedWindow(), sizeof(RingReaderFate::evictedGeneration), reader_->region());
}

// ownGeneration(): of this reader, another one behind each rejoin()
Napi::Value RingReaderHandle::ownGeneration(const Napi::CallbackInfo& info) {
  return number(info.Env(), reader_->role().generation);
}

// generation(): of the ring's present writer
Napi::Value RingReaderHandle::generation(const Napi::CallbackInfo& info) {
  return number(info.Env(), reader_->generation());
}

// available(): the position below which bytes may be read, -1 once the reader is evicted or finds damage
napi_value RingReaderHandle::available(napi_env env, const napi_value*) {
  const RingLook look = reader_->look();
  return Napi::Number::New(env, look.finding == RingFinding::sound ? static_cast<double>(look.limit) : -1);
}

// leading(): the position below which frames are published, -1 as above
Napi::Value RingReaderHandle::leading(const Napi::CallbackInfo& info) {
  const RingLook look = reader_->look();
  return Napi::Number::New(info.Env(), look.finding == RingFinding::sound ? static_cast<double>(look.published) : -1);
}

// advance(read, delivered, handled, released)
napi_value RingReaderHandle::advance(napi_env env, const napi_value* arguments) {
  reader_->advance({natural(env, arguments[0]), natural(env, arguments[1]), natural(env, arguments[2]),
                    natural(env, arguments[3])});
  return nullptr;
}

// evicted(out: Float64Array(2)): true when the reader was evicted; writes [from, to)
Napi::Value RingReaderHandle::evicted(const Napi::CallbackInfo& info) {
  auto out = info[0].As<Napi::Float64Array>();
  if (out.ElementLength() < 2) return {};
  uint64_t from = 0;
  uint64_t to = 0;
  const bool evicted = reader_->evicted(from, to);
  out[0] = static_cast<double>(from);
  out[1] = static_cast<double>(to);
  return Napi::Boolean::New(info.Env(), evicted);
}

// rejoin(): the new baseline, -1 when the reader has left
Napi::Value RingReaderHandle::rejoin(const Napi::CallbackInfo& info) {
  return reader_->rejoin() ? number(info.Env(), reader_->baseline()) : Napi::Number::New(info.Env(), -1);
}

Napi::Value RingReaderHandle::ended(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), reader_->ended(natural(info[0])));
}

void RingReaderHandle::close(const Napi::CallbackInfo&) { reader_->detach(); }

}  // namespace ringfence::binding
