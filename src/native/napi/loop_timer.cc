#include "loop_timer.h"

#include <dlfcn.h>

namespace ringfence::binding {

namespace {

// Looked up, and not linked: a runtime without libuv could not load the module otherwise.
template <class Function>
Function* found(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

struct Libuv {
  decltype(napi_get_uv_event_loop)* loopOf = found<decltype(napi_get_uv_event_loop)>("napi_get_uv_event_loop");
  decltype(uv_timer_init)* init = found<decltype(uv_timer_init)>("uv_timer_init");
  decltype(uv_timer_start)* start = found<decltype(uv_timer_start)>("uv_timer_start");
  decltype(uv_timer_stop)* stop = found<decltype(uv_timer_stop)>("uv_timer_stop");
  decltype(uv_unref)* unref = found<decltype(uv_unref)>("uv_unref");
  decltype(uv_close)* close = found<decltype(uv_close)>("uv_close");

  bool isThere() const {
    return loopOf != nullptr && init != nullptr && start != nullptr && stop != nullptr && unref != nullptr && close != nullptr;
  }
};

const Libuv& libuv() {
  static const Libuv all;
  return all;
}

uv_handle_t* handleOf(uv_timer_t& timer) { return reinterpret_cast<uv_handle_t*>(&timer); }

}  // namespace

LoopTimer::LoopTimer(Napi::Env env, uint64_t everyMillis, std::function<void()> call)
    : everyMillis_(everyMillis), call_(std::move(call)) {
  uv_loop_t* loop = nullptr;
  if (!libuv().isThere() || libuv().loopOf(env, &loop) != napi_ok) return;
  auto made = std::make_unique<Handle>();
  if (libuv().init(loop, &made->timer) != 0) return;
  handle_ = made.release();
  handle_->owner = this;
  handle_->timer.data = handle_;
  libuv().unref(handleOf(handle_->timer));
}

LoopTimer::~LoopTimer() {
  if (handle_ == nullptr) return;
  stop();
  libuv().close(handleOf(handle_->timer), [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
}

void LoopTimer::start() {
  if (handle_ == nullptr || running_) return;
  running_ = libuv().start(&handle_->timer, tick, everyMillis_, everyMillis_) == 0;
}

void LoopTimer::stop() {
  if (running_) libuv().stop(&handle_->timer);
  running_ = false;
}

void LoopTimer::tick(uv_timer_t* timer) { static_cast<Handle*>(timer->data)->owner->call_(); }

}  // namespace ringfence::binding
