// JavaScript's handle of the sequencer in this process. It stops at the latest with its region's handle.
#pragma once

#include <napi.h>

#include <memory>

#include "log/sequencer/sequencer.h"

namespace ringfence::binding {

class SequencerHandle : public Napi::ObjectWrap<SequencerHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::shared_ptr<Region> region, std::shared_ptr<Sequencer> sequencer);
  explicit SequencerHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  void pause(const Napi::CallbackInfo& info);
  void resume(const Napi::CallbackInfo& info);
  void stop(const Napi::CallbackInfo& info);
  Napi::Value recovery(const Napi::CallbackInfo& info);
  Napi::Value deposed(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value sessions(const Napi::CallbackInfo& info);
  Napi::Value gates(const Napi::CallbackInfo& info);
  Napi::Value endDead(const Napi::CallbackInfo& info);

  struct Parts {
    std::shared_ptr<Region> region;
    std::shared_ptr<Sequencer> sequencer;
  };

  std::shared_ptr<Region> region_;
  std::shared_ptr<Sequencer> sequencer_;
};

}  // namespace ringfence::binding
