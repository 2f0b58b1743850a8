// Turns a process's doorbell into a call on its event loop, and notices when another process is gone: the dead ring no
// doorbell.
//
// One thread per attachment. It sleeps on the process's own doorbell; of the others one rings it, namely the one that
// takes what `sleeps` says.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "region.h"
#include "thread.h"

namespace ringfence {

enum ServerState : int { serverUnknown = 0, serverServing = 1, serverDied = 2, serverStopped = 3 };

ServerState serverState(const Region& region);

class Waiter {
 public:
  // `wake` is called from the waiter's thread, at most once for each arm(). A waiter that goes on waiting arms again.
  Waiter(std::shared_ptr<Region> region, std::function<void()> wake);
  ~Waiter();
  // Once. `system` when there is no thread to be had.
  Status start();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Publishes that this process sleeps, and for what (SleepBits). The caller looks at what it waits for *after* this,
  // and sleeps only then.
  void arm(uint32_t reasons);
  // Counts the times that processes were seen to have come or gone. A waiter that is armed is woken after each.
  uint64_t lives() const { return lives_.load(std::memory_order_seq_cst); }
  // No fiber of this process waits any more: others need not ring.
  void disarm();
  // Stops and joins the thread. Nothing is called afterwards.
  void stop();

 private:
  // A process slot as it was last looked at.
  struct Seen {
    uint64_t generation;
    bool alive;
  };

  void run(uint32_t heard);
  bool taken() const;
  void fire();
  bool processesChanged();
  void lookAfterLives();

  std::shared_ptr<Region> region_;
  std::function<void()> wake_;
  std::atomic<bool> armed_{false};     // private
  std::atomic<bool> stopping_{false};  // private
  std::atomic<uint64_t> lives_{0};     // private
  std::vector<Seen> seen_;             // the thread's
  Thread thread_;
};

}  // namespace ringfence
