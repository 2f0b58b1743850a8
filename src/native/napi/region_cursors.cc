// A region's named cursors.
#include "fault.h"
#include "log_snapshot.h"
#include "log/cursors.h"
#include "region_handle.h"
#include "topic_argument.h"
#include "values.h"

namespace ringfence::binding {

namespace {

CursorHold holdAt(const Napi::CallbackInfo& info, size_t at) { return {word(info[at]), word(info[at + 1])}; }

Napi::Value done(Napi::Env env, const Status& status) {
  return status.ok() ? Napi::Boolean::New(env, true) : throwFault(env, status);
}

}  // namespace

// cursors(): the monotonic clock ahead of the look, the cursors, and how many slots were damaged
Napi::Value RegionHandle::cursors(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  if (region == nullptr) return {};
  const CursorLook look = lookAtCursors(*region);
  auto out = Napi::Object::New(info.Env());
  out.Set("micros", number(info.Env(), look.micros));
  out.Set("cursors", listOf(info.Env(), look.cursors, cursorObject));
  out.Set("damaged", number(info.Env(), look.damaged));
  return out;
}

// holdCursor(topic, topicGeneration, name, expiresMillis, nowMillis, takeOver)
Napi::Value RegionHandle::holdCursor(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  TopicPlace topic{};
  if (region == nullptr || !placeAt(info, *region, 0, topic)) return {};
  const CursorRequest request{text(info[2]), natural(info[3]), natural(info[4]), info[5].As<Napi::Boolean>()};
  CursorHold hold;
  CursorView view;
  const Status status = ringfence::holdCursor(*region, topic, request, hold, view);
  return status.ok() ? cursorObject(info.Env(), view) : throwFault(info.Env(), status);
}

// commitCursor(index, holding, position, nowMillis, wanted): the monotonic clock behind the commit
Napi::Value RegionHandle::commitCursor(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  if (region == nullptr) return {};
  const CursorCommit commit{natural(info[2]), natural(info[3]), info[4].As<Napi::Boolean>()};
  uint64_t micros = 0;
  const Status status = ringfence::commitCursor(*region, holdAt(info, 0), commit, micros);
  return status.ok() ? number(info.Env(), micros) : throwFault(info.Env(), status);
}

// touchCursor(index, holding, nowMillis)
Napi::Value RegionHandle::touchCursor(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  return region == nullptr ? Napi::Value() : done(info.Env(), ringfence::touchCursor(*region, holdAt(info, 0), natural(info[2])));
}

// leaveCursor(index, holding, nowMillis)
Napi::Value RegionHandle::leaveCursor(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  return region == nullptr ? Napi::Value() : done(info.Env(), ringfence::leaveCursor(*region, holdAt(info, 0), natural(info[2])));
}

// restoreCursor(topic, topicGeneration, name, expiresMillis, nowMillis, position, touchedMillis)
Napi::Value RegionHandle::restoreCursor(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  TopicPlace topic{};
  if (region == nullptr || !placeAt(info, *region, 0, topic)) return {};
  const CursorRequest request{text(info[2]), natural(info[3]), natural(info[4])};
  return done(info.Env(), ringfence::restoreCursor(*region, topic, request, natural(info[5]), natural(info[6])));
}

// cursorsStored(topic, micros): whether the required replicas have what the topic's cursors said until then
Napi::Value RegionHandle::cursorsStored(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  const uint32_t topic = word(info[0]);
  if (region == nullptr || topic >= region->layout().geometry.topics) return {};
  return Napi::Boolean::New(info.Env(), ringfence::cursorsStored(*region, topic, natural(info[1])));
}

}  // namespace ringfence::binding
