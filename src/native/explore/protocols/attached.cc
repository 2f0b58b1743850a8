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

}  // namespace ringfence::explore
