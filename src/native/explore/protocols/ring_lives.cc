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
  for (Patience patience; opened == nullptr && patience.lasts();) {
    expect(is(fault, "busy") || is(fault, "exists"), std::string("the ring is not opened: ") + fault);
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
    const bool writes = claimRing(*at, "ring", role).ok();
    ReaderRole place;
    if (claimRingReader(*at, "ring", "reader", place).ok()) RingReader::abandon(*at, place);
    if (writes) RingWriter::abandon(*at, role);
  });
  second.program.runs([=, at = second.region] {
    const auto opened = writerOf(at, "ring");
    expect(opened != nullptr, "a ring that was given up does not come free");
    // All places, of which the first process has given one up.
    for (int i = 0; i < 2; i += 1) {
      ReaderRole place;
      Status status = claimRingReader(*at, "ring", "reader", place);
      for (Patience patience; !status.ok() && patience.lasts();) status = claimRingReader(*at, "ring", "reader", place);
      expect(status.ok(), "a place that was given up does not come free");
    }
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

std::unique_ptr<Receiving> readerOf(const shared_ptr<Region>& region) {
  const char* fault = nullptr;
  auto opened = openedReader(region, "ring", fault);
  for (Patience patience; opened == nullptr && patience.lasts();) {
    expect(is(fault, "busy") || is(fault, "full"), std::string("the ring is not read: ") + fault);
    opened = openedReader(region, "ring", fault);
  }
  return opened == nullptr ? nullptr : std::make_unique<Receiving>(region, std::move(opened));
}

shared_ptr<Sending> writing(Attached& writer) {
  shared_ptr<Sending> sending;
  writer.program.ahead([&] { sending = make_shared<Sending>(writer.region); });
  return sending;
}

// The writer's process leaves the region without closing its ring, and another process gets its slot: a reader that
// learns of it has read all that was published.
void slotAgain() {
  Geometry geometry = ringGeometry();
  geometry.processes = 3;
  const auto region = made(geometry);
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader");
  Program next("next", false);
  const auto sending = writing(writer);
  shared_ptr<Receiving> receiving;
  reader.program.ahead([&] { receiving = make_shared<Receiving>(reader.region); });
  // The reader begins, so that all of it can happen within one of its looks.
  reader.program.runs([=, sleeper = reader.sleeper] { receiving->receive(*sleeper); });
  writer.program.runs([=, at = writer.region] {
    sending->send(0, nullptr);
    at->close();
  });
  const auto attached = make_shared<shared_ptr<Region>>();
  atEnd([attached] {});
  next.runs([=] {
    Status status = Region::reattach(*region, "next", *attached);
    for (Patience patience; is(status.fault, "full") && patience.lasts();) status = Region::reattach(*region, "next", *attached);
    expectOk(status, "attaching");
  });
}

// A reader that holds the room has died, and another one takes its place while the writer finds that out.
void heir() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer");
  Attached former(*region, "former reader", false);
  Attached reader(*region, "reader");
  const auto sending = writing(writer);
  shared_ptr<Receiving> left;
  former.program.ahead([&] { left = make_shared<Receiving>(former.region); });
  writer.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) sending->send(large + i, nullptr);
  });
  former.program.ahead([&] { former.region->close(); });
  atEnd([left] {});
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    const auto receiving = readerOf(at);
    expect(receiving != nullptr, "a place of a dead reader is not to be had");
    receiving->receive(*sleeper);
    const auto& numbers = receiving->numbers();
    if (!Scheduler::now().deaths()) expect(numbers.empty() || numbers.back() == large + 8, "the last frame is missing");
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 4; i < 9; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
}

// An evicted reader comes back while the writer, whose ring another reader fills, looks for the slowest one: it is not
// taken to need what it lost before.
void comesBack() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false);
  Attached steady(*region, "steady reader", false, false);
  Attached reader(*region, "reader");
  const auto sending = writing(writer);
  const auto send = [&](uint64_t number) { writer.program.ahead([&] { sending->send(large + number, nullptr); }); };
  const auto receivingOf = [](Attached& of) {
    shared_ptr<Receiving> receiving;
    of.program.ahead([&] { receiving = make_shared<Receiving>(of.region); });
    return receiving;
  };
  const auto receiving = receivingOf(reader);
  send(0);
  const auto fills = receivingOf(steady);
  for (uint64_t i = 1; i < 4; i += 1) send(i);
  writer.program.ahead([&] { sending->writer().evictSlowest(); });
  send(4);
  atEnd([sending, fills, receiving] {});
  writer.program.runs([=] {
    for (uint64_t i = 5; i < 7; i += 1) sending->sendEvicting(large + i);
    sending->writer().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] { receiving->receive(*sleeper); });
}

// A reader attaches, leaves and attaches again while another one attaches: the writer keeps what each still has to read.
void guests() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer");
  Attached steady(*region, "steady reader");
  Attached guest(*region, "guest");
  const auto sending = writing(writer);
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 8; i += 1) {
      sending->send(large + i, sleeper.get());
      Scheduler::now().giveWay(1'000'000);
    }
    sending->writer().close();
  });
  const auto reads = [](const shared_ptr<Region>& at, Sleeper& sleeper) {
    const auto receiving = readerOf(at);
    if (receiving == nullptr) return;
    receiving->receive(sleeper);
    const auto& numbers = receiving->numbers();
    if (!Scheduler::now().deaths()) expect(numbers.empty() || numbers.back() == large + 7, "the last frame is missing");
  };
  steady.program.runs([=, at = steady.region, sleeper = steady.sleeper] { reads(at, *sleeper); });
  guest.program.runs([=, at = guest.region, sleeper = guest.sleeper] {
    readerOf(at);
    Scheduler::now().giveWay(1'000'000);
    reads(at, *sleeper);
  });
}

