// A region whose log is served, and the ends that use it.
#pragma once

#include "attached.h"
#include "log_ends.h"

namespace ringfence::explore {

struct Served {
  Attached server;
  std::shared_ptr<Serving> serving;
  TopicPlace topic{};

  // The topic "t" is declared. Schedules may kill a mortal server.
  explicit Served(const Geometry& geometry, bool mortal = false, Order order = orderSession);

  // Its event loop, while the schedule goes on.
  void runs();
  // A publisher whose session is admitted already.
  std::shared_ptr<Publishing> publishes(Attached& place);
  std::shared_ptr<Subscribing> subscribes(Attached& place, bool attached = true);
};

}  // namespace ringfence::explore
