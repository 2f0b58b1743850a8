// A region whose log is served, and the ends that use it.
#pragma once

#include "attached.h"
#include "log_ends.h"

namespace ringfence::explore {

struct Served {
  Attached server;
  std::shared_ptr<Serving> serving;
  TopicPlace topic{};

  // The topic "t" is declared. Schedules may kill a mortal server. `copies`: replicas that must have a record, by the server.
  explicit Served(const Geometry& geometry, bool mortal = false, Order order = orderSession, Ack ack = ackOrdered,
                  uint32_t copies = 0);

  // Its event loop, while the schedule goes on.
  void runs();
  // A publisher whose session is admitted already.
  std::shared_ptr<Publishing> publishes(Attached& place);
  std::shared_ptr<Subscribing> subscribes(Attached& place, bool attached = true);
};

constexpr uint64_t pauseNanos = 30'000'000;
constexpr int pausesMax = 40;

// Tries again, with pauses, until it succeeds.
template <class Try>
void retry(const char* what, Try attempt, uint64_t nanos = pauseNanos) {
  for (int i = 0; !attempt(); i += 1) {
    if (i == pausesMax) return expect(false, what);
    Scheduler::now().giveWay(nanos);
  }
}

// A session of its own, within the schedule.
std::shared_ptr<Publishing> opened(const std::shared_ptr<Region>& region, TopicPlace topic);

}  // namespace ringfence::explore
