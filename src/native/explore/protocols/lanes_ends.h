// A subscriber of a topic of order `none`, and what it got of the sessions of the one slot.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "log/lane_reader.h"
#include "served.h"

namespace ringfence::explore {

class Taking {
 public:
  Taking(std::shared_ptr<Region> region, Claim claim, uint32_t topic = 0)
      : region_(std::move(region)), reader_(region_, topic, claim, 4) {}

  bool attach(From from);
  // `pause`, in nanoseconds: how long it holds what it takes.
  void take(uint64_t pause = 0);
  // Receives until it has that many batches, or a process has died: then it takes what there is.
  void receive(uint64_t batches, Sleeper& sleeper);

  LaneReader& reader() { return reader_; }
  uint64_t count() const { return count_; }
  // The sequences of the batches that it took of the session of that generation.
  const std::vector<uint64_t>& of(uint64_t generation) { return taken_[generation]; }
  // Whether the descriptor behind those that it took is published, in the lane of the present generation.
  bool moreIsThere() const;

 private:
  void check(const BatchView& view);

  std::shared_ptr<Region> region_;
  LaneReader reader_;
  uint64_t count_ = 0;
  std::map<uint64_t, std::vector<uint64_t>> taken_;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> last_;  // by generation and lane
};

// A reader of the log's topic, or of another one, that has its place.
std::shared_ptr<Taking> taker(Served& log, Attached& place, bool attached = true);
std::shared_ptr<Taking> takerOf(TopicPlace topic, Attached& place);

// Everything that was published in the lane since its beginning, by the sessions of those generations in turn.
uint64_t publishedBy(const Region& region, uint64_t generations);

}  // namespace ringfence::explore
