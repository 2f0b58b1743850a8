#include "region_handle.h"

#include <cstdio>

#include "constructors.h"
#include "fault.h"
#include "log_snapshot.h"
#include "region/server.h"
#include "task.h"
#include "values.h"

namespace ringfence::binding {

const napi_type_tag ProgressHandle::tag = {0x1d4e6f8091a2b3c4, 0x0f1e2d3c4b5a6978};

namespace {

Geometry geometryOf(const Napi::Value& value) {
  const auto sizes = value.As<Napi::Float64Array>();
  Geometry g{};
  if (sizes.ElementLength() < 13) return g;
  const auto word = [&sizes](size_t at) { return static_cast<uint32_t>(sizes[at]); };
  g.brokers = word(0);
  g.clients = word(1);
  g.topics = word(2);
  g.readers = word(3);
  g.laneSlots = word(4);
  g.indexEntries = word(5);
  g.epochBlocks = word(6);
  g.processes = word(7);
  g.lanePayloadBytes = static_cast<uint64_t>(sizes[8]);
  g.batchBytes = static_cast<uint64_t>(sizes[9]);
  g.rings = word(10);
  g.ringReaders = word(11);
  g.ringBytes = static_cast<uint64_t>(sizes[12]);
  return g;
}

Napi::Array geometryArray(Napi::Env env, const Geometry& g) {
  const uint64_t sizes[] = {g.brokers,          g.clients,    g.topics, g.readers,     g.laneSlots, g.indexEntries, g.epochBlocks, g.processes,
                            g.lanePayloadBytes, g.batchBytes, g.rings,  g.ringReaders, g.ringBytes};
  auto out = Napi::Array::New(env, std::size(sizes));
  for (uint32_t i = 0; i < std::size(sizes); i += 1) out.Set(i, number(env, sizes[i]));
  return out;
}

}  // namespace

// --- progress ----------------------------------------------------------------------------------------------------

Napi::Function ProgressHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Progress",
      {InstanceMethod<&ProgressHandle::bytes>("bytes"), InstanceMethod<&ProgressHandle::cancel>("cancel")});
}

ProgressHandle::ProgressHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) { Value().TypeTag(&tag); }

Napi::Value ProgressHandle::bytes(const Napi::CallbackInfo& info) {
  return number(info.Env(), shared_->faultedBytes.load(std::memory_order_relaxed));
}

void ProgressHandle::cancel(const Napi::CallbackInfo&) { shared_->cancelled.store(true, std::memory_order_relaxed); }

// --- opening and closing -----------------------------------------------------------------------------------------

