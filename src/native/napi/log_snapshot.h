// A whole log as numbers: its topics, readers, sessions and lanes.
#pragma once

#include <napi.h>

#include "log/cursors.h"
#include "log/topics.h"
#include "region/server.h"

namespace ringfence::binding {

Napi::Object topicObject(Napi::Env env, const TopicView& topic);

Napi::Object cursorObject(Napi::Env env, const CursorView& view);

// The process of an epoch.
Napi::Object epochObject(Napi::Env env, const EpochProcess& process);

Napi::Object logSnapshot(Napi::Env env, const Region& region);

}  // namespace ringfence::binding
