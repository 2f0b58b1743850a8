// Work off the event loop as a promise, which resolves with the result or rejects with the fault.
#pragma once

#include <napi.h>

#include <functional>
#include <utility>

#include "fault.h"

namespace ringfence::binding {

class Task : public Napi::AsyncWorker {
 public:
  // Calls `run` on a thread of the pool, and `made` on the event loop after `run` has succeeded.
  static Napi::Value start(Napi::Env env, std::function<Status()> run, std::function<Napi::Value(Napi::Env)> made) {
    auto* task = new Task(env, std::move(run), std::move(made));  // deletes itself
    const Napi::Promise promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override { status_ = run_(); }
  void OnOK() override {
    if (status_.ok()) {
      deferred_.Resolve(made_(Env()));
    } else {
      deferred_.Reject(faultOf(Env(), status_).Value());
    }
  }

 private:
  Task(Napi::Env env, std::function<Status()> run, std::function<Napi::Value(Napi::Env)> made)
      : AsyncWorker(env, "ringfence"), deferred_(env), run_(std::move(run)), made_(std::move(made)) {}

  Napi::Promise::Deferred deferred_;
  std::function<Status()> run_;
  std::function<Napi::Value(Napi::Env)> made_;
  Status status_;
};

}  // namespace ringfence::binding
