#include "buffers.h"

#include <utility>

#include "fault.h"

namespace ringfence::binding {

namespace {

using Lent = Napi::Reference<Napi::ArrayBuffer>;

// Empty when the buffer was collected, or transferred to another one, which is unknown here.
Napi::ArrayBuffer known(const Lent& lent) {
  const Napi::ArrayBuffer buffer = lent.Value();
  return buffer.IsEmpty() || buffer.IsDetached() ? Napi::ArrayBuffer() : buffer;
}

}  // namespace

Napi::Value LentBuffers::over(uint8_t* at, uint64_t bytes, std::shared_ptr<void> memory) {
  const auto found = lent_.find(at);
  if (found != lent_.end()) {
    const Napi::ArrayBuffer buffer = known(found->second);
    if (!buffer.IsEmpty()) return buffer;
    lent_.erase(found);
  }
  if (lent_.size() >= collectAt_) forgetCollected();
  auto keeper = std::make_unique<std::shared_ptr<void>>(std::move(memory));
  const auto finalize = [](Napi::Env, void*, std::shared_ptr<void>* kept) { delete kept; };
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env_, at, bytes, finalize, keeper.get());
  if (env_.IsExceptionPending()) {
    env_.GetAndClearPendingException();
    return throwFault(env_, Status::failed("unsupported", "this runtime refuses buffers over external memory"));
  }
  static_cast<void>(keeper.release());  // the buffer owns it now
  lent_.emplace(at, Lent::New(buffer, 0));
  return buffer;
}

void LentBuffers::forgetCollected() {
  const Napi::HandleScope scope(env_);
  std::erase_if(lent_, [](const auto& entry) { return known(entry.second).IsEmpty(); });
  collectAt_ = 64 + 2 * lent_.size();
}

void LentBuffers::detach() {
  if (lent_.empty()) return;
  const Napi::HandleScope scope(env_);
  for (const auto& [at, lent] : lent_) {
    Napi::ArrayBuffer buffer = known(lent);
    if (!buffer.IsEmpty()) buffer.Detach();
  }
  lent_.clear();
}

}  // namespace ringfence::binding
