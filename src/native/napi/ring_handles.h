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
  napi_value room(napi_env env, const napi_value* arguments);
  napi_value publish(napi_env env, const napi_value* arguments);
  Napi::Value published(const Napi::CallbackInfo& info);
  void wantRoom(const Napi::CallbackInfo& info);
  Napi::Value slowestReader(const Napi::CallbackInfo& info);
  Napi::Value evictSlowest(const Napi::CallbackInfo& info);
  Napi::Value end(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::unique_ptr<RingWriter> writer_;
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
  Napi::Value evictedWindow(const Napi::CallbackInfo& info);
  Napi::Value generation(const Napi::CallbackInfo& info);
  Napi::Value ownGeneration(const Napi::CallbackInfo& info);
  napi_value available(napi_env env, const napi_value* arguments);
  Napi::Value leading(const Napi::CallbackInfo& info);
  napi_value advance(napi_env env, const napi_value* arguments);
  Napi::Value evicted(const Napi::CallbackInfo& info);
  Napi::Value rejoin(const Napi::CallbackInfo& info);
  Napi::Value ended(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::unique_ptr<RingReader> reader_;
  std::shared_ptr<LentBuffers> buffers_;
};

}  // namespace ringfence::binding