Napi::Function RegionHandle::define(Napi::Env env) {
  return DefineClass(env, "Region",
                     {InstanceMethod<&RegionHandle::info>("info"),
                      InstanceMethod<&RegionHandle::processes>("processes"),
                      InstanceMethod<&RegionHandle::processAlive>("processAlive"),
                      InstanceMethod<&RegionHandle::reattach>("reattach"),
                      InstanceMethod<&RegionHandle::hold>("hold"),
                      InstanceMethod<&RegionHandle::closeRegion>("close"),
                      InstanceMethod<&RegionHandle::startWaiter>("startWaiter"),
                      InstanceMethod<&RegionHandle::waiterHeard>("waiterHeard"),
                      InstanceMethod<&RegionHandle::armWaiter>("armWaiter"),
                      InstanceMethod<&RegionHandle::disarmWaiter>("disarmWaiter"),
                      InstanceMethod<&RegionHandle::beginLook>("beginLook"),
                      InstanceMethod<&RegionHandle::endLook>("endLook"),
                      InstanceMethod<&RegionHandle::lives>("lives"),
                      InstanceMethod<&RegionHandle::replaced>("replaced"),
                      InstanceMethod<&RegionHandle::wakeProcess>("wakeProcess"),
                      InstanceMethod<&RegionHandle::serverState>("serverState"),
                      InstanceMethod<&RegionHandle::server>("server"),
                      InstanceMethod<&RegionHandle::epochs>("epochs"),
                      InstanceMethod<&RegionHandle::laneBuffer>("laneBuffer"),
                      InstanceMethod<&RegionHandle::rings>("rings"),
                      InstanceMethod<&RegionHandle::ringOpenings>("ringOpenings"),
                      InstanceMethod<&RegionHandle::ringReaders>("ringReaders"),
                      InstanceMethod<&RegionHandle::ringReaderName>("ringReaderName"),
                      InstanceMethod<&RegionHandle::openRingWriter>("openRingWriter"),
                      InstanceMethod<&RegionHandle::openRingReader>("openRingReader"),
                      InstanceMethod<&RegionHandle::topics>("topics"),
                      InstanceMethod<&RegionHandle::declareTopic>("declareTopic"),
                      InstanceMethod<&RegionHandle::restoreTopic>("restoreTopic"),
                      InstanceMethod<&RegionHandle::restoreIdentity>("restoreIdentity"),
                      InstanceMethod<&RegionHandle::identityName>("identityName"),
                      InstanceMethod<&RegionHandle::keepTopic>("keepTopic"),
                      InstanceMethod<&RegionHandle::declareIdentity>("declareIdentity"),
                      InstanceMethod<&RegionHandle::openSession>("openSession"),
                      InstanceMethod<&RegionHandle::sessionsEnding>("sessionsEnding"),
                      InstanceMethod<&RegionHandle::openReader>("openReader"),
                      InstanceMethod<&RegionHandle::readersEnding>("readersEnding"),
                      InstanceMethod<&RegionHandle::cursors>("cursors"),
                      InstanceMethod<&RegionHandle::holdCursor>("holdCursor"),
                      InstanceMethod<&RegionHandle::commitCursor>("commitCursor"),
                      InstanceMethod<&RegionHandle::touchCursor>("touchCursor"),
                      InstanceMethod<&RegionHandle::leaveCursor>("leaveCursor"),
                      InstanceMethod<&RegionHandle::restoreCursor>("restoreCursor"),
                      InstanceMethod<&RegionHandle::cursorsStored>("cursorsStored"),
                      InstanceMethod<&RegionHandle::startSequencer>("startSequencer"),
                      InstanceMethod<&RegionHandle::grantLanes>("grantLanes"),
                      InstanceMethod<&RegionHandle::snapshot>("snapshot")});
}

Napi::Value RegionHandle::make(Napi::Env env, std::shared_ptr<Region> region) {
  return HandedOver<std::shared_ptr<Region>>::make(constructorsOf(env).region, region);
}

RegionHandle::RegionHandle(const Napi::CallbackInfo& info)
    : ObjectWrap(info), buffers_(std::make_shared<LentBuffers>(info.Env())) {
  auto* region = HandedOver<std::shared_ptr<Region>>::of(info);
  if (region != nullptr) region_ = std::move(*region);
}

Napi::Value createRegion(const Napi::CallbackInfo& info) {
  CreateOptions options;
  options.path = text(info[0]);
  options.processName = text(info[1]);
  options.geometry = geometryOf(info[2]);
  options.mode = word(info[3]);
  options.group = info[4].As<Napi::Number>().Int64Value();
  options.prefault = info[5].As<Napi::Boolean>();
  options.numaNode = info[6].As<Napi::Number>().Int32Value();
  options.coherence = info[7].As<Napi::Boolean>() ? Coherence::flushed : Coherence::coherent;
  const auto* progress = unwrap<ProgressHandle>(info[8]);
  if (progress == nullptr) return {};
  auto region = std::make_shared<std::shared_ptr<Region>>();
  return Task::start(
      info.Env(), [options, region, shared = progress->shared()] { return Region::create(options, shared.get(), *region); },
      [region](Napi::Env env) { return RegionHandle::make(env, std::move(*region)); });
}

Napi::Value attachRegion(const Napi::CallbackInfo& info) {
  AttachOptions options;
  options.path = text(info[0]);
  options.processName = text(info[1]);
  options.allowForeign = info[2].As<Napi::Boolean>();
  std::shared_ptr<Region> region;
  const Status status = Region::attach(options, region);
  return status.ok() ? RegionHandle::make(info.Env(), std::move(region)) : throwFault(info.Env(), status);
}

Napi::Value RegionHandle::reattach(const Napi::CallbackInfo& info) {
  const Region* other = open(info.Env());
  if (other == nullptr) return {};
  std::shared_ptr<Region> region;
  const Status status = Region::reattach(*other, text(info[0]), region);
  return status.ok() ? make(info.Env(), std::move(region)) : throwFault(info.Env(), status);
}

