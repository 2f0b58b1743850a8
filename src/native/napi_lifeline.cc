#include "lifeline.h"
#include "napi_support.h"

namespace ringfence::binding {

namespace {

// holdLifeline(fd, proof, exitCode): false when it is not the lifeline.
napi_value holdLifelineOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto fd = static_cast<int>(arguments.integer(0));
  return truth(env, holdLifeline(fd, arguments.text(1), static_cast<int>(arguments.integer(2))));
}

}  // namespace

void registerLifeline(napi_env env, napi_value exports) { method(env, exports, "holdLifeline", holdLifelineOf); }

}  // namespace ringfence::binding
