// The log as the module's functions: each file registers those of its subject.
#pragma once

#include <node_api.h>

#include <cstddef>

#include "log/topics.h"
#include "napi_support.h"

namespace ringfence::binding {

napi_value topicObject(napi_env env, const TopicView& topic);

// Of the two arguments from `at` on. False, with an error, where the region has no such place.
bool placeAt(const Arguments& arguments, const Region& region, size_t at, TopicPlace& place);

void registerTopics(napi_env env, napi_value exports);
void registerSessions(napi_env env, napi_value exports);
void registerReaders(napi_env env, napi_value exports);
void registerSequencer(napi_env env, napi_value exports);
void registerReports(napi_env env, napi_value exports);

}  // namespace ringfence::binding
