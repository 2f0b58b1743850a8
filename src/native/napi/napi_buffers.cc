#include "napi_buffers.h"

#include "napi_support.h"

namespace ringfence::binding {

// Null when the buffer is collected, or was moved to another one, which is not known here.
napi_value LentBuffers::known(napi_ref reference) const {
  napi_value buffer = nullptr;
  bool detached = false;
  if (napi_get_reference_value(env_, reference, &buffer) != napi_ok || buffer == nullptr) return nullptr;
  return napi_is_detached_arraybuffer(env_, buffer, &detached) == napi_ok && !detached ? buffer : nullptr;
}

napi_value LentBuffers::over(uint8_t* at, uint64_t bytes, std::shared_ptr<void> memory) {
  const auto found = lent_.find(at);
  if (found != lent_.end()) {
    if (napi_value buffer = known(found->second)) return buffer;
    napi_delete_reference(env_, found->second);
    lent_.erase(found);
  }
  if (lent_.size() >= collectAt_) forgetCollected();
  auto* keeper = new std::shared_ptr<void>(std::move(memory));
  const auto finalize = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<void>*>(hint); };
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env_, at, bytes, finalize, keeper, &buffer) != napi_ok) {
    delete keeper;
    return throwFault(env_, Status::failed("unsupported", "this runtime refuses buffers over external memory"));
  }
  napi_ref reference = nullptr;
  napi_create_reference(env_, buffer, 0, &reference);
  lent_.emplace(at, reference);
  return buffer;
}

void LentBuffers::forgetCollected() {
  napi_handle_scope scope;
  napi_open_handle_scope(env_, &scope);
  for (auto entry = lent_.begin(); entry != lent_.end();) {
    const bool lives = known(entry->second) != nullptr;
    if (!lives) napi_delete_reference(env_, entry->second);
    entry = lives ? std::next(entry) : lent_.erase(entry);
  }
  napi_close_handle_scope(env_, scope);
  collectAt_ = 64 + 2 * lent_.size();
}

void LentBuffers::detach() {
  if (lent_.empty()) return;
  napi_handle_scope scope;
  napi_open_handle_scope(env_, &scope);
  for (const auto& [at, reference] : lent_) {
    if (napi_value buffer = known(reference)) napi_detach_arraybuffer(env_, buffer);
    napi_delete_reference(env_, reference);
  }
  napi_close_handle_scope(env_, scope);
  lent_.clear();
}

}  // namespace ringfence::binding
