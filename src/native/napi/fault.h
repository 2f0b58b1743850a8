// A failed status as JavaScript meets it: an Error with its fault, its sizes, and what helps.
#pragma once

#include <napi.h>

#include "region/status.h"

namespace ringfence::binding {

Napi::Error faultOf(Napi::Env env, const Status& status);

// Makes it the pending exception, and gives what a function that throws returns.
Napi::Value throwFault(Napi::Env env, const Status& status);

}  // namespace ringfence::binding
