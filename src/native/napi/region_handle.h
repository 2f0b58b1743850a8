// JavaScript's handle of a region: one for each attachment and environment.
#pragma once

#include <napi.h>

#include <memory>

#include "buffers.h"
#include "loop_timer.h"
#include "log/sequencer/sequencer.h"
#include "region/region.h"
#include "region/waiter.h"

namespace ringfence::binding {

// Shared by the caller that waits for a region and the thread that creates it.
class ProgressHandle : public Napi::ObjectWrap<ProgressHandle> {
 public:
  static const napi_type_tag tag;
  static Napi::Function define(Napi::Env env);
  explicit ProgressHandle(const Napi::CallbackInfo& info);

  const std::shared_ptr<CreateProgress>& shared() const { return shared_; }

 private:
  Napi::Value bytes(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);

  std::shared_ptr<CreateProgress> shared_ = std::make_shared<CreateProgress>();
};

class RegionHandle : public Napi::ObjectWrap<RegionHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::shared_ptr<Region> region);
  explicit RegionHandle(const Napi::CallbackInfo& info);
  ~RegionHandle() override { close(); }

 private:
  // The region, or null with a pending `closed` fault.
  Region* open(Napi::Env env) const;

  // Called on the event loop for a wake-up, at most once for each arming.
  static void onWake(Napi::Env env, Napi::Function callback, std::nullptr_t*, void*);
  using Wake = Napi::TypedThreadSafeFunction<std::nullptr_t, void, onWake>;

  // Stops the threads, detaches the buffers, gives up memory and process slot. Safe to call twice.
  void close();
  void endWaiter();
  int polledFifo(Napi::Env env);
  void look();
  static void closeAtExit(RegionHandle* handle);

  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value processes(const Napi::CallbackInfo& info);
  Napi::Value processAlive(const Napi::CallbackInfo& info);
  Napi::Value reattach(const Napi::CallbackInfo& info);
  void hold(const Napi::CallbackInfo& info);
  void closeRegion(const Napi::CallbackInfo& info);
  Napi::Value startWaiter(const Napi::CallbackInfo& info);
  Napi::Value waiterHeard(const Napi::CallbackInfo& info);
  void armWaiter(const Napi::CallbackInfo& info);
  void disarmWaiter(const Napi::CallbackInfo& info);
  Napi::Value beginLook(const Napi::CallbackInfo& info);
  void endLook(const Napi::CallbackInfo& info);
  Napi::Value lives(const Napi::CallbackInfo& info);
  Napi::Value replaced(const Napi::CallbackInfo& info);
  void wakeProcess(const Napi::CallbackInfo& info);
  Napi::Value serverState(const Napi::CallbackInfo& info);
  Napi::Value server(const Napi::CallbackInfo& info);
  Napi::Value epochs(const Napi::CallbackInfo& info);
  Napi::Value laneBuffer(const Napi::CallbackInfo& info);
  Napi::Value rings(const Napi::CallbackInfo& info);
  Napi::Value ringOpenings(const Napi::CallbackInfo& info);
  Napi::Value ringReaders(const Napi::CallbackInfo& info);
  Napi::Value ringReaderName(const Napi::CallbackInfo& info);
  Napi::Value openRingWriter(const Napi::CallbackInfo& info);
  Napi::Value openRingReader(const Napi::CallbackInfo& info);

  Napi::Value topics(const Napi::CallbackInfo& info);
  Napi::Value declareTopic(const Napi::CallbackInfo& info);
  Napi::Value restoreTopic(const Napi::CallbackInfo& info);
  Napi::Value restoreIdentity(const Napi::CallbackInfo& info);
  Napi::Value identityName(const Napi::CallbackInfo& info);
  Napi::Value keepTopic(const Napi::CallbackInfo& info);
  Napi::Value declareIdentity(const Napi::CallbackInfo& info);
  Napi::Value openSession(const Napi::CallbackInfo& info);
  Napi::Value sessionsEnding(const Napi::CallbackInfo& info);
  Napi::Value openReader(const Napi::CallbackInfo& info);
  Napi::Value readersEnding(const Napi::CallbackInfo& info);
  Napi::Value cursors(const Napi::CallbackInfo& info);
  Napi::Value holdCursor(const Napi::CallbackInfo& info);
  Napi::Value commitCursor(const Napi::CallbackInfo& info);
  Napi::Value touchCursor(const Napi::CallbackInfo& info);
  Napi::Value leaveCursor(const Napi::CallbackInfo& info);
  Napi::Value restoreCursor(const Napi::CallbackInfo& info);
  Napi::Value cursorsStored(const Napi::CallbackInfo& info);
  Napi::Value startSequencer(const Napi::CallbackInfo& info);
  Napi::Value grantLanes(const Napi::CallbackInfo& info);
  Napi::Value snapshot(const Napi::CallbackInfo& info);

  std::shared_ptr<Region> region_;
  std::shared_ptr<Sequencer> sequencer_;
  std::shared_ptr<LentBuffers> buffers_;
  std::unique_ptr<Waiter> waiter_;
  std::unique_ptr<LoopTimer> looking_;  // of a waiter that polls
  bool armedSinceLook_ = false;
  Wake wake_;
  Napi::Env::CleanupHook<void (*)(RegionHandle*), RegionHandle> atExit_;
};

// createRegion(path, name, geometry: Float64Array, mode, group, prefault, progress): Promise<Region>
Napi::Value createRegion(const Napi::CallbackInfo& info);
// attachRegion(path, name, allowForeign): Region
Napi::Value attachRegion(const Napi::CallbackInfo& info);
// layoutBytes(geometry: Float64Array): bytes of the region, -1 when the sizes are impossible
Napi::Value layoutBytes(const Napi::CallbackInfo& info);

}  // namespace ringfence::binding
