#include "epochs.h"

#include "planted.h"
#include "token.h"

namespace ringfence {

namespace {

constexpr int epochShift = 24;
constexpr int stateShift = 16;

// With the checksum in its lowest bits. Each look at the log asks for it, of the head of each block.
uint64_t checked(uint64_t word) {
  const uint64_t rest = word >> stateShift;
  return rest == 0 ? 0 : rest << stateShift | (mix64(rest) & 0xffff);
}

Epoch epochOf(uint64_t word) {
  const auto state = static_cast<uint32_t>(word >> stateShift & 0xff);
  const bool sound = word == checked(word) && state <= static_cast<uint32_t>(EpochState::stopped);
  if (!sound) return {0, EpochState::unknown};
  return {word >> epochShift, static_cast<EpochState>(state)};
}

void add(Heads& heads, Epoch epoch) {
  if (epoch.state == EpochState::unknown) heads.known = false;
  if (epoch.number > heads.newest.number) heads.newest = epoch;
  if (epoch.served() && epoch.number > heads.served.number) heads.served = epoch;
}

// Reads the second word only where the first was damaged.
Epoch seenIn(const Publication& p, const Line<BlockHead, role::Sequencer>& head) {
  const Epoch first = epochOf(p.observe<&BlockHead::word>(head));
  return first.state != EpochState::unknown ? first : epochOf(p.observe<&BlockHead::again>(head));
}

}  // namespace

uint64_t headWordOf(Epoch epoch) {
  return checked(epoch.number << epochShift | uint64_t{static_cast<uint32_t>(epoch.state)} << stateShift);
}

Epoch epochIn(const BlockHead& head) {
  const Epoch first = epochOf(head.word);
  return first.state != EpochState::unknown ? first : epochOf(head.again);
}

// SYNC: observes the heads; pairs with the publishes in Sequencer::publishHead.
Heads headsOf(const Region& region) {
  const Publication p = region.publication();
  Heads heads;
  for (uint64_t block = 0; block < region.layout().geometry.epochBlocks; block += 1) {
    add(heads, seenIn(p, region.blockHead(block).head));
  }
  return heads;
}

Heads headsOf(const Region& region, const Fenced& fenced) {
  const Publication p = region.publication();
  Heads heads;
  for (uint64_t block = 0; block < region.layout().geometry.epochBlocks; block += 1) {
    const auto& head = region.blockHead(block).head;
    const Epoch first = epochOf(p.observeBehind<&BlockHead::word>(fenced, head));
    add(heads, first.state != EpochState::unknown ? first : epochOf(p.observeBehind<&BlockHead::again>(fenced, head)));
  }
  return heads;
}

Epoch epochAt(const Region& region, uint64_t block) { return seenIn(region.publication(), region.blockHead(block).head); }

bool logRecoverable(const Heads& heads) { return heads.served.state == EpochState::serving; }

bool EpochView::look() {
  const Heads heads = headsOf(*region_);
  if (!heads.known) return false;
  if (planted("an old epoch is believed") && heads.served.number != 0) {
    epoch_ = heads.served.number;
    return true;
  }
  if (heads.served.number != heads.newest.number && heads.served.number != 0) return false;
  epoch_ = heads.served.number;
  return true;
}

bool EpochView::believes() const { return believes(region_->publication().fullFence()); }

// SYNC: looks at the heads behind the reads; a candidate announces its epoch, fences, and then reads the former epoch
// (Sequencer::announce).
bool EpochView::believes(const Fenced& fenced) const {
  if (planted("an old epoch is believed")) return true;
  const Heads heads = headsOf(*region_, fenced);
  if (!heads.known || heads.served.number != epoch_) return false;
  return epoch_ == 0 || heads.newest.number == epoch_;
}

}  // namespace ringfence
