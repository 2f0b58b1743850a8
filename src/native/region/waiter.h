// A process's own doorbell, and its notice of the death of other processes, which ring no doorbell. Of the processes that
// publish what it waits for, the one that takes its sleep word rings. It listens in one of two ways:
//
//   listen   the event loop polls the FIFO of its slot, and looks ten times a second while a fiber waits
//   start    a thread sleeps on the bell, and calls the event loop
//
// The thread also comes to the aid of the first way, once a process could not ring the FIFO.
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
  // A thread calls `wake` at most once for each arm(). To continue waiting, arm again.
  Waiter(std::shared_ptr<Region> region, std::function<void()> wake);
  ~Waiter();
  // Call one of the two, once. `system` when no thread can be started.
  Status start();
  // The FIFO to poll, which the caller closes ahead of stop(); -1 when there is none to be had.
  int listen();

  // On the event loop, once it has emptied the FIFO: whether it was armed, and must look at what it waits for.
  bool heard() { return disarmed(); }
  // The same ten times a second while it is armed: for deaths, and rings that did not come.
  bool look();
  static constexpr int64_t lookMillis = 100;
  bool armed() const { return armed_.load(std::memory_order_seq_cst); }
  // Whether a thread runs.
  bool threaded() const { return thread_.running(); }
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

  Status startThread();
  void run(uint32_t heard);
  bool taken() const;
  bool disarmed();
  void fire();
  bool processesChanged();
  bool livesChanged();

  std::shared_ptr<Region> region_;
  std::function<void()> wake_;
  std::atomic<bool> armed_{false};     // private
  std::atomic<bool> stopping_{false};  // private
  std::atomic<uint64_t> lives_{0};     // private
  std::vector<Seen> seen_;             // the thread's, once there is one
  bool listens_ = false;
  uint32_t unheard_ = 0;
  Thread thread_;
};

}  // namespace ringfence
