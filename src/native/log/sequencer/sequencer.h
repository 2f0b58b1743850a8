// Serves the order of a region: holds the lease, and makes one pass after another (pass.h) on a thread of its own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "region/thread.h"
#include "sequencer_state.h"

namespace ringfence {

class Sequencer {
 public:
  Sequencer(std::shared_ptr<Region> region, SequencerOptions options);
  ~Sequencer();
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;

  // Takes the lease. Fails with `busy` while another process holds it, with `missing` when the region's name is gone.
  Status start();
  void stop();
  bool step();
  void pause();
  void resume();

  // Ends what belonged to processes that are dead, and tells which readers those were. It also brings up to date what
  // readers have taken while nothing else moved.
  std::vector<DeadReader> endDead();

  // The topic is never freed from now on. False when it has been, or is none.
  bool keepTopic(TopicPlace place);

  SequencerCounters counters();
  // Those that have ended since the last call, where their slots are others' by now; and the last one of each slot.
  std::vector<SessionReport> sessions();
  std::vector<GateReport> gates();

 private:
  Status begin();
  void run();
  int64_t sleepNanos() const;
  void sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const;
  void ringOwnBell() const;

  std::shared_ptr<Region> region_;
  std::mutex mutex_;  // of the three below
  sequencing::SequencerState order_;
  bool paused_ = false;
  bool stopped_ = true;
  std::atomic<bool> stopping_{false};  // private
  Thread thread_;
};

}  // namespace ringfence
