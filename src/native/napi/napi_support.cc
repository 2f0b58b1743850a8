#include "napi_support.h"

#include "values.h"

namespace ringfence::binding {

std::string Arguments::text(size_t i) const {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, values[i], nullptr, 0, &length) != napi_ok) return {};
  std::string value(length + 1, '\0');
  napi_get_value_string_utf8(env, values[i], value.data(), value.size(), &length);
  value.resize(length);
  return value;
}

RegionHandle* regionHandle(const Arguments& arguments, size_t i) {
  return unwrap<RegionHandle>(Napi::Value(arguments.env, arguments.values[i]));
}

RegionHandle* openRegion(const Arguments& arguments, size_t i) {
  RegionHandle* handle = regionHandle(arguments, i);
  return handle == nullptr || handle->open(arguments.env) == nullptr ? nullptr : handle;
}

void method(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  set(env, exports, name, function);
}

}  // namespace ringfence::binding