// A reader leaves while another one comes and leaves: no change of the list of readers is lost for the writer.
void parting() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false, false);
  Attached leaver(*region, "leaver");
  Attached visitor(*region, "visitor");
  const auto sending = writing(writer);
  atEnd([sending] {});
  leaver.program.runs([at = leaver.region] { readerOf(at); });
  visitor.program.runs([at = visitor.region] { readerOf(at); });
}

// While a reader attaches the writer fills the ring, and a while later wants room. A reader that was outpaced begins
// behind all frames, stays, and has to say so; any other one leaves.
void outpaced() {
  Geometry geometry = ringGeometry();
  geometry.ringReaders = 1;
  const auto region = made(geometry);
  Attached writer(*region, "writer");
  Attached reader(*region, "reader", false);
  const auto sending = writing(writer);
  ReaderRole role;
  reader.program.ahead([&] { expectOk(claimRingReader(*reader.region, "ring", "reader", role), "claiming a reader's place"); });
  writer.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) sending->append(large + i);
  });
  reader.program.runs([=, at = reader.region] {
    const auto own = make_shared<RingReader>(at, at->mapRing(role.ring), role);
    if (own->baseline() != 0) atEnd([own] {});
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    sending->writer().publish();
    Scheduler::now().giveWay(1'000'000);
    sending->send(large + 4, sleeper.get());
  });
}

// A process waits until a reader has handled a frame, as a fence does: by then it sees what the handler did.
void handled() {
  const auto region = made(ringGeometry(2));
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader");
  Attached waiting(*region, "fence", true, false);
  const auto sending = writing(writer);
  shared_ptr<Receiving> receiving;
  shared_ptr<Sending> answers;
  writer.program.ahead([&] { sending->send(0, nullptr); });
  const uint64_t first = frameBytesOf(payloadBytesOf(0));
  reader.program.ahead([&] {
    answers = make_shared<Sending>(reader.region, "answers");
    receiving = make_shared<Receiving>(reader.region);
  });
  atEnd([sending, receiving, answers] {});
  writer.program.runs([=] { sending->send(1, nullptr); });
  const uint64_t target = first + frameBytesOf(payloadBytesOf(1));
  reader.program.runs([=, sleeper = reader.sleeper] {
    const auto there = [=] { return peek<&RingLead::position>(region->ring(0).lead) >= target; };
    const auto look = [=] { return receiving->reader().available() >= target || Scheduler::now().deaths(); };
    sleeper->until(sleepsForFrames, "a frame", look, there);
    if (receiving->reader().available() < target) return;
    answers->send(0, nullptr);
    receiving->take(false);
    receiving->handle();
  });
  waiting.program.runs([=, at = waiting.region, sleeper = waiting.sleeper] {
    const auto there = [=] { return peek<&RingReaderLine::handled>(region->ringReader(0, 0).line) >= target; };
    RingReaderLine line{};
    const auto look = [&] {
      RingReaderLine seen{};
      if (readCursors(*at, 0, 0, seen) && seen.handled >= target) line = seen;
      return line.handled >= target || Scheduler::now().deaths();
    };
    sleeper->until(sleepsForCursor, "a cursor", look, there);
    if (line.handled < target) return;
    expect(line.read == target && line.delivered == target && line.baseline == first, "cursors contradict each other");
    const uint64_t answered = at->publication().observe<&RingLead::position>(at->ring(1).lead);
    expect(answered != 0, "a frame counts as handled, and what its handler did is not seen");
  });
}

// A process waits until a reader has handled a frame, or has lost it; its writer evicts it.
void forsaken() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader", false, false);
  Attached waiting(*region, "fence", true, false);
  const auto sending = writing(writer);
  shared_ptr<Receiving> receiving;
  reader.program.ahead([&] { receiving = make_shared<Receiving>(reader.region); });
  atEnd([sending, receiving] {});
  writer.program.ahead([&] { sending->send(0, nullptr); });
  writer.program.runs([=] { sending->writer().evictSlowest(); });
  waiting.program.runs([=, at = waiting.region, sleeper = waiting.sleeper] {
    const auto look = [&] { return activeReader(*at, 0, 0).generation == 0 || Scheduler::now().deaths(); };
    const auto there = [=] { return peek<&RingReaderFate::evictedGeneration>(region->ringReader(0, 0).fate) != 0; };
    sleeper->until(sleepsForCursor, "a cursor, or an eviction", look, there);
  });
}

}  // namespace

std::vector<Configuration> ringLives() {
  return {
    {"names", "two processes name two rings, and one of them may die meanwhile", &names},
    {"abandon", "a ring and a reader's place are claimed and given up at once", &abandon},
    {"visit", "a process attaches, reads one frame, and leaves the ring and the region", &visit},
    {"slot", "a writer's process leaves without closing its ring, and another gets its slot", &slotAgain},
    {"heir", "a reader takes the place of a dead one, which holds room, while the writer looks for the dead", &heir},
    {"back", "an evicted reader comes back while the writer looks for the slowest one", &comesBack},
    {"guests", "a reader comes, leaves and comes back while another one comes", &guests},
    {"parting", "a reader leaves while another one comes and leaves", &parting},
    {"outpaced", "a reader is outpaced by the writer while it attaches, and stays, or leaves", &outpaced},
    {"handled", "a process waits until a reader has handled a frame", &handled},
    {"forsaken", "a process waits for a reader's cursor, and the reader is evicted", &forsaken},
  };
}

}  // namespace ringfence::explore
