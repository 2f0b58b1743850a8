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

// room(end, frames, published, payloadBytes): takes the frames that were written up to `end`, of which JavaScript has
// published those below `published`; then the end of the room for more, -1 when there is none for that payload, -2 when
// it is too large or the writer has ended
napi_value room(RingWriter& writer, napi_env env, const napi_value* arguments) {
  const bool taken = writer.wrote(natural(env, arguments[0]), natural(env, arguments[1]), natural(env, arguments[2]));
  return Napi::Number::New(env, taken ? static_cast<double>(writer.room(natural(env, arguments[3]))) : -2);
}

// publish(end, frames, published): takes the frames as room() does, publishes those that are not, and rings the readers
// that wait; false when the writer has ended
napi_value publish(RingWriter& writer, napi_env env, const napi_value* arguments) {
  const bool taken = writer.wrote(natural(env, arguments[0]), natural(env, arguments[1]), natural(env, arguments[2]));
  if (taken && writer.published() == writer.position()) writer.rouse(false);
  if (taken) writer.publish(false);
  return Napi::Boolean::New(env, taken);
}

// available(): the position below which bytes may be read, -1 once the reader is evicted or finds damage
napi_value available(RingReader& reader, napi_env env, const napi_value*) {
  const RingLook look = reader.look();
  return Napi::Number::New(env, look.finding == RingFinding::sound ? static_cast<double>(look.limit) : -1);
}

// advance(read, delivered, handled, released)
napi_value advance(RingReader& reader, napi_env env, const napi_value* arguments) {
  reader.advance({natural(env, arguments[0]), natural(env, arguments[1]), natural(env, arguments[2]),
                  natural(env, arguments[3])});
  return nullptr;
}

}  // namespace

// --- the writer --------------------------------------------------------------------------------------------------

Napi::Function RingWriterHandle::define(Napi::Env env) {
  return DefineClass(env, "RingWriter",
                     {InstanceMethod<&RingWriterHandle::info>("info"),
                      InstanceMethod<&RingWriterHandle::buffer>("buffer"),
                      InstanceMethod<&RingWriterHandle::presentGeneration>("presentGeneration"),
                      InstanceMethod<&RingWriterHandle::leadWindow>("leadWindow"),
                      InstanceMethod<&RingWriterHandle::readersVersionWindow>("readersVersionWindow"),
                      InstanceMethod<&RingWriterHandle::watched>("watched"),
                      InstanceMethod<&RingWriterHandle::tell>("tell"),
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
  const auto self = info.This().As<Napi::Object>();
  setHotMethod<RingWriter, 4, &room>(self, "room", writer_);
  setHotMethod<RingWriter, 3, &publish>(self, "publish", writer_);
}

Napi::Value RingWriterHandle::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto out = Napi::Object::New(env);
  out.Set("ring", number(env, writer_->role().ring));
  out.Set("generation", number(env, writer_->role().generation));
  out.Set("position", number(env, writer_->role().position));
  out.Set("frames", number(env, writer_->role().frames));
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
  return window(info, writer_->presentGeneration(), sizeof(RingClaim::generation));
}

Napi::Value RingWriterHandle::window(const Napi::CallbackInfo& info, uint8_t* at, uint64_t bytes) const {
  if (writer_->region()->closed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(at, bytes, writer_->region());
}

// leadWindow(): the ring's lead, where JavaScript publishes over coherent memory
Napi::Value RingWriterHandle::leadWindow(const Napi::CallbackInfo& info) {
  return window(info, writer_->leadWindow(), sizeof(RingLead));
}

// readersVersionWindow(): the word that changes with each reader that comes, leaves or comes back
Napi::Value RingWriterHandle::readersVersionWindow(const Napi::CallbackInfo& info) {
  return window(info, writer_->readersVersionWindow(), sizeof(RingTable::readersVersion));
}

// watched(): the version of the readers' table at which the writer looked through it last, modulo 2^32, and the sleep
// words of the other processes that read the ring since
Napi::Value RingWriterHandle::watched(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto sleeps = Napi::Array::New(env);
  for (const uint32_t process : writer_->watchedProcesses()) {
    if (process == writer_->region()->slot()) continue;
    sleeps.Set(sleeps.Length(), window(info, writer_->sleepsWindow(process), sizeof(SleepLine::sleeps)));
  }
  auto out = Napi::Object::New(env);
  out.Set("version", number(env, writer_->watchedVersion() & 0xffffffff));
  out.Set("sleeps", sleeps);
  return out;
}

// tell(end, frames, published): takes the frames as room() does
void RingWriterHandle::tell(const Napi::CallbackInfo& info) {
  writer_->wrote(natural(info[0]), natural(info[1]), natural(info[2]));
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
                      InstanceMethod<&RingReaderHandle::fateWindow>("fateWindow"),
                      InstanceMethod<&RingReaderHandle::claimWindow>("claimWindow"),
                      InstanceMethod<&RingReaderHandle::lineWindow>("lineWindow"),
                      InstanceMethod<&RingReaderHandle::place>("place"),
                      InstanceMethod<&RingReaderHandle::generation>("generation"),
                      InstanceMethod<&RingReaderHandle::leading>("leading"),
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
  const auto self = info.This().As<Napi::Object>();
  setHotMethod<RingReader, 0, &available>(self, "available", reader_);
  setHotMethod<RingReader, 4, &advance>(self, "advance", reader_);
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

Napi::Value RingReaderHandle::window(const Napi::CallbackInfo& info, uint8_t* at, uint64_t bytes) const {
  if (reader_->regionClosed()) return throwFault(info.Env(), Status::failed("closed", "the region is closed"));
  return buffers_->over(at, bytes, reader_->region());
}

// leadWindow(), fateWindow(), claimWindow(), lineWindow(): how far the ring is published, and what tells whether the place
// still is this reader's, for a look between two calls
Napi::Value RingReaderHandle::leadWindow(const Napi::CallbackInfo& info) {
  return window(info, reader_->leadWindow(), sizeof(RingLead));
}

Napi::Value RingReaderHandle::fateWindow(const Napi::CallbackInfo& info) {
  return window(info, reader_->fateWindow(), sizeof(RingReaderFate));
}

Napi::Value RingReaderHandle::claimWindow(const Napi::CallbackInfo& info) {
  return window(info, reader_->claimWindow(), sizeof(RingReaderClaim::generation));
}

Napi::Value RingReaderHandle::lineWindow(const Napi::CallbackInfo& info) {
  return window(info, reader_->lineWindow(), sizeof(RingReaderLine));
}

// place(): the generation of this reader, another one behind each rejoin(); that of its claim; and the former reader's
Napi::Value RingReaderHandle::place(const Napi::CallbackInfo& info) {
  auto out = Napi::Object::New(info.Env());
  out.Set("generation", number(info.Env(), reader_->role().generation));
  out.Set("claimed", number(info.Env(), reader_->claimedGeneration()));
  out.Set("former", number(info.Env(), reader_->formerGeneration()));
  return out;
}

// generation(): of the ring's present writer
Napi::Value RingReaderHandle::generation(const Napi::CallbackInfo& info) {
  return number(info.Env(), reader_->generation());
}

// leading(): the position below which frames are published, -1 as above
Napi::Value RingReaderHandle::leading(const Napi::CallbackInfo& info) {
  const RingLook look = reader_->look();
  return Napi::Number::New(info.Env(), look.finding == RingFinding::sound ? static_cast<double>(look.published) : -1);
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
