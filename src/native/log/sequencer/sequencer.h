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

  // Takes the lease. `busy` while another process holds it, `missing` when the region's name is gone.
  Status start();
  void stop();
  bool step();
  void pause();
  void resume();

  // Ends the sessions and readers of dead processes, and returns those readers. It also follows readers that have
  // released batches while nothing else moved.
  std::vector<DeadReader> endDead();

  // Exempts the topic from being freed. False when it has been freed or does not exist.
  bool keepTopic(TopicPlace place);

  SequencerCounters counters();
  // The last session of each slot, and the sessions that have ended since the last call but already lost their slots.
  std::vector<SessionReport> sessions();
  std::vector<GateReport> gates();

 private:
  Status begin();
  void run();
  int64_t sleepNanos() const;
  void sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const;
  void ringOwnBell() const;

  std::shared_ptr<Region> region_;
  std::mutex mutex_;  // guards the three below
  sequencing::SequencerState order_;
  bool paused_ = false;
  bool stopped_ = true;
  std::atomic<bool> stopping_{false};  // private
  Thread thread_;
};

}  // namespace ringfence
