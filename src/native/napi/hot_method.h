// Methods without node-addon-api's call frame. The frame costs less than 5 ns a call, but a typed array among its
// arguments costs 65 ns more than here. So the methods that take one for each message or batch are written this way:
// RingWriter.append, Session.seal and Reader.poll. Numbers are read and made as everywhere (values.h): that is not what
// costs time.
#pragma once

#include <napi.h>

#include "values.h"

namespace ringfence::binding {

// V8 checks that the receiver of a class's method is an object of that class.
template <class T, size_t count, napi_value (T::*method)(napi_env, const napi_value*)>
napi_value callHot(napi_env env, napi_callback_info info) {
  size_t given = count;
  napi_value arguments[count + 1] = {};
  napi_value self = nullptr;
  void* instance = nullptr;
  napi_get_cb_info(env, info, &given, arguments, &self, nullptr);
  if (napi_unwrap(env, self, &instance) != napi_ok) return nullptr;
  return (static_cast<T*>(instance)->*method)(env, arguments);
}

template <class T, size_t count, napi_value (T::*method)(napi_env, const napi_value*)>
Napi::ClassPropertyDescriptor<T> hotMethod(const char* name) {
  return napi_property_descriptor{name,    nullptr, callHot<T, count, method>, nullptr, nullptr,
                                  nullptr, napi_default, nullptr};
}

// The memory of a typed array, and its number of elements; null when the value is not one.
template <class T>
T* hotArray(napi_env env, napi_value value, size_t& elements) {
  void* memory = nullptr;
  elements = 0;
  napi_get_typedarray_info(env, value, nullptr, &elements, &memory, nullptr, nullptr);
  return static_cast<T*>(memory);
}

// False when the value is no boolean.
inline bool hotTruth(napi_env env, napi_value value) {
  bool out = false;
  napi_get_value_bool(env, value, &out);
  return out;
}

}  // namespace ringfence::binding
