#include "pass_cost.h"

#include <algorithm>
#include <memory>

#include "log/claims.h"
#include "log/lane_writer.h"
#include "log/sequencer/broker_grants.h"
#include "log/sequencer/sequencer.h"
#include "log/topics.h"
#include "region/futex.h"

namespace ringfence {

namespace {

constexpr uint32_t rounds = 9;
constexpr uint32_t passesOfRound = 4096;

Geometry geometryOf(uint32_t brokers, uint32_t clients) {
  Geometry g{};
  g.brokers = brokers;
  g.clients = clients;
  g.topics = 4;
  g.readers = 16;
  g.laneSlots = 64;
  g.indexEntries = 4096;
  g.epochBlocks = 3;
  g.processes = std::min(processesMax, 2 * clients);
  g.batchBytes = 4096;
  g.lanePayloadBytes = 64 * g.batchBytes;
  return g;
}

// A log in this process's own memory with one session, which publishes batches of one message to its lanes in turn.
class Scene {
 public:
  Status open(const Geometry& geometry);

  bool publish() {
    const uint32_t broker = static_cast<uint32_t>(sequence_ % region_->layout().geometry.brokers);
    if (lanes_->begin(broker, sequence_) < 0) return false;
    if (!lanes_->seal(broker, {sequence_, sequence_, 1, 64, 64, nullptr})) return false;
    lanes_->publish(broker);
    sequence_ += 1;
    return true;
  }
  Sequencer& sequencer() { return *sequencer_; }

 private:
  Status admit(const Claim& claim);

  std::shared_ptr<Region> region_;
  std::unique_ptr<Sequencer> sequencer_;
  std::unique_ptr<LaneWriter> lanes_;
  uint64_t sequence_ = 0;
};

Status Scene::open(const Geometry& geometry) {
  CreateOptions options;
  options.geometry = geometry;
  options.processName = "pass-cost";
  options.prefault = false;
  Status status = Region::create(options, nullptr, region_);
  if (!status.ok()) return status;
  SequencerOptions manual;
  manual.manual = true;
  sequencer_ = std::make_unique<Sequencer>(region_, manual);
  TopicView topic;
  Claim claim;
  status = sequencer_->start();
  if (status.ok()) status = declareTopic(*region_, "passes", orderSession, 1, topic);
  if (status.ok()) status = claimClient(*region_, {topic.index, topic.generation}, claim);
  return status.ok() ? admit(claim) : status;
}

Status Scene::admit(const Claim& claim) {
  lanes_ = std::make_unique<LaneWriter>(region_, claim);
  for (int i = 0; i < 3 && !lanes_->ready(); i += 1) {
    sequencer_->step();
    for (uint32_t b = 0; b < region_->layout().geometry.brokers; b += 1) grantLanes(*region_, b);
  }
  return lanes_->ready() ? Status::fine() : Status::failed("system", "the session was not admitted");
}

// The least of some rounds: what disturbs a round only makes it longer.
template <class Each>
double leastNanos(Each each) {
  uint64_t least = ~uint64_t{0};
  for (uint32_t round = 0; round < rounds; round += 1) {
    const uint64_t began = monotonicNanos();
    for (uint32_t i = 0; i < passesOfRound; i += 1) each();
    least = std::min(least, monotonicNanos() - began);
  }
  return static_cast<double>(least) / passesOfRound;
}

}  // namespace

Status passCost(uint32_t brokers, uint32_t clients, PassCost& cost) {
  Scene scene;
  const Status status = scene.open(geometryOf(brokers, clients));
  if (!status.ok()) return status;
  Sequencer& sequencer = scene.sequencer();
  bool published = true;
  cost.batchNanos = leastNanos([&] {
    published = scene.publish() && published;
    sequencer.stepShare();
  });
  cost.idleNanos = leastNanos([&] { sequencer.stepShare(); });
  cost.wholeNanos = leastNanos([&] { sequencer.step(); });
  return published ? Status::fine() : Status::failed("system", "a lane stayed full");
}

}  // namespace ringfence
