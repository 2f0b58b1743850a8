// Runs one schedule of a configuration, from the empty world to its end.
#include "run_once.h"

#include "address_space.h"
#include "arena.h"
#include "memory.h"
#include "model.h"
#include "sleepers.h"
#include "store_checks.h"
#include "trace.h"

namespace ringfence::explore {

void forgetLooks();

namespace {

void freeOfDead(Process& process) { Files::closeAllOf(process); }

}  // namespace

std::string runOnce(const Configuration& configuration, const Schedule& schedule, bool tracing, Priorities* order) {
  Scheduler& scheduler = Scheduler::now();
  Arena::open();
  AddressSpace::begin();
  Files::begin();
  Sleepers::begin();
  StoreChecks::begin();
  forgetDelayed();
  forgetLooks();
  Model::now().begin();
  scheduler.begin(schedule, tracing, order);
  scheduler.onDeath = &freeOfDead;
  scheduler.onRest = [](Actor& actor) {
    makeDelayedStoresOf(actor);
    Model::now().rest(actor);
  };
  Trace::show(tracing);
  configuration.build();
  scheduler.run();
  scheduler.over();
  if (scheduler.failure().empty()) lookAtEnd();
  Trace::show(false);
  forgetLooks();
  Arena::reset();
  scheduler.ended();
  return scheduler.failure();
}

}  // namespace ringfence::explore
