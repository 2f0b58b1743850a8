#include "attached.h"

namespace ringfence::explore {

Attached::Attached(const Region& made, const std::string& name, bool sleeps, bool mortal) : program(name, mortal) {
  program.ahead([&] {
    region = attachedTo(made, name);
    if (sleeps) sleeper = std::make_shared<Sleeper>(region);
  });
  atEnd([kept = region, keptToo = sleeper] {});
}

std::shared_ptr<Region> made(const Geometry& geometry) {
  Program creator("creator", false);
  const auto region = madeRegion(creator, geometry);
  atEnd([region] {});
  return region;
}

bool Patience::lasts() {
  constexpr uint32_t attemptsMax = 20;
  constexpr uint64_t pauseNanos = 1'000'000;
  Scheduler& scheduler = Scheduler::now();
  if (attempts_ == attemptsMax) return false;
  scheduler.giveWay(pauseNanos);
  attempts_ = scheduler.wentOn() == wentOn_ ? attempts_ + 1 : 0;
  wentOn_ = scheduler.wentOn();
  return true;
}

}  // namespace ringfence::explore
