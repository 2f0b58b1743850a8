// JavaScript's handle of a subscriber: a reader's place in the index of a topic, or in its lanes.
#pragma once

#include <napi.h>

#include <memory>

#include "log/topic_reader.h"

namespace ringfence::binding {

class ReaderHandle : public Napi::ObjectWrap<ReaderHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::unique_ptr<TopicReader> reader);
  explicit ReaderHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value position(const Napi::CallbackInfo& info);
  Napi::Value resume(const Napi::CallbackInfo& info);
  void release(const Napi::CallbackInfo& info);
  Napi::Value next(const Napi::CallbackInfo& info);
  Napi::Value committed(const Napi::CallbackInfo& info);
  Napi::Value committedMessages(const Napi::CallbackInfo& info);
  void storedCursors(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<TopicReader> reader_;
};

}  // namespace ringfence::binding
