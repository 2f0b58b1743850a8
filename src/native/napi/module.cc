// The native memory module as Node.js loads it.
#include <napi.h>

#include <cerrno>
#include <memory>

#include "constructors.h"
#include "fault.h"
#include "log_snapshot.h"
#include "region/file_lock.h"
#include "region/inspection.h"
#include "region/lifeline.h"
#include "reader_handle.h"
#include "region_handle.h"
#include "ring_handles.h"
#include "sequencer_handle.h"
#include "session_handle.h"
#include "values.h"

namespace ringfence::binding {

namespace {

// inspectRegion(path)
Napi::Value inspectRegion(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Inspection found = inspect(text(info[0]));
  auto out = Napi::Object::New(env);
  out.Set("region", Napi::Boolean::New(env, found.region));
  out.Set("detail", found.detail);
  out.Set("bytes", number(env, found.bytes));
  out.Set("fault", Napi::String::New(env, found.fault));
  setPid(out, found.creator);
  out.Set("createdMillis", number(env, found.createdMillis));
  out.Set("served", Napi::Boolean::New(env, found.served));
  out.Set("recoverable", Napi::Boolean::New(env, found.recoverable));
  out.Set("serverPid", number(env, found.server.pid));
  if (found.server.foreign) out.Set("foreignServerPid", Napi::Boolean::New(env, true));
  out.Set("held", Napi::Boolean::New(env, found.held));
  out.Set("attached", number(env, found.attached));
  out.Set("temporary", Napi::Boolean::New(env, found.temporary));
  out.Set("bell", found.bell == BellFile::none ? "no" : found.bell == BellFile::ofRegion ? "used" : "left");
  out.Set("clients", number(env, found.geometry.clients));
  out.Set("laneSlots", number(env, found.geometry.laneSlots));
  out.Set("rings", number(env, found.geometry.rings));
  return out;
}

// inspectLog(path): the state of its log, read without attaching
Napi::Value inspectLog(const Napi::CallbackInfo& info) {
  std::shared_ptr<Region> region;
  const Status status = Region::look(text(info[0]), region);
  return status.ok() ? logSnapshot(info.Env(), *region) : throwFault(info.Env(), status);
}

// removeDeadRegion(path, discard)
void removeDeadRegion(const Napi::CallbackInfo& info) {
  const Status status = removeDead(text(info[0]), info[1].IsBoolean() && info[1].As<Napi::Boolean>());
  if (!status.ok()) throwFault(info.Env(), status);
}

// freeBytes(path): -1 where the file system tells it.
Napi::Value freeBytes(const Napi::CallbackInfo& info) {
  Backing backing;
  const Status status = Backing::at(text(info[0]), backing);
  if (!status.ok()) return throwFault(info.Env(), status);
  const bool known = backing.kind != Backing::Kind::file;
  return known ? number(info.Env(), backing.freeBytes) : Napi::Number::New(info.Env(), -1);
}

// holdLifeline(fd, proof, exitCode): false when it is not the lifeline; throws when no thread can watch it.
Napi::Value holdLifelineOf(const Napi::CallbackInfo& info) {
  const Status status = holdLifeline(info[0].As<Napi::Number>(), text(info[1]), info[2].As<Napi::Number>());
  const bool missing = !status.ok() && std::string(status.fault) == "missing";
  if (!status.ok() && !missing) return throwFault(info.Env(), status);
  return Napi::Boolean::New(info.Env(), !missing);
}

// lockFile(path): a function that releases the lock, an errno below 0, or the pid of its holder, 0 if unknown
Napi::Value lockFile(const Napi::CallbackInfo& info) {
  std::unique_ptr<FileLock> taken;
  int holder = 0;
  const int error = FileLock::take(text(info[0]), taken, holder);
  if (error != 0) return Napi::Number::New(info.Env(), error == EAGAIN ? holder : -error);
  std::shared_ptr<FileLock> lock = std::move(taken);
  return Napi::Function::New(info.Env(), [lock](const Napi::CallbackInfo&) { lock->release(); }, "release");
}

Napi::Object define(Napi::Env env, Napi::Object exports) {
  auto* classes = new Constructors;  // the environment owns it
  env.SetInstanceData(classes);
  classes->progress = Napi::Persistent(ProgressHandle::define(env));
  classes->region = Napi::Persistent(RegionHandle::define(env));
  classes->ringWriter = Napi::Persistent(RingWriterHandle::define(env));
  classes->ringReader = Napi::Persistent(RingReaderHandle::define(env));
  classes->session = Napi::Persistent(SessionHandle::define(env));
  classes->reader = Napi::Persistent(ReaderHandle::define(env));
  classes->sequencer = Napi::Persistent(SequencerHandle::define(env));
  exports.Set("Progress", classes->progress.Value());
  exports.Set("createRegion", Napi::Function::New<createRegion>(env, "createRegion"));
  exports.Set("attachRegion", Napi::Function::New<attachRegion>(env, "attachRegion"));
  exports.Set("inspectRegion", Napi::Function::New<inspectRegion>(env, "inspectRegion"));
  exports.Set("inspectLog", Napi::Function::New<inspectLog>(env, "inspectLog"));
  exports.Set("removeDeadRegion", Napi::Function::New<removeDeadRegion>(env, "removeDeadRegion"));
  exports.Set("freeBytes", Napi::Function::New<freeBytes>(env, "freeBytes"));
  exports.Set("layoutBytes", Napi::Function::New<layoutBytes>(env, "layoutBytes"));
  exports.Set("lockFile", Napi::Function::New<lockFile>(env, "lockFile"));
  exports.Set("holdLifeline", Napi::Function::New<holdLifelineOf>(env, "holdLifeline"));
  return exports;
}

}  // namespace

NODE_API_MODULE(ringfence, define)

}  // namespace ringfence::binding
