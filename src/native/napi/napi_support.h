// Node-API, in the few forms that the bindings need. No C++ exception crosses, and none is thrown.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>

#include "fault.h"
#include "region_handle.h"

namespace ringfence::binding {

struct Arguments {
  Arguments(napi_env at, napi_callback_info info) : env(at) {
    napi_get_cb_info(env, info, &given, values, nullptr, nullptr);
  }

  napi_env env;
  size_t given = 12;
  napi_value values[12] = {};

  int64_t integer(size_t i) const {
    int64_t value = 0;
    napi_get_value_int64(env, values[i], &value);
    return value;
  }
  uint32_t word(size_t i) const { return static_cast<uint32_t>(integer(i)); }
  uint64_t natural(size_t i) const {
    const int64_t value = integer(i);
    return value < 0 ? 0 : static_cast<uint64_t>(value);
  }
  bool boolean(size_t i) const {
    bool value = false;
    napi_get_value_bool(env, values[i], &value);
    return value;
  }
  std::string text(size_t i) const;
  // The memory of a typed array; null when it is none. `count` is in elements.
  template <class T>
  T* array(size_t i, size_t& elements) const {
    void* data = nullptr;
    elements = 0;
    if (napi_get_typedarray_info(env, values[i], nullptr, &elements, &data, nullptr, nullptr) != napi_ok) return nullptr;
    return static_cast<T*>(data);
  }
};

inline napi_value number(napi_env env, double value) {
  napi_value out;
  napi_create_double(env, value, &out);
  return out;
}

inline napi_value count(napi_env env, uint64_t value) { return number(env, static_cast<double>(value)); }

inline napi_value truth(napi_env env, bool value) {
  napi_value out;
  napi_get_boolean(env, value, &out);
  return out;
}

inline napi_value nothing(napi_env env) {
  napi_value out;
  napi_get_undefined(env, &out);
  return out;
}

inline napi_value text(napi_env env, const std::string& value) {
  napi_value out;
  napi_create_string_utf8(env, value.data(), value.size(), &out);
  return out;
}

inline void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

// The number of a process, and `foreignPid` where it counts in another pid namespace.
inline void setPid(napi_env env, napi_value object, const ProcessPid& process) {
  set(env, object, "pid", count(env, process.pid));
  if (process.foreign) set(env, object, "foreignPid", truth(env, true));
}

// JavaScript values that own a native one, marked so that another module's cannot be taken for it.
template <class T>
const napi_type_tag* tagOf();

template <class T>
napi_value own(napi_env env, T* owned) {
  napi_value out;
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<T*>(data); };
  if (napi_create_external(env, owned, finalize, nullptr, &out) != napi_ok) {
    delete owned;
    return nothing(env);
  }
  napi_type_tag_object(env, out, tagOf<T>());
  return out;
}

template <class T>
T* owned(const Arguments& arguments, size_t i) {
  bool tagged = false;
  void* data = nullptr;
  const bool ok = napi_check_object_type_tag(arguments.env, arguments.values[i], tagOf<T>(), &tagged) == napi_ok &&
                  tagged && napi_get_value_external(arguments.env, arguments.values[i], &data) == napi_ok;
  if (ok) return static_cast<T*>(data);
  napi_throw_type_error(arguments.env, nullptr, "not a handle of this kind");
  return nullptr;
}

// The handle of a region, and of one that is open: throws and returns null where it is not.
RegionHandle* regionHandle(const Arguments& arguments, size_t i);
RegionHandle* openRegion(const Arguments& arguments, size_t i);

void method(napi_env env, napi_value exports, const char* name, napi_callback callback);

}  // namespace ringfence::binding
