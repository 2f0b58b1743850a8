// JavaScript's handle of a session: its lanes.
#pragma once

#include <napi.h>

#include <memory>

#include "log/lane_writer.h"

namespace ringfence::binding {

class SessionHandle : public Napi::ObjectWrap<SessionHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::unique_ptr<LaneWriter> lanes);
  explicit SessionHandle(const Napi::CallbackInfo& info);

 private:
  bool brokerValid(Napi::Env env, uint32_t broker) const;

  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value ready(const Napi::CallbackInfo& info);
  Napi::Value identity(const Napi::CallbackInfo& info);
  Napi::Value begin(const Napi::CallbackInfo& info);
  void publish(const Napi::CallbackInfo& info);
  Napi::Value inFlight(const Napi::CallbackInfo& info);
  Napi::Value committedBatches(const Napi::CallbackInfo& info);
  Napi::Value committedMessages(const Napi::CallbackInfo& info);
  Napi::Value commitPoint(const Napi::CallbackInfo& info);
  Napi::Value durableEntries(const Napi::CallbackInfo& info);
  Napi::Value endReason(const Napi::CallbackInfo& info);
  Napi::Value fullEvents(const Napi::CallbackInfo& info);
  Napi::Value held(const Napi::CallbackInfo& info);
  Napi::Value brokerHolding(const Napi::CallbackInfo& info);
  Napi::Value uncommitted(const Napi::CallbackInfo& info);
  void frontiers(const Napi::CallbackInfo& info);
  void wantRoom(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<LaneWriter> lanes_;
};

}  // namespace ringfence::binding
