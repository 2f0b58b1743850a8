// Methods that are called for each message or batch, without node-addon-api's frame and without unwrapping: each is a
// function of its object's own, which carries what it works on. Unwrapping an object is a look-up of a private property,
// which costs more than all the rest of such a call (some 550 of 850 instructions); a typed array among the arguments of
// node-addon-api costs as much. Numbers are read and made as everywhere (values.h): that is not what costs time.
#pragma once

#include <napi.h>

#include <memory>

#include "values.h"

namespace ringfence::binding {

template <class T, size_t count, napi_value (*method)(T&, napi_env, const napi_value*)>
napi_value callHot(napi_env env, napi_callback_info info) {
  size_t given = count;
  napi_value arguments[count + 1] = {};
  void* data = nullptr;
  napi_get_cb_info(env, info, &given, arguments, nullptr, &data);
  return method(**static_cast<std::shared_ptr<T>*>(data), env, arguments);
}

// Gives the object that method. The function shares what it works on: JavaScript may keep it when the object is collected.
template <class T, size_t count, napi_value (*method)(T&, napi_env, const napi_value*)>
void setHotMethod(Napi::Object object, const char* name, const std::shared_ptr<T>& of) {
  const napi_env env = object.Env();
  auto data = std::make_unique<std::shared_ptr<T>>(of);
  napi_value function = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callHot<T, count, method>, data.get(), &function) != napi_ok) return;
  const auto finalize = [](napi_env, void* kept, void*) { delete static_cast<std::shared_ptr<T>*>(kept); };
  if (napi_add_finalizer(env, function, data.get(), finalize, nullptr, nullptr) != napi_ok) return;
  static_cast<void>(data.release());  // the function owns it now
  napi_set_named_property(env, object, name, function);
}

// The memory of a typed array, and its number of elements; null when the value is not one.
template <class T>
T* hotArray(napi_env env, napi_value value, size_t& elements) {
  void* memory = nullptr;
  elements = 0;
  napi_get_typedarray_info(env, value, nullptr, &elements, &memory, nullptr, nullptr);
  return static_cast<T*>(memory);
}

}  // namespace ringfence::binding
