#include "ring_waits.h"

#include <cstring>

#include "attached.h"
#include "ring_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t frames = 3;

// A ring whose reader has three frames to handle, one step at a time, and processes that wait for it.
struct Handled {
  explicit Handled(uint32_t processes) : region(made(geometry(processes))), writer(*region, "writer", false, false), reader(*region, "reader", false) {
    writer.program.ahead([this] { sending = make_shared<Sending>(writer.region); });
    reader.program.ahead([this] { receiving = make_shared<Receiving>(reader.region); });
    writer.program.ahead([this] {
      for (uint64_t i = 0; i < frames; i += 1) sending->send(i, nullptr);
    });
    atEnd([kept = sending, keptToo = receiving] {});
  }

  static Geometry geometry(uint32_t processes) {
    Geometry g = ringGeometry();
    g.processes = processes;
    return g;
  }

  void runsReader() {
    reader.program.runs([own = receiving] {
      const uint64_t end = own->reader().look().limit;
      for (uint64_t i = 1; i <= frames; i += 1) {
        own->reader().advance({end, at(i), at(i), at(i)});
        Scheduler::now().giveWay(1'000'000);
      }
    });
  }

  // Where the first frames end.
  static uint64_t at(uint64_t count) {
    uint64_t end = 0;
    for (uint64_t i = 0; i < count; i += 1) end += frameBytesOf(payloadBytesOf(i));
    return end;
  }

  shared_ptr<Region> region;
  Attached writer;
  Attached reader;
  shared_ptr<Sending> sending;
  shared_ptr<Receiving> receiving;
};

void untilHandled(const shared_ptr<Region>& region, Sleeper& sleeper, uint64_t count) {
  const uint64_t target = Handled::at(count);
  const auto look = [=] {
    RingReaderLine seen{};
    return (readCursors(*region, 0, 0, seen) && seen.handled >= target) || Scheduler::now().deaths();
  };
  const auto there = [=] { return peek<&RingReaderLine::handled>(region->ringReader(0, 0).line) >= target; };
  sleeper.until(sleepsForCursor, "a cursor", look, there);
}

uint64_t waiters(const Region& region) { return peek<&CursorWaiters::slots>(region.header().cursorWaiters[0]); }

// A killed process may leave its bit behind.
void expectNoWaiters(const shared_ptr<Region>& region) {
  atEnd([=] {
    expect(Scheduler::now().deaths() || waiters(*region) == 0, "a process that does not wait for cursors is among those that do");
  });
}

// A process waits for two steps of a reader, another one for the last: each changes its own bit of one word.
void twoWait() {
  Handled handled(5);
  Attached first(*handled.region, "fence");
  Attached second(*handled.region, "other fence");
  expectNoWaiters(handled.region);
  first.program.runs([at = first.region, sleeper = first.sleeper] {
    for (uint64_t count = 1; count < frames; count += 1) untilHandled(at, *sleeper, count);
  });
  second.program.runs([at = second.region, sleeper = second.sleeper] { untilHandled(at, *sleeper, frames); });
  handled.runsReader();
}

// A process left its bit when it went. Another one takes its slot, and waits.
void bitLeft() {
  Handled handled(4);
  Attached former(*handled.region, "former fence", false);
  former.program.ahead([&] {
    former.region->sleepFor(sleepsForCursor);
    former.region->close();
  });
  const auto region = handled.region;
  Program next("fence", false);
  next.runs([=] {
    const auto at = attachedTo(*region, "fence");
    expect((waiters(*region) >> at->slot() & 1) == 0, "a process that takes a slot is among those that wait for cursors");
    const auto sleeper = make_shared<Sleeper>(at);
    atEnd([at, sleeper] {});
    untilHandled(at, *sleeper, frames);
  });
  expectNoWaiters(region);
  handled.runsReader();
}

// A process that waits goes, or is killed, and another one takes its slot while the reader goes on.
void waiterGoes() {
  Handled handled(4);
  Attached former(*handled.region, "former fence");
  Program next("fence", true);
  const auto region = handled.region;
  former.program.runs([at = former.region, sleeper = former.sleeper] {
    untilHandled(at, *sleeper, 1);
    sleeper->close();
    at->close();
  });
  next.runs([=] {
    shared_ptr<Region> at;
    Status status = Region::reattach(*region, "fence", at);
    for (Patience patience; !status.ok() && patience.lasts();) status = Region::reattach(*region, "fence", at);
    if (!status.ok()) return expect(std::strcmp(status.fault, "full") == 0, "the slot of a process that has gone is not to be had");
    const auto sleeper = make_shared<Sleeper>(at);
    atEnd([at, sleeper] {});
    untilHandled(at, *sleeper, frames);
  });
  expectNoWaiters(region);
  handled.runsReader();
}

// A process waits until a reader has come, and then until it has gone.
void comesAndGoes() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false, false);
  Attached reader(*region, "reader", false);
  Attached waiting(*region, "fence");
  shared_ptr<Sending> sending;
  writer.program.ahead([&] { sending = make_shared<Sending>(writer.region); });
  atEnd([sending] {});
  expectNoWaiters(region);
  waiting.program.runs([=, at = waiting.region, sleeper = waiting.sleeper] {
    const auto& line = at->ringReader(0, 0).line;
    const auto come = [=, &line] { return at->publication().observe<&RingReaderLine::attachedGeneration>(line) != 0 || Scheduler::now().deaths(); };
    const auto gone = [=, &line] { return at->publication().observe<&RingReaderLine::detachedGeneration>(line) != 0 || Scheduler::now().deaths(); };
    sleeper->until(sleepsForCursor, "a reader", come, [&] { return peek<&RingReaderLine::attachedGeneration>(line) != 0; });
    sleeper->until(sleepsForCursor, "a reader's end", gone, [&] { return peek<&RingReaderLine::detachedGeneration>(line) != 0; });
  });
  reader.program.runs([at = reader.region] {
    const char* fault = nullptr;
    auto opened = openedReader(at, "ring", fault);
    for (Patience patience; opened == nullptr && patience.lasts();) opened = openedReader(at, "ring", fault);
    if (opened == nullptr) return;
    Scheduler::now().giveWay(1'000'000);
    opened->detach();
  });
}

}  // namespace

std::vector<Configuration> ringWaits() {
  return {
    {"two wait", "two processes wait for a reader's steps, each with its bit of one word", &twoWait},
    {"two wait by FIFO", "as two wait, where the event loops poll FIFOs", &byFifo<&twoWait>},
    {"bit left", "a process takes the slot of one that left its bit, and waits for a reader", &bitLeft},
    {"waiter goes", "a process that waits for a reader goes or is killed, and another takes its slot", &waiterGoes},
    {"comes and goes", "a process waits until a reader has come, and until it has gone", &comesAndGoes},
  };
}

}  // namespace ringfence::explore
