// A timer of the event loop that calls native code: to enter JavaScript ten times a second would cost an idle process more
// than all that it looks at.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <functional>

namespace ringfence::binding {

// Never keeps the process alive. On the thread of the event loop only.
class LoopTimer {
 public:
  LoopTimer(Napi::Env env, uint64_t everyMillis, std::function<void()> call);
  ~LoopTimer();
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;

  // Whether the runtime has such timers.
  bool usable() const { return handle_ != nullptr; }
  void start();
  void stop();

 private:
  // The loop owns it until it has closed it: longer than the timer's owner lives.
  struct Handle {
    uv_timer_t timer;
    LoopTimer* owner;
  };
  static void tick(uv_timer_t* timer);

  uint64_t everyMillis_;
  std::function<void()> call_;
  Handle* handle_ = nullptr;
  bool running_ = false;
};

}  // namespace ringfence::binding
