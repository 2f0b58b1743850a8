// Turns a process's doorbell into a call on its event loop, and notices the death of other processes, which ring no
// doorbell.
//
// One thread per attachment. It sleeps on the process's own doorbell; of the processes that publish what it waits for,
// the publisher that takes its sleep word rings.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "region.h"
#include "thread.h"

namespace ringfence {

// `serverRecovering`: a living process takes the log over from another one.
enum ServerState : int { serverUnknown = 0, serverServing = 1, serverDied = 2, serverStopped = 3, serverRecovering = 4 };

ServerState serverState(const Region& region);

class Waiter {
 public:
  // The thread calls `wake` at most once for each arm(). To continue waiting, arm again.
  Waiter(std::shared_ptr<Region> region, std::function<void()> wake);
  ~Waiter();
  // Call once. `system` when no thread can be started.
  Status start();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Publishes that this process sleeps, and for what (SleepBits). The caller must check what it waits for *after* this,
  // and only then sleep. The evidence is for a caller that checks here; JavaScript has none.
  Fenced arm(uint32_t reasons);
  // Counts the noticed attachments and departures of processes. Each wakes an armed waiter.
  uint64_t lives() const { return lives_.load(std::memory_order_seq_cst); }
  // Publishes that no fiber of this process waits, so that other processes need not ring.
  void disarm();
  // Stops and joins the thread. It calls nothing afterwards.
  void stop();

 private:
  // A process slot at the last look.
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
