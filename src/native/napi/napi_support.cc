#include "napi_support.h"

#include "log/index_reader.h"
#include "log/lane_writer.h"

namespace ringfence::binding {

namespace {

struct Work {
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
  std::function<Status()> run;
  std::function<napi_value(napi_env)> done;
  Status status;
};

}  // namespace

template <>
const napi_type_tag* tagOf<RegionHandle>() {
  static const napi_type_tag tag = {0x7f1c3a5e9b2d4c61, 0xa1b2c3d4e5f60718};
  return &tag;
}

std::string Arguments::text(size_t i) const {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, values[i], nullptr, 0, &length) != napi_ok) return {};
  std::string value(length + 1, '\0');
  napi_get_value_string_utf8(env, values[i], value.data(), value.size(), &length);
  value.resize(length);
  return value;
}

napi_value faultOf(napi_env env, const Status& status) {
  napi_value error;
  napi_create_error(env, nullptr, text(env, status.detail), &error);
  set(env, error, "fault", text(env, status.fault == nullptr ? "system" : status.fault));
  set(env, error, "wantedBytes", count(env, status.wantedBytes));
  set(env, error, "hint", text(env, status.hint));
  set(env, error, "freeBytes", count(env, status.freeBytes));
  return error;
}

napi_value throwFault(napi_env env, const Status& status) {
  napi_throw(env, faultOf(env, status));
  return nothing(env);
}

napi_value async(napi_env env, std::function<Status()> run, std::function<napi_value(napi_env)> done) {
  auto* work = new Work;
  work->run = std::move(run);
  work->done = std::move(done);
  napi_value promise;
  napi_create_promise(env, &work->deferred, &promise);
  const auto execute = [](napi_env, void* data) {
    auto* self = static_cast<Work*>(data);
    self->status = self->run();
  };
  const auto complete = [](napi_env at, napi_status status, void* data) {
    const std::unique_ptr<Work> self(static_cast<Work*>(data));
    if (status != napi_ok) self->status = Status::failed("system", "the work was cancelled");
    if (self->status.ok()) {
      napi_resolve_deferred(at, self->deferred, self->done(at));
    } else {
      napi_reject_deferred(at, self->deferred, faultOf(at, self->status));
    }
    napi_delete_async_work(at, self->work);
  };
  napi_create_async_work(env, nullptr, text(env, "ringfence"), execute, complete, work, &work->work);
  napi_queue_async_work(env, work->work);
  return promise;
}

RegionHandle* openRegion(const Arguments& arguments, size_t i) {
  auto* handle = owned<RegionHandle>(arguments, i);
  if (handle == nullptr) return nullptr;
  if (handle->region != nullptr && !handle->region->closed()) return handle;
  throwFault(arguments.env, Status::failed("closed", "the region is closed"));
  return nullptr;
}

void method(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  set(env, exports, name, function);
}

}  // namespace ringfence::binding

NAPI_MODULE_INIT() {
  ringfence::binding::registerRegion(env, exports);
  ringfence::binding::registerLog(env, exports);
  ringfence::binding::registerRing(env, exports);
  ringfence::binding::registerLifeline(env, exports);
  return exports;
}
