// Which epoch is the present one: the largest of all heads. Every process reads an epoch's promises through an EpochView.
//
//   candidate   announces │ full fence │ reads the former epoch
//   reader      reads the former epoch │ full fence │ looks for an announcement
//
// So either the candidate has read what the reader read, or the reader has seen the announcement and believes nothing.
#pragma once

#include <cstdint>

#include "region.h"

namespace ringfence {

struct Epoch {
  uint64_t number = 0;
  EpochState state = EpochState::free;

  bool served() const { return state == EpochState::serving || state == EpochState::stopped; }
};

uint64_t headWordOf(Epoch epoch);
// The epoch of a head, also where one of its two words was damaged; `unknown` where both were.
Epoch epochIn(const BlockHead& head);

// What the heads of all blocks say.
struct Heads {
  Epoch newest;         // in any state
  Epoch served;         // the newest that serves or has stopped
  bool known = true;    // false while a head is unknown: nothing is believed then
};

Heads headsOf(const Region& region);
Heads headsOf(const Region& region, const Fenced& fenced);

// The epoch in that block.
Epoch epochAt(const Region& region, uint64_t block);

// Whether the log was served and has not ended in good order.
bool logRecoverable(const Heads& heads);

class EpochView {
 public:
  explicit EpochView(const Region& region) : region_(&region) {}

  // Chooses the epoch whose block to read. False while none can be believed, because another one is announced: then what
  // was read last remains. True with epoch 0 before any epoch has served: then nothing is promised.
  bool look();
  uint64_t epoch() const { return epoch_; }
  // To be asked behind the reads: whether what was read of that epoch's block may be believed.
  bool believes() const;
  // The same behind a full fence that follows the reads.
  bool believes(const Fenced& fenced) const;

 private:
  const Region* region_;
  uint64_t epoch_ = 0;
};

}  // namespace ringfence
