// Serves the order of a region: takes it over from a server that is dead, holds the lock of its epoch's block, and makes one
// pass after another (pass.h) on a thread of its own, until it is stopped or another process takes the order over.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "region/epochs.h"
#include "region/thread.h"
#include "sequencer_state.h"

namespace ringfence {

class Sequencer {
 public:
  Sequencer(std::shared_ptr<Region> region, SequencerOptions options);
  ~Sequencer();
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;

  // Begins the order, or continues that of a server that is dead or, with the number of its epoch, is suspected to be
  // stuck. `busy` while another process serves it or takes it over, `blocked` when each block that may be used is held,
  // `ended` when the log has ended in good order, `missing` when the region's name is gone.
  Status start(uint64_t suspected = 0);
  // Orders what was published, and ends the log, unless it is to be kept for a server that continues it.
  void stop(bool keep = false);
  // Makes a pass by hand.
  bool step();
  // One as the thread makes it between two sleeps.
  bool stepShare();
  void pause();
  void resume();

  // Ends the sessions and readers of dead processes, and returns those readers. It also follows readers that have
  // released batches while nothing else moved.
  std::vector<DeadReader> endDead();

  // Exempts the topic from being freed. False when it has been freed or does not exist.
  bool keepTopic(TopicPlace place);

  // Whether its start has failed.
  bool failed() const { return failed_.load(std::memory_order_seq_cst); }
  // What it found at its start.
  RecoveryReport recovery();
  // The number of the epoch that has replaced this one; 0 while there is none.
  uint64_t deposedBy() const { return deposedBy_.load(std::memory_order_seq_cst); }

  SequencerCounters counters();
  // The last session of each slot, and the sessions that have ended since the last call but already lost their slots.
  std::vector<SessionReport> sessions();
  std::vector<GateReport> gates();

 private:
  Status elected(uint64_t suspected);
  Status takeOver(uint64_t suspected);
  Status lockBlock(const Heads& heads);
  Status blocked() const;
  Status announce(uint64_t& former);
  void recover(uint64_t former);
  void publishHead(EpochState state);
  bool newest(const Fenced& fenced);
  bool passOnce(bool commitNow, sequencing::Sweep sweep = sequencing::Sweep::whole);
  void depose(uint64_t by);
  void giveBack();

  void run();
  int64_t sleepNanos() const;
  void sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos);
  bool looksNewest();
  void ringOwnBell() const;

  std::shared_ptr<Region> region_;
  std::mutex starting_;  // held by the thread that starts or stops
  std::mutex mutex_;     // guards the six below
  sequencing::SequencerState order_;
  bool paused_ = false;
  bool stopped_ = true;
  bool hasBlock_ = false;
  EpochState headState_ = EpochState::free;
  RecoveryReport recovery_{};
  std::atomic<bool> stopping_{false};     // private
  std::atomic<bool> failed_{false};       // private
  std::atomic<uint64_t> deposedBy_{0};    // private
  Thread thread_;
};

}  // namespace ringfence
