// The parts of a configuration: processes with a region attached, and the event loops in which their fibers wait.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "region/epochs.h"
#include "region/region.h"
#include "region/waiter.h"
#include "scheduler.h"
#include "test/raw_line.h"

namespace ringfence::explore {

// Fails the schedule with `what` unless `so`.
void expect(bool so, const std::string& what);
void expectOk(const Status& status, const std::string& what);

struct Configuration {
  const char* name;
  const char* says;
  void (*build)();
};

struct Protocol {
  const char* name;
  const char* says;
  std::vector<Configuration> configurations;
};

const std::vector<Protocol>& protocols();

// A process of a configuration. `ahead` runs work as this process before the schedule begins.
class Program {
 public:
  Program(const std::string& name, bool mortal);

  void ahead(const std::function<void()>& work) { Scheduler::now().ahead(process_, work); }
  // The schedule does not wait for the end of a loop.
  void runs(std::function<void()> body, const std::string& name = "", bool isLoop = false);
  Process& process() { return process_; }

 private:
  Process& process_;
};

// How the event loops of a configuration are rung: by a thread that sleeps on the bell, or by the FIFOs beside a region that
// has a name.
enum class Rings { byThread, byFifo };
Rings& ringing();
template <void (*build)()>
void byFifo() {
  ringing() = Rings::byFifo;
  build();
  ringing() = Rings::byThread;
}

// The region of all processes, made by a process that is never killed; and another process's attachment to it.
std::shared_ptr<Region> madeRegion(Program& creator, const Geometry& geometry);
std::shared_ptr<Region> attachedTo(const Region& region, const std::string& name);

// The newest value, which not every actor can see yet: for the checks of a configuration.
uint64_t peekWord(const void* at, uint32_t bytes);
template <class T>
T peek(const T& field) {
  return static_cast<T>(peekWord(&field, sizeof(T)));
}
template <auto Field, class L>
ValueOf<Field> peek(const L& line) {
  return peek(RawLine::of(line).*Field);
}

// Registers a check for when all actors have ended, and makes the registered checks.
void atEnd(std::function<void()> look);
void lookAtEnd();

// Waits as a process's event loop does: looks, arms, looks again, and sleeps until it is called.
class Sleeper {
 public:
  explicit Sleeper(std::shared_ptr<Region> region, Rings rings = ringing());

  uint64_t lives() const { return waiter_.lives(); }
  bool threaded() const { return waiter_.threaded(); }
  // Whether a look has found what no ring told.
  bool wasLate() const { return wasLate_; }
  // Where a wake-up may take until the sleeper's next look at its own word.
  void mayBeLate(bool late) { mayBeLate_ = late; }
  // Ends the waiting, as an attachment does that closes.
  void close();
  // Waits until `look` is true. `there` says the same without side effects: when it is true, the sleeper must wake.
  void until(uint32_t reasons, const char* what, const std::function<bool()>& look, const std::function<bool()>& there);

 private:
  bool sleeps();

  Waiter waiter_;
  int fifo_ = -1;
  Actor* sleeping_ = nullptr;
  bool called_ = false;
  bool mayBeLate_ = false;
  bool wasLate_ = false;
};

// The newest epoch of a region's heads, as they lie in memory.
inline Epoch newestSeen(const Region& region) {
  Epoch newest;
  for (uint64_t block = 0; block < region.layout().geometry.epochBlocks; block += 1) {
    BlockHead head{};
    head.word = peek<&BlockHead::word>(region.blockHead(block).head);
    head.again = peek<&BlockHead::again>(region.blockHead(block).head);
    const Epoch epoch = epochIn(head);
    if (epoch.number > newest.number) newest = epoch;
  }
  return newest;
}

}  // namespace ringfence::explore
