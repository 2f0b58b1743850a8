#include "fault.h"

namespace ringfence::binding {

Napi::Error faultOf(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.detail);
  error.Set("fault", Napi::String::New(env, status.fault == nullptr ? "system" : status.fault));
  error.Set("wantedBytes", Napi::Number::New(env, static_cast<double>(status.wantedBytes)));
  error.Set("freeBytes", Napi::Number::New(env, static_cast<double>(status.freeBytes)));
  error.Set("hint", Napi::String::New(env, status.hint));
  return error;
}

Napi::Value throwFault(Napi::Env env, const Status& status) {
  faultOf(env, status).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace ringfence::binding
