#include "napi_support.h"
#include "region/inspection.h"
#include "region/server.h"

namespace ringfence::binding {

namespace {

struct Progress {
  std::shared_ptr<CreateProgress> shared = std::make_shared<CreateProgress>();
};

void closeAtExit(void* data) { static_cast<RegionHandle*>(data)->close(); }

void onWake(napi_env env, napi_value callback, void*, void*) {
  if (env == nullptr || callback == nullptr) return;
  napi_value receiver;
  napi_get_undefined(env, &receiver);
  napi_call_function(env, receiver, callback, 0, nullptr, nullptr);
}

napi_value wrapRegion(napi_env env, std::shared_ptr<Region> region) {
  auto* handle = new RegionHandle;
  handle->env = env;
  handle->buffers = std::make_unique<LentBuffers>(env);
  handle->region = std::move(region);
  return own(env, handle);
}

Geometry geometryOf(const Arguments& arguments, size_t i) {
  size_t elements = 0;
  const auto* sizes = arguments.array<double>(i, elements);
  Geometry g{};
  if (sizes == nullptr || elements < 13) return g;
  const auto word = [sizes](size_t at) { return static_cast<uint32_t>(sizes[at]); };
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

napi_value geometryArray(napi_env env, const Geometry& g) {
  const double sizes[] = {double(g.brokers),      double(g.clients),     double(g.topics),    double(g.readers),
                          double(g.laneSlots),    double(g.indexEntries), double(g.epochBlocks), double(g.processes),
                          double(g.lanePayloadBytes), double(g.batchBytes), double(g.rings), double(g.ringReaders), double(g.ringBytes)};
  napi_value out;
  napi_create_array_with_length(env, std::size(sizes), &out);
  for (uint32_t i = 0; i < std::size(sizes); i += 1) napi_set_element(env, out, i, number(env, sizes[i]));
  return out;
}

napi_value newProgress(napi_env env, napi_callback_info) { return own(env, new Progress); }

napi_value progressBytes(napi_env env, napi_callback_info info) {
  const auto* progress = owned<Progress>(Arguments(env, info), 0);
  return progress == nullptr ? nothing(env) : count(env, progress->shared->faultedBytes.load(std::memory_order_relaxed));
}

napi_value cancelCreation(napi_env env, napi_callback_info info) {
  const auto* progress = owned<Progress>(Arguments(env, info), 0);
  if (progress != nullptr) progress->shared->cancelled.store(true, std::memory_order_relaxed);  // private
  return nothing(env);
}

// createRegion(path, name, geometry: Float64Array, mode, group, prefault, progress): Promise<handle>
napi_value createRegion(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  CreateOptions options;
  options.path = arguments.text(0);
  options.processName = arguments.text(1);
  options.geometry = geometryOf(arguments, 2);
  options.mode = arguments.word(3);
  options.group = arguments.integer(4);
  options.prefault = arguments.boolean(5);
  const auto* progress = owned<Progress>(arguments, 6);
  if (progress == nullptr) return nothing(env);
  auto region = std::make_shared<std::shared_ptr<Region>>();
  return async(
      env, [options, region, shared = progress->shared] { return Region::create(options, shared.get(), *region); },
      [region](napi_env at) { return wrapRegion(at, std::move(*region)); });
}

// attachRegion(path, name, allowForeign): handle
napi_value attachRegion(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  AttachOptions options;
  options.path = arguments.text(0);
  options.processName = arguments.text(1);
  options.allowForeign = arguments.boolean(2);
  std::shared_ptr<Region> region;
  const Status status = Region::attach(options, region);
  return status.ok() ? wrapRegion(env, std::move(region)) : throwFault(env, status);
}

napi_value reattachRegion(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* other = openRegion(arguments, 0);
  if (other == nullptr) return nothing(env);
  std::shared_ptr<Region> region;
  const Status status = Region::reattach(*other->region, arguments.text(1), region);
  return status.ok() ? wrapRegion(env, std::move(region)) : throwFault(env, status);
}

napi_value regionInfo(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  const Region& region = *handle->region;
  const uint64_t* id = region.header().identity.regionId;
  char hex[40];
  std::snprintf(hex, sizeof(hex), "%016llx%016llx", static_cast<unsigned long long>(id[0]),
                static_cast<unsigned long long>(id[1]));
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "path", text(env, region.path()));
  set(env, out, "regionId", text(env, hex));
  set(env, out, "bytes", count(env, region.layout().regionBytes));
  set(env, out, "owner", truth(env, region.owner()));
  set(env, out, "slot", count(env, region.slot()));
  set(env, out, "generation", count(env, region.generation()));
  set(env, out, "geometry", geometryArray(env, region.layout().geometry));
  return out;
}

napi_value processes(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const ProcessView& view : handle->region->processes()) {
    napi_value process;
    napi_create_object(env, &process);
    set(env, process, "slot", count(env, view.slot));
    set(env, process, "generation", count(env, view.generation));
    setPid(env, process, view.pid);
    set(env, process, "alive", truth(env, view.alive));
    set(env, process, "name", text(env, view.name));
    napi_set_element(env, out, i++, process);
  }
  return out;
}

napi_value holdRegion(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  const Status status = handle->region->hold();
  return status.ok() ? nothing(env) : throwFault(env, status);
}

napi_value closeRegion(napi_env env, napi_callback_info info) {
  auto* handle = owned<RegionHandle>(Arguments(env, info), 0);
  if (handle != nullptr) handle->close();
  return nothing(env);
}

// startWaiter(region, wake): `wake` is called on the event loop, at most once for each arm.
napi_value startWaiter(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || handle->waiter != nullptr) return nothing(env);
  const napi_status status = napi_create_threadsafe_function(
      env, arguments.values[1], nullptr, text(env, "ringfence"), 0, 1, nullptr, nullptr, nullptr, onWake, &handle->wake);
  if (status != napi_ok) return throwFault(env, Status::failed("system", "no thread-safe function"));
  // Registered after the function's own hook, so that it runs before it: the thread is joined while it is callable.
  napi_add_env_cleanup_hook(env, closeAtExit, handle);
  napi_unref_threadsafe_function(env, handle->wake);
  handle->waiter = std::make_unique<Waiter>(
      handle->region, [wake = handle->wake] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); });
  const Status started = handle->waiter->start();
  if (started.ok()) return nothing(env);
  handle->endWaiter();
  return throwFault(env, started);
}

