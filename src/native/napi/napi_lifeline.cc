#include "region/lifeline.h"
#include "napi_support.h"

namespace ringfence::binding {

namespace {

// holdLifeline(fd, proof, exitCode): false when it is not the lifeline; throws when it cannot be watched.
napi_value holdLifelineOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto fd = static_cast<int>(arguments.integer(0));
  const Status status = holdLifeline(fd, arguments.text(1), static_cast<int>(arguments.integer(2)));
  const bool missing = !status.ok() && std::string(status.fault) == "missing";
  return status.ok() || missing ? truth(env, !missing) : throwFault(env, status);
}

}  // namespace

void registerLifeline(napi_env env, napi_value exports) { method(env, exports, "holdLifeline", holdLifelineOf); }

}  // namespace ringfence::binding