Region* RegionHandle::open(Napi::Env env) const {
  if (region_ != nullptr && !region_->closed()) return region_.get();
  throwFault(env, Status::failed("closed", "the region is closed"));
  return nullptr;
}

void RegionHandle::hold(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  if (region == nullptr) return;
  const Status status = region->hold();
  if (!status.ok()) throwFault(info.Env(), status);
}

void RegionHandle::closeRegion(const Napi::CallbackInfo&) { close(); }

void RegionHandle::close() {
  if (region_ == nullptr) return;
  if (sequencer_ != nullptr) sequencer_->stop();
  endWaiter();
  buffers_->detach();
  region_->close();
  region_.reset();
}

// --- the waiter --------------------------------------------------------------------------------------------------

void RegionHandle::onWake(Napi::Env env, Napi::Function callback, std::nullptr_t*, void*) {
  if (static_cast<napi_env>(env) != nullptr && !callback.IsEmpty()) callback.Call({});
}

// Forget the hook: the ending environment removes it on its own.
void RegionHandle::closeAtExit(RegionHandle* handle) {
  handle->atExit_ = {};
  handle->close();
}

// startWaiter(wake, polls): the FIFO that the caller polls, if it wants to and there is one to be had; else -1, and a thread
// calls `wake` on the event loop, at most once for each arming. The thread may also come later (Waiter::look).
Napi::Value RegionHandle::startWaiter(const Napi::CallbackInfo& info) {
  const auto fifo = [&info](int fd) { return Napi::Number::New(info.Env(), fd); };
  if (open(info.Env()) == nullptr || waiter_ != nullptr) return fifo(-1);
  wake_ = Wake::New(info.Env(), info[0].As<Napi::Function>(), "ringfence", 0, 1);
  if (info.Env().IsExceptionPending()) return {};
  // Register this hook after the thread-safe function's own, so that it runs first and joins the thread while the
  // function can still be called.
  atExit_ = info.Env().AddCleanupHook(closeAtExit, this);
  wake_.Unref(info.Env());
  waiter_ = std::make_unique<Waiter>(region_, [wake = wake_] { wake.NonBlockingCall(); });
  const int fd = info[1].ToBoolean() ? polledFifo(info.Env()) : -1;
  if (fd >= 0) return fifo(fd);
  const Status started = waiter_->start();
  if (started.ok()) return fifo(-1);
  endWaiter();
  return throwFault(info.Env(), started);
}

// A FIFO without looks would leave deaths unseen, and a lost ring without end: so a runtime without timers has the thread.
int RegionHandle::polledFifo(Napi::Env env) {
  auto looking = std::make_unique<LoopTimer>(env, Waiter::lookMillis, [this] { look(); });
  const int fd = looking->usable() ? waiter_->listen() : -1;
  if (fd >= 0) looking_ = std::move(looking);
  return fd;
}

// waiterHeard(): the caller has emptied its FIFO. Whether it must look at what it waits for.
Napi::Value RegionHandle::waiterHeard(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), waiter_ != nullptr && waiter_->heard());
}

// armWaiter(reasons): SleepBits.
void RegionHandle::armWaiter(const Napi::CallbackInfo& info) {
  if (open(info.Env()) == nullptr || waiter_ == nullptr) return;
  // Who polls keeps the process alive by that.
  if (looking_ == nullptr) wake_.Ref(info.Env());
  armedSinceLook_ = true;
  if (looking_ != nullptr) looking_->start();
  waiter_->arm(word(info[0]));
}

void RegionHandle::disarmWaiter(const Napi::CallbackInfo& info) {
  if (waiter_ == nullptr) return;
  waiter_->disarm();
  wake_.Unref(info.Env());
}

// Ends once nothing has waited since the last look, so that an idle process is not woken.
void RegionHandle::look() {
  if (!armedSinceLook_) return looking_->stop();
  armedSinceLook_ = waiter_->armed();
  if (waiter_->look()) wake_.NonBlockingCall();
}

// beginLook(others): whether this process may look instead of sleeping: no more than so many others do.
Napi::Value RegionHandle::beginLook(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), region_ != nullptr && !region_->closed() && region_->beginLook(word(info[0])));
}

void RegionHandle::endLook(const Napi::CallbackInfo&) {
  if (region_ != nullptr && !region_->closed()) region_->endLook();
}

