// Conversions of numbers, process ids and handles between C++ and JavaScript.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>

#include "region/process_table.h"

namespace ringfence::binding {

// Counts are exact up to 2^53, which no count reaches.
inline Napi::Number number(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }
inline Napi::Number optional(Napi::Env env, const std::optional<uint64_t>& value) {
  return value ? number(env, *value) : Napi::Number::New(env, -1);
}

inline uint32_t word(const Napi::Value& value) { return static_cast<uint32_t>(value.As<Napi::Number>().Int64Value()); }

inline uint64_t natural(const Napi::Value& value) {
  const int64_t whole = value.As<Napi::Number>().Int64Value();
  return whole < 0 ? 0 : static_cast<uint64_t>(whole);
}

// The same for a hot method's argument, of which node-addon-api has made no value (hot_method.h).
inline uint32_t word(napi_env env, napi_value value) { return word(Napi::Value(env, value)); }
inline uint64_t natural(napi_env env, napi_value value) { return natural(Napi::Value(env, value)); }

inline std::string text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

// Sets a process's `pid`, and `foreignPid` if the pid belongs to another pid namespace.
inline void setPid(Napi::Object object, const ProcessPid& process) {
  object.Set("pid", number(object.Env(), process.pid));
  if (process.foreign) object.Set("foreignPid", Napi::Boolean::New(object.Env(), true));
}

// An array of the results of `make` for each element.
template <class Range, class Make>
Napi::Array listOf(Napi::Env env, const Range& range, Make make) {
  auto out = Napi::Array::New(env);
  for (const auto& each : range) out.Set(out.Length(), make(env, each));
  return out;
}

// The native side of a handle argument; null, with a pending TypeError, when the value is not a handle of this kind.
template <class T>
T* unwrap(const Napi::Value& value) {
  if (value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&T::tag)) return T::Unwrap(value.As<Napi::Object>());
  Napi::TypeError::New(value.Env(), "not a handle of this kind").ThrowAsJavaScriptException();
  return nullptr;
}

// The argument that native code passes to the constructor of a class. JavaScript can reach such a constructor, but
// cannot use it without one.
template <class T>
struct HandedOver {
  static constexpr napi_type_tag tag = {0x2a3b4c5d6e7f8091, 0x1827364554637281};

  static Napi::Object make(const Napi::FunctionReference& constructor, T& value) {
    auto given = Napi::External<T>::New(constructor.Env(), &value);
    if (given.IsEmpty()) return {};  // the environment is being ended
    given.TypeTag(&tag);
    return constructor.New({given});
  }

  // Null, with a pending TypeError, when the argument is not one.
  static T* of(const Napi::CallbackInfo& info) {
    if (info[0].IsExternal() && info[0].As<Napi::External<T>>().CheckTypeTag(&tag)) return info[0].As<Napi::External<T>>().Data();
    Napi::TypeError::New(info.Env(), "only the module creates objects of this class").ThrowAsJavaScriptException();
    return nullptr;
  }
};

}  // namespace ringfence::binding
