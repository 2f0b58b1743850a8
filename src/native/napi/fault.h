// A failed status as a JavaScript Error, with its fault, its sizes, and the next step.
#pragma once

#include <napi.h>

#include "region/status.h"

namespace ringfence::binding {

Napi::Error faultOf(Napi::Env env, const Status& status);

// Makes it the pending exception, and returns the value for a callback that throws.
Napi::Value throwFault(Napi::Env env, const Status& status);

}  // namespace ringfence::binding