// armWaiter(region, reasons): `reasons` are SleepBits.
napi_value armWaiter(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || handle->waiter == nullptr) return nothing(env);
  napi_ref_threadsafe_function(env, handle->wake);
  handle->waiter->arm(arguments.word(1));
  return nothing(env);
}

// lives(region): counts the times that processes were seen to have come or gone
napi_value lives(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  return count(env, handle->waiter == nullptr ? 0 : handle->waiter->lives());
}

// wakeProcess(region, slot): rings that process's doorbell if it sleeps, for whatever reason.
napi_value wakeProcess(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  handle->region->publication().fullFence();
  handle->region->wakeProcess(arguments.word(1), sleepsForAll);
  return nothing(env);
}

napi_value disarmWaiter(napi_env env, napi_callback_info info) {
  auto* handle = owned<RegionHandle>(Arguments(env, info), 0);
  if (handle == nullptr || handle->waiter == nullptr) return nothing(env);
  handle->waiter->disarm();
  napi_unref_threadsafe_function(env, handle->wake);
  return nothing(env);
}

napi_value serverStateOf(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  return handle == nullptr ? nothing(env) : count(env, static_cast<uint64_t>(serverState(*handle->region)));
}

napi_value server(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  const ServerView view = serverOf(*handle->region);
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "state", count(env, view.state));
  set(env, out, "alive", truth(env, view.alive));
  set(env, out, "own", truth(env, view.own));
  setPid(env, out, view.pid);
  set(env, out, "name", text(env, view.name));
  return out;
}

