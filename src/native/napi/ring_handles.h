// JavaScript's handles of a ring: the writing end, and a reader's place.
#pragma once

#include <napi.h>

#include <memory>

#include "buffers.h"
#include "ring/ring_reader.h"
#include "ring/ring_writer.h"

namespace ringfence::binding {

class RingWriterHandle : public Napi::ObjectWrap<RingWriterHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::unique_ptr<RingWriter> writer, std::shared_ptr<LentBuffers> buffers);
  explicit RingWriterHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value buffer(const Napi::CallbackInfo& info);
  Napi::Value presentGeneration(const Napi::CallbackInfo& info);
  Napi::Value leadWindow(const Napi::CallbackInfo& info);
  Napi::Value readersVersionWindow(const Napi::CallbackInfo& info);
  Napi::Value watched(const Napi::CallbackInfo& info);
  void tell(const Napi::CallbackInfo& info);
  void wantRoom(const Napi::CallbackInfo& info);
  Napi::Value slowestReader(const Napi::CallbackInfo& info);
  Napi::Value evictSlowest(const Napi::CallbackInfo& info);
  Napi::Value end(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  // The bytes of a window, whose buffer is detached when the region closes.
  Napi::Value window(const Napi::CallbackInfo& info, uint8_t* at, uint64_t bytes) const;

  std::shared_ptr<RingWriter> writer_;
  std::shared_ptr<LentBuffers> buffers_;
};

class RingReaderHandle : public Napi::ObjectWrap<RingReaderHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::unique_ptr<RingReader> reader, std::shared_ptr<LentBuffers> buffers);
  explicit RingReaderHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value buffer(const Napi::CallbackInfo& info);
  Napi::Value leadWindow(const Napi::CallbackInfo& info);
  Napi::Value fateWindow(const Napi::CallbackInfo& info);
  Napi::Value claimWindow(const Napi::CallbackInfo& info);
  Napi::Value lineWindow(const Napi::CallbackInfo& info);
  Napi::Value place(const Napi::CallbackInfo& info);
  Napi::Value generation(const Napi::CallbackInfo& info);
  Napi::Value leading(const Napi::CallbackInfo& info);
  Napi::Value evicted(const Napi::CallbackInfo& info);
  Napi::Value rejoin(const Napi::CallbackInfo& info);
  Napi::Value ended(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  // The bytes of a window, whose buffer is detached when the region closes.
  Napi::Value window(const Napi::CallbackInfo& info, uint8_t* at, uint64_t bytes) const;

  std::shared_ptr<RingReader> reader_;
  std::shared_ptr<LentBuffers> buffers_;
};

}  // namespace ringfence::binding
