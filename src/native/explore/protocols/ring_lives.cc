#include "ring_lives.h"

#include <cstring>

#include "attached.h"
#include "explore/trace.h"
#include "ring_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

bool is(const char* fault, const char* name) { return fault != nullptr && std::strcmp(fault, name) == 0; }

// As a process that opens a ring tries again while another one gives a name, or takes the ring.
std::unique_ptr<RingWriter> writerOf(const shared_ptr<Region>& region, const char* name) {
  const char* fault = nullptr;
  auto opened = openedWriter(region, name, fault);
  for (int i = 0; i < 40 && opened == nullptr; i += 1) {
    expect(is(fault, "busy") || is(fault, "exists"), std::string("the ring is not opened: ") + fault);
    Scheduler::now().giveWay(1'000'000);
    opened = openedWriter(region, name, fault);
  }
  return opened;
}

uint32_t ringsNamed(const Region& region, const char* name) {
  uint32_t count = 0;
  for (const RingView& ring : ringsOf(region)) count += ring.name == name ? 1 : 0;
  return count;
}

// Two processes give names to two rings, and one of them may die while it does.
void names() {
  const auto region = made(ringGeometry(2));
  Attached first(*region, "first", false);
  Attached second(*region, "second", false, false);
  Attached third(*region, "third", false, false);
  first.program.runs([=, at = first.region] {
    const auto opened = writerOf(at, "one");
    expect(opened != nullptr && ringsNamed(*at, "one") == 1, "a ring does not have the name that it was given");
    Scheduler::now().giveWay(10'000'000);
    opened->close();
  });
  second.program.runs([=, at = second.region] {
    const auto opened = writerOf(at, "two");
    expect(opened != nullptr && ringsNamed(*at, "two") == 1, "a ring does not have the name that it was given");
  });
  // It continues the first one's ring, under that name.
  third.program.runs([=, at = third.region] {
    const auto opened = writerOf(at, "one");
    expect(opened != nullptr && ringsNamed(*at, "one") == 1, "two rings have one name");
    expect(ringOpenings(*at) >= 1, "a ring was opened, and is not counted");
  });
}

// A process claims a ring and a reader's place, and gives both up at once, as it does where memory is short.
void abandon() {
  const auto region = made(ringGeometry());
  Attached first(*region, "first", false);
  Attached second(*region, "second", false, false);
  first.program.runs([=, at = first.region] {
    RingRole role;
    if (claimRing(*at, "ring", role).ok()) RingWriter::abandon(*at, role);
    ReaderRole place;
    if (claimRingReader(*at, "ring", "reader", place).ok()) RingReader::abandon(*at, place);
  });
  second.program.runs([=, at = second.region] {
    const auto opened = writerOf(at, "ring");
    expect(opened != nullptr, "a ring that was given up does not come free");
  });
}

// A process attaches to the region, reads one frame, and leaves the ring and the region, while the writer goes on.
void visit() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", true, false);
  Program visitor("visitor", true);
  shared_ptr<Sending> sending;
  writer.program.ahead([&] { sending = make_shared<Sending>(writer.region); });
  atEnd([sending] {});
  visitor.runs([=] {
    const auto own = attachedTo(*region, "visitor");
    {
      Sleeper sleeper(own);
      Receiving receiving(own);
      const auto look = [&] { return receiving.reader().available() > receiving.reader().cursors().read || receiving.ended(); };
      const auto there = [&] { return peek<&RingLead::position>(region->ring(0).lead) > receiving.reader().cursors().read; };
      sleeper.until(sleepsForFrames, "a frame", look, there);
      receiving.take();
      expect(receiving.reader().generation() == 1, "the ring has a writer that never was");
      receiving.reader().detach();
    }
    own->close();
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 6; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
}

}  // namespace

std::vector<Configuration> ringLives() {
  return {
    {"names", "two processes name two rings, and one of them may die meanwhile", &names},
    {"abandon", "a ring and a reader's place are claimed and given up at once", &abandon},
    {"visit", "a process attaches, reads one frame, and leaves the ring and the region", &visit},
  };
}

}  // namespace ringfence::explore
