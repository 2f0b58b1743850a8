#include "world.h"

#include <poll.h>
#include <unistd.h>

#include <new>

#include "address_space.h"
#include "line_names.h"
#include "model.h"
#include "region/planted.h"
#include "trace.h"

namespace ringfence::explore {

namespace {

std::vector<std::function<void()>> looks;

}  // namespace

void expect(bool so, const std::string& what) {
  if (so) return;
  Scheduler& scheduler = Scheduler::now();
  if (scheduler.current() == nullptr && scheduler.steps() != 0) {  // in the checks at the end
    scheduler.found(what);
  } else {
    scheduler.fail(what);
  }
}

void expectOk(const Status& status, const std::string& what) {
  if (!status.ok()) expect(false, what + ": " + status.fault + ", " + status.detail);
}

Program::Program(const std::string& name, bool mortal) : process_(Scheduler::now().process(name, mortal)) {}

void Program::runs(std::function<void()> body, const std::string& name, bool isLoop) {
  Scheduler::now().actor(process_, name.empty() ? process_.name : name, std::move(body), isLoop);
}

Rings& ringing() {
  static Rings rings = Rings::byThread;
  return rings;
}

std::shared_ptr<Region> madeRegion(Program& creator, const Geometry& geometry) {
  std::shared_ptr<Region> region;
  creator.ahead([&] {
    CreateOptions options;
    if (ringing() == Rings::byFifo) options.path = "/regions/named";
    options.geometry = geometry;
    options.processName = creator.process().name;
    options.prefault = false;
    options.coherence = Model::now().hasLines() ? Coherence::flushed : Coherence::coherent;
    expectOk(Region::create(options, nullptr, region), "creating the region");
  });
  nameAfter(region->layout());
  return region;
}

std::shared_ptr<Region> attachedTo(const Region& region, const std::string& name) {
  std::shared_ptr<Region> attached;
  expectOk(Region::reattach(region, name, attached), "attaching");
  return attached;
}

uint64_t peekWord(const void* at, uint32_t bytes) {
  Spot spot;
  if (!AddressSpace::find(at, spot)) return 0;
  const uint64_t shift = 8 * (spot.offset % 8);
  const uint64_t mask = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
  return Model::now().peek({spot.file, spot.offset & ~uint64_t{7}, mask << shift}) >> shift & mask;
}

void atEnd(std::function<void()> look) { looks.push_back(std::move(look)); }

void lookAtEnd() {
  for (const auto& look : looks) look();
}

// Never destroyed: its contents lay in the arena, which was reset.
void forgetLooks() { new (&looks) std::vector<std::function<void()>>(); }

Sleeper::Sleeper(std::shared_ptr<Region> region, Rings rings) : waiter_(std::move(region), [this] {
  // The call to the event loop goes through a lock, so the loop sees what this thread stored before.
  makeDelayedStores();
  Model::now().releaseOfSystem();
  called_ = true;
  if (sleeping_ != nullptr) Scheduler::wake(*sleeping_);
}) {
  if (rings == Rings::byFifo) fifo_ = waiter_.listen();
  if (fifo_ < 0) expectOk(waiter_.start(), "starting the waiter");
}

void Sleeper::close() {
  if (fifo_ >= 0) ::close(fifo_);
  fifo_ = -1;
  waiter_.stop();
}

// True while it has not been called. What it must look at after the call it has not looked at before.
bool Sleeper::sleeps() {
  if (called_) return false;
  if (fifo_ < 0) {
    Scheduler::now().wait("its call");
    return !called_;
  }
  constexpr int lookMillis = 100;
  pollfd polled{fifo_, POLLIN, 0};
  if (poll(&polled, 1, lookMillis) == 0) {
    const bool finds = !called_ && waiter_.look();
    wasLate_ = wasLate_ || finds;
    return !called_ && !finds;
  }
  uint8_t bytes[64];
  static_cast<void>(!read(fifo_, bytes, sizeof(bytes)));
  return !waiter_.heard() && !called_;
}

void Sleeper::until(uint32_t reasons, const char* what, const std::function<bool()>& look,
                    const std::function<bool()>& there) {
  Scheduler& scheduler = Scheduler::now();
  if (look()) return;
  for (;;) {
    called_ = false;
    const bool late = planted("a wait for cursors is announced behind its look");
    waiter_.arm(late ? reasons & ~sleepsForCursor : reasons);
    if (look()) return waiter_.disarm();
    if (late) waiter_.arm(reasons);
    Trace::say(std::string("sleeps: ") + what);
    sleeping_ = scheduler.current();
    if (!mayBeLate_) sleeping_->condition = there;
    while (sleeps()) continue;
    Model::now().acquireOfSystem(Model::now().time());
    sleeping_->condition = nullptr;
    sleeping_ = nullptr;
    Trace::say("is called");
  }
}

}  // namespace ringfence::explore