// laneBuffer(region, lane): the buffer over a lane's payload, the same one while it lives
napi_value laneBuffer(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  const Region& region = *handle->region;
  const uint64_t lane = arguments.natural(1);
  if (lane >= region.layout().lanes()) return throwFault(env, Status::failed("invalid", "there is no such lane"));
  return handle->buffers->over(region.payload(lane), region.layout().geometry.lanePayloadBytes, region.mapping());
}

napi_value inspectRegion(napi_env env, napi_callback_info info) {
  const Inspection found = inspect(Arguments(env, info).text(0));
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "region", truth(env, found.region));
  set(env, out, "detail", text(env, found.detail));
  set(env, out, "bytes", count(env, found.bytes));
  set(env, out, "fault", text(env, found.fault));
  setPid(env, out, found.creator);
  set(env, out, "createdMillis", count(env, found.createdMillis));
  set(env, out, "served", truth(env, found.served));
  set(env, out, "held", truth(env, found.held));
  set(env, out, "attached", count(env, found.attached));
  set(env, out, "temporary", truth(env, found.temporary));
  set(env, out, "clients", count(env, found.geometry.clients));
  set(env, out, "laneSlots", count(env, found.geometry.laneSlots));
  set(env, out, "rings", count(env, found.geometry.rings));
  return out;
}

napi_value removeDeadRegion(napi_env env, napi_callback_info info) {
  const Status status = removeDead(Arguments(env, info).text(0));
  return status.ok() ? nothing(env) : throwFault(env, status);
}

napi_value layoutBytes(napi_env env, napi_callback_info info) {
  const Geometry g = geometryOf(Arguments(env, info), 0);
  return number(env, geometryValid(g) ? static_cast<double>(layoutOf(g).regionBytes) : -1.0);
}

}  // namespace

template <>
const napi_type_tag* tagOf<Progress>() {
  static const napi_type_tag tag = {0x1d4e6f8091a2b3c4, 0x0f1e2d3c4b5a6978};
  return &tag;
}

RegionHandle::~RegionHandle() { close(); }

void RegionHandle::endWaiter() {
  if (waiter == nullptr) return;
  napi_remove_env_cleanup_hook(env, closeAtExit, this);
  waiter->stop();
  waiter.reset();
  napi_release_threadsafe_function(wake, napi_tsfn_abort);
}

void RegionHandle::close() {
  if (region == nullptr) return;
  if (sequencer != nullptr) sequencer->stop();
  endWaiter();
  buffers->detach();
  region->close();
  region.reset();
}

void registerRegion(napi_env env, napi_value exports) {
  method(env, exports, "newProgress", newProgress);
  method(env, exports, "progressBytes", progressBytes);
  method(env, exports, "cancelCreation", cancelCreation);
  method(env, exports, "createRegion", createRegion);
  method(env, exports, "attachRegion", attachRegion);
  method(env, exports, "reattachRegion", reattachRegion);
  method(env, exports, "regionInfo", regionInfo);
  method(env, exports, "processes", processes);
  method(env, exports, "holdRegion", holdRegion);
  method(env, exports, "closeRegion", closeRegion);
  method(env, exports, "startWaiter", startWaiter);
  method(env, exports, "armWaiter", armWaiter);
  method(env, exports, "disarmWaiter", disarmWaiter);
  method(env, exports, "lives", lives);
  method(env, exports, "wakeProcess", wakeProcess);
  method(env, exports, "serverState", serverStateOf);
  method(env, exports, "server", server);
  method(env, exports, "laneBuffer", laneBuffer);
  method(env, exports, "inspectRegion", inspectRegion);
  method(env, exports, "removeDeadRegion", removeDeadRegion);
  method(env, exports, "layoutBytes", layoutBytes);
}

}  // namespace ringfence::binding
