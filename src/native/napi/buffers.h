// The ArrayBuffers over a region's memory, detached together when it closes.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace ringfence::binding {

class LentBuffers {
 public:
  explicit LentBuffers(Napi::Env env) : env_(env) {}
  ~LentBuffers() { detach(); }
  LentBuffers(const LentBuffers&) = delete;
  LentBuffers& operator=(const LentBuffers&) = delete;

  // The buffer over these bytes: the same one until it is collected. It keeps `memory` alive until then.
  Napi::Value over(uint8_t* at, uint64_t bytes, std::shared_ptr<void> memory);
  // Detaches all buffers: from here on each, and every view of it, is empty.
  void detach();

 private:
  void forgetCollected();

  Napi::Env env_;
  std::map<const uint8_t*, Napi::Reference<Napi::ArrayBuffer>> lent_;  // weak
  size_t collectAt_ = 64;
};

}  // namespace ringfence::binding
