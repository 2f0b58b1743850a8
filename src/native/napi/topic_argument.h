// A topic's place as the arguments of a call.
#pragma once

#include <napi.h>

#include "fault.h"
#include "log/topics.h"
#include "region/region.h"
#include "values.h"

namespace ringfence::binding {

// The place named by the two arguments from `at` on. False, with a pending `invalid` fault, when there is no such
// place.
inline bool placeAt(const Napi::CallbackInfo& info, const Region& region, size_t at, TopicPlace& place) {
  place = {word(info[at]), natural(info[at + 1])};
  if (place.index < region.layout().geometry.topics) return true;
  throwFault(info.Env(), Status::failed("invalid", "there is no such topic"));
  return false;
}

}  // namespace ringfence::binding
