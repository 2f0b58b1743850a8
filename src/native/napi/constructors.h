// The classes of an environment: each environment that loads the module has its own.
#pragma once

#include <napi.h>

namespace ringfence::binding {

struct Constructors {
  Napi::FunctionReference progress;
  Napi::FunctionReference region;
  Napi::FunctionReference ringWriter;
  Napi::FunctionReference ringReader;
  Napi::FunctionReference session;
  Napi::FunctionReference reader;
  Napi::FunctionReference sequencer;
};

inline Constructors& constructorsOf(Napi::Env env) { return *env.GetInstanceData<Constructors>(); }

}  // namespace ringfence::binding