void RegionHandle::endWaiter() {
  if (waiter_ == nullptr) return;
  looking_.reset();
  if (!atExit_.IsEmpty()) atExit_.Remove(Env());
  waiter_->stop();
  waiter_.reset();
  wake_.Abort();
}

// --- processes ---------------------------------------------------------------------------------------------------

Napi::Value RegionHandle::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Region* region = open(env);
  if (region == nullptr) return {};
  const auto& id = region->id();
  char hex[40];
  std::snprintf(hex, sizeof(hex), "%016llx%016llx", static_cast<unsigned long long>(id[0]),
                static_cast<unsigned long long>(id[1]));
  auto out = Napi::Object::New(env);
  out.Set("path", region->path());
  out.Set("regionId", Napi::String::New(env, hex));
  out.Set("bytes", number(env, region->layout().regionBytes));
  out.Set("owner", Napi::Boolean::New(env, region->owner()));
  out.Set("flushed", Napi::Boolean::New(env, region->publication().coherence() == Coherence::flushed));
  out.Set("slot", number(env, region->slot()));
  out.Set("generation", number(env, region->generation()));
  out.Set("geometry", geometryArray(env, region->layout().geometry));
  return out;
}

Napi::Value RegionHandle::processes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Region* region = open(env);
  if (region == nullptr) return {};
  auto out = Napi::Array::New(env);
  for (const ProcessView& view : region->processes()) {
    auto process = Napi::Object::New(env);
    process.Set("slot", number(env, view.slot));
    process.Set("generation", number(env, view.generation));
    setPid(process, view.pid);
    process.Set("alive", Napi::Boolean::New(env, view.alive));
    process.Set("name", view.name);
    out.Set(out.Length(), process);
  }
  return out;
}

Napi::Value RegionHandle::processAlive(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  if (region == nullptr) return {};
  return Napi::Boolean::New(info.Env(), region->processAlive(word(info[0]), natural(info[1])));
}

// The count of noticed attachments and departures of processes.
Napi::Value RegionHandle::lives(const Napi::CallbackInfo& info) {
  if (open(info.Env()) == nullptr) return {};
  return number(info.Env(), waiter_ == nullptr ? 0 : waiter_->lives());
}

Napi::Value RegionHandle::replaced(const Napi::CallbackInfo& info) {
  if (open(info.Env()) == nullptr) return {};
  return Napi::Boolean::New(info.Env(), region_->replaced());
}

// wakeProcess(slot): rings that process's doorbell if it sleeps, for any reason.
void RegionHandle::wakeProcess(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  if (region == nullptr) return;
  region->wakeProcess(region->publication().fullFence(), word(info[0]), sleepsForAll);
}

Napi::Value RegionHandle::serverState(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  if (region == nullptr) return {};
  return number(info.Env(), static_cast<uint64_t>(ringfence::serverState(*region)));
}

Napi::Value RegionHandle::server(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Region* region = open(env);
  if (region == nullptr) return {};
  const ServerView view = serverOf(*region);
  auto out = Napi::Object::New(env);
  out.Set("state", number(env, view.state));
  out.Set("alive", Napi::Boolean::New(env, view.alive));
  out.Set("own", Napi::Boolean::New(env, view.own));
  out.Set("epoch", number(env, view.epoch));
  out.Set("pulse", number(env, view.pulse));
  out.Set("recoverable", Napi::Boolean::New(env, view.recoverable));
  setPid(out, view.pid);
  out.Set("name", view.name);
  return out;
}

Napi::Value RegionHandle::epochs(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  return region == nullptr ? Napi::Value() : listOf(info.Env(), epochsOf(*region), epochObject);
}

// --- memory ------------------------------------------------------------------------------------------------------

// laneBuffer(lane): the buffer over a lane's payload, the same one until it is collected
Napi::Value RegionHandle::laneBuffer(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  if (region == nullptr) return {};
  const uint64_t lane = natural(info[0]);
  if (lane >= region->layout().lanes()) return throwFault(info.Env(), Status::failed("invalid", "there is no such lane"));
  return buffers_->over(region->laneBytes(lane), region->layout().geometry.lanePayloadBytes, region->mapping());
}

Napi::Value layoutBytes(const Napi::CallbackInfo& info) {
  const Geometry g = geometryOf(info[0]);
  return Napi::Number::New(info.Env(), geometryValid(g) ? static_cast<double>(layoutOf(g).regionBytes) : -1.0);
}

}  // namespace ringfence::binding
