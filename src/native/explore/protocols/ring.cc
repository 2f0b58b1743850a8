// Rings: opening, sending and reading, room, eviction, leaving, endings, the next writer, a name that is given anew.
#include "ring.h"

#include <cstring>

#include "explore/trace.h"
#include "attached.h"
#include "departures.h"
#include "ring_ends.h"
#include "ring_lives.h"
#include "ring_waits.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

bool is(const char* fault, const char* name) { return fault != nullptr && std::strcmp(fault, name) == 0; }

shared_ptr<Region> madeRing() { return made(ringGeometry()); }

shared_ptr<Sending> writes(Attached& place) {
  shared_ptr<Sending> sending;
  place.program.ahead([&] { sending = make_shared<Sending>(place.region); });
  return sending;
}

shared_ptr<Receiving> reads(Attached& place) {
  shared_ptr<Receiving> receiving;
  place.program.ahead([&] { receiving = make_shared<Receiving>(place.region); });
  return receiving;
}

// Tries again while another process holds what is wanted, or is about to provide it.
template <class Opened>
auto untilOpened(const shared_ptr<Region>& region, const char* waitsFor, Opened open) {
  const char* fault = nullptr;
  auto opened = open(region, "ring", fault);
  const auto isInTheWay = [&] { return opened == nullptr && (is(fault, "busy") || is(fault, waitsFor)); };
  for (Patience patience; isInTheWay() && patience.lasts();) opened = open(region, "ring", fault);
  if (opened == nullptr) expect(Scheduler::now().deaths(), std::string("the ring cannot be opened: ") + fault);
  return opened;
}

// Of a writer that closes in good order the reader gets all frames; of one that is killed, the first ones.
void expectRead(const Receiving& receiving, uint64_t first, uint64_t count) {
  const bool all = receiving.numbers().size() == count || Scheduler::now().deaths();
  expect(all, "only " + std::to_string(receiving.numbers().size()) + " of " + std::to_string(count) + " frames were read");
  if (!receiving.numbers().empty()) expect(receiving.numbers()[0] == first, "the first frame is missing");
}

void sendAndRead(uint64_t first, uint64_t count) {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  Attached reader(*region, "reader");
  const auto sending = writes(writer);
  const auto receiving = reads(reader);
  receiving->readInPlace();
  reader.program.runs([=, sleeper = reader.sleeper] {
    receiving->receive(*sleeper);
    expectRead(*receiving, first, count);
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < count; i += 1) sending->send(first + i, sleeper.get());
    sending->writer().close();
  });
}

void deliver() { sendAndRead(0, 2); }
void room() { sendAndRead(large, 6); }

void twoReaders() {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  const auto sending = writes(writer);
  for (const char* name : {"first reader", "second reader"}) {
    Attached reader(*region, name);
    const auto receiving = reads(reader);
    reader.program.runs([=, sleeper = reader.sleeper] {
      receiving->receive(*sleeper);
      expectRead(*receiving, large, 5);
    });
  }
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 5; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
}

// All of it within the schedule: names, claims, attaching.
void open() {
  const auto region = madeRing();
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader");
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    auto opened = untilOpened(at, "missing", &openedReader);
    if (opened == nullptr) return;
    Receiving receiving(at, std::move(opened));
    receiving.receive(*sleeper);
  });
  writer.program.runs([=, at = writer.region] {
    auto opened = untilOpened(at, "", &openedWriter);
    if (opened == nullptr) return;
    Sending sending(at, std::move(opened));
    sending.send(0, nullptr);
    sending.writer().close();
  });
}

// Two processes want to write the ring: one at a time does, and the reader gets the frames of each whole and in order.
void rivals() {
  const auto region = madeRing();
  Attached reader(*region, "reader");
  Attached first(*region, "first writer", false);
  Attached second(*region, "second writer", false);
  first.program.ahead([&] { Sending(first.region).writer().close(); });  // so that there is a ring to read
  const auto receiving = reads(reader);
  const auto writing = make_shared<int>(0);
  const auto base = make_shared<uint64_t>(0);
  for (Attached* place : {&first, &second}) {
    place->program.runs([=, at = place->region] {
      auto opened = untilOpened(at, "exists", &openedWriter);
      if (opened == nullptr) return;
      *writing += 1;
      *base += framesOfAWriter;
      expect(*writing == 1 || Scheduler::now().deaths(), "two processes write one ring");
      Sending sending(at, std::move(opened));
      const uint64_t frame = *base;
      sending.send(frame, nullptr);
      sending.send(frame + 1, nullptr);
      *writing -= 1;
      sending.writer().close();
    });
  }
  reader.program.runs([=] {
    for (int i = 0; i < 40 && receiving->numbers().size() < 4; i += 1) {
      receiving->take();
      Scheduler::now().giveWay(2'000'000);
    }
  });
  atEnd([=] {
    if (!Scheduler::now().deaths()) expect(receiving->numbers().size() == 4, "frames of a writer are missing");
  });
}

// Slow readers lose their room: they learn which positions they lost, and throw away what they copied from there.
void evict() {
  const auto region = madeRing();
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader");
  const auto sending = writes(writer);
  // Where the reader begins is not where the ring does.
  writer.program.ahead([&] { sending->send(large, nullptr); });
  const auto receiving = reads(reader);
  writer.program.runs([=] {
    for (uint64_t i = 1; i < 7; i += 1) {
      const bool sent = sending->sendEvicting(large + i);
      expect(sent || sending->writer().end() != WriterEnd::none, "an evicting writer finds no room");
    }
    sending->writer().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] { receiving->receive(*sleeper); });
}

// The ring's writer closes or dies, and another process continues the ring.
void successor() {
  const auto region = madeRing();
  Attached first(*region, "writer", false);
  Attached second(*region, "successor", true, false);
  Attached reader(*region, "reader");
  const auto sending = writes(first);
  const auto receiving = reads(reader);
  second.program.runs([=, at = second.region, sleeper = second.sleeper] {
    std::unique_ptr<RingWriter> opened;
    const auto look = [&] {
      const char* fault = nullptr;
      opened = openedWriter(at, "ring", fault);
      expect(opened != nullptr || is(fault, "exists") || is(fault, "busy"), std::string("no successor: ") + (fault == nullptr ? "" : fault));
      return opened != nullptr;
    };
    sleeper->until(sleepsForAll, "the ring's end", look, [] { return false; });
    Sending next(at, std::move(opened));
    next.send(framesOfAWriter, nullptr);
  });
  first.program.runs([=] {
    sending->send(0, nullptr);
    sending->append(1);
    sending->writer().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] { receiving->receive(*sleeper, framesOfAWriter); });
}

// A reader that holds the ring's room leaves: the writer goes on.
void leave() {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  Attached reader(*region, "reader", false);
  const auto sending = writes(writer);
  const auto receiving = reads(reader);
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 5; i += 1) sending->send(large + i, sleeper.get());
  });
  reader.program.runs([=] { receiving->reader().detach(); });
}

// A reader leaves with a whole ring of frames in its hands, and their room is the writer's only when it reads no more.
void hands() {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  Attached reader(*region, "reader", false);
  const auto sending = writes(writer);
  const auto receiving = reads(reader);
  writer.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) sending->send(large + i, nullptr);
  });
  reader.program.runs([=] {
    receiving->hold();
    receiving->reader().detach();
  });
  writer.program.runs([=, sleeper = writer.sleeper] { sending->send(large + 4, sleeper.get()); });
}

// A reader attaches while the ring is written lap after lap: it begins where nothing is overwritten any more.
void attach() {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  Attached reader(*region, "reader");
  const auto sending = writes(writer);
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    auto opened = untilOpened(at, "", &openedReader);
    if (opened == nullptr) return;
    Receiving receiving(at, std::move(opened));
    receiving.receive(*sleeper);
    const auto& numbers = receiving.numbers();
    if (!Scheduler::now().deaths()) expect(numbers.empty() || numbers.back() == large + 6, "the last frame is missing");
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 7; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
}

// A reader attaches while the writer fills the ring, which then, told by another process to go on, wants room. Where the
// reader begins behind all that, it says so.
void passed() {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  Attached reader(*region, "reader");
  Program other("other", false);
  const auto sending = writes(writer);
  ReaderRole role;
  reader.program.ahead([&] { expectOk(claimRingReader(*reader.region, "ring", "reader", role), "claiming a reader's place"); });
  writer.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) sending->append(large + i);
  });
  reader.program.runs([=, at = reader.region, sleeper = reader.sleeper] {
    Receiving receiving(at, std::make_unique<RingReader>(at, at->mapRing(role.ring), role));
    receiving.receive(*sleeper);
  });
  const auto told = make_shared<bool>(false);
  const auto waiting = make_shared<Actor*>(nullptr);
  writer.program.runs([=, sleeper = writer.sleeper] {
    sending->writer().publish();
    *waiting = Scheduler::now().current();
    while (!*told) Scheduler::now().wait("word to go on");
    sending->send(large + 4, sleeper.get());
    sending->writer().close();
  });
  other.runs([=] {
    *told = true;
    if (*waiting != nullptr) Scheduler::wake(**waiting);
  });
}

// The only ring gets another name: no reader that came for the old one reads it.
void rename() {
  const auto region = madeRing();
  Attached former(*region, "former writer", false);
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader", false);
  former.program.ahead([&] { Sending(former.region).writer().close(); });
  const auto read = make_shared<bool>(false);
  writer.program.runs([=, at = writer.region] {
    const char* fault = nullptr;
    const auto opened = openedWriter(at, "other", fault);
    expect(opened != nullptr || is(fault, "full") || is(fault, "busy"), "the ring is not named anew");
    if (opened == nullptr) return;
    Trace::say("has named the ring");
    opened->close();
  });
  reader.program.runs([=, at = reader.region] {
    const char* fault = nullptr;
    const auto opened = openedReader(at, "ring", fault);
    if (opened == nullptr) return expect(is(fault, "missing") || is(fault, "busy"), std::string("not missing, but ") + fault);
    Trace::say("reads the ring");
    Scheduler::now().giveWay(1'000'000);
    const auto rings = ringsOf(*at);
    // The ring has no name for a moment; if the writer died while it looked for readers, until the next process names it.
    expect(rings.empty() || rings[0].name == "ring", "a reader has a ring of another name");
    // A process that wanted to give another name gives way, and says that the ring has its name still.
    auto second = openedReader(at, "ring", fault);
    for (Patience patience; second == nullptr && patience.lasts();) second = openedReader(at, "ring", fault);
    expect(second != nullptr || Scheduler::now().deaths(), "a ring that is read has lost its name");
    *read = true;
  });
}

// The writer sends one frame and then nothing: no later wake-up makes up for a lost one.
void wake() {
  const auto region = madeRing();
  Attached writer(*region, "writer", false);
  Attached reader(*region, "reader");
  const auto sending = writes(writer);
  const auto receiving = reads(reader);
  atEnd([sending] {});
  // Behind it the writer knows its readers, and looks at nothing but their sleep words.
  writer.program.ahead([&] { sending->send(0, nullptr); });
  const uint64_t first = frameBytesOf(payloadBytesOf(0));
  writer.program.runs([=] { sending->send(1, nullptr); });
  reader.program.runs([=, sleeper = reader.sleeper] {
    const auto look = [=] { return receiving->reader().available() > first || Scheduler::now().deaths(); };
    sleeper->until(sleepsForFrames, "a frame", look, [=] { return peek<&RingLead::position>(region->ring(0).lead) > first; });
    receiving->take();
  });
}

// An evicted reader that has left tries to rejoin when its place is already another reader's.
void lateReader() {
  const auto region = madeRing();
  Attached writer(*region, "writer");
  Attached former(*region, "former reader", false);
  Attached reader(*region, "reader");
  const auto sending = writes(writer);
  const auto left = reads(former);
  writer.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) sending->send(large + i, nullptr);
    sending->writer().evictSlowest();
  });
  former.program.ahead([&] { left->reader().detach(); });
  const auto receiving = reads(reader);
  former.program.runs([=] { expect(!left->reader().rejoin(), "a reader that has left comes back"); });
  reader.program.runs([=, sleeper = reader.sleeper] {
    receiving->receive(*sleeper);
    if (!Scheduler::now().deaths()) expect(receiving->numbers().size() == 5, "frames are missing");
  });
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 4; i < 9; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
}

// A writer whose ring has another writer by now says once more that it wants no room.
void lateWriter() {
  const auto region = madeRing();
  Attached former(*region, "former writer", false);
  Attached writer(*region, "writer");
  Attached reader(*region, "reader");
  const auto late = writes(former);
  former.program.ahead([&] { late->writer().close(); });
  const auto sending = writes(writer);
  const auto receiving = reads(reader);
  writer.program.runs([=, sleeper = writer.sleeper] {
    for (uint64_t i = 0; i < 5; i += 1) sending->send(large + i, sleeper.get());
    sending->writer().close();
  });
  former.program.runs([=] { late->writer().wantRoom(false); });
  reader.program.runs([=, sleeper = reader.sleeper] { receiving->receive(*sleeper); });
}

}  // namespace

Protocol ringProtocol() {
  Protocol protocol{"ring", "rings: one writer, readers that each have a cursor", {
    {"deliver", "two frames, one reader, sleep and wake, the ring's end", &deliver},
    {"room", "a full ring: the writer sleeps until the reader gives room back", &room},
    {"two readers", "the same with two readers, each at its own pace", &twoReaders},
    {"open", "the ring is named, claimed and attached to", &open},
    {"rivals", "two processes want to write one ring", &rivals},
    {"evict", "a slow reader loses its room, and comes back", &evict},
    {"successor", "the writer closes or dies, and another process goes on", &successor},
    {"leave", "a reader that holds the room goes", &leave},
    {"hands", "a reader goes that holds a whole ring of frames", &hands},
    {"attach", "a reader comes while the ring is written round and round", &attach},
    {"passed", "a reader attaches while the writer fills the ring and then wants room", &passed},
    {"wake", "one frame, and nothing after it that would make up for a lost wake-up", &wake},
    {"late reader", "an evicted reader that has left comes back late", &lateReader},
    {"late writer", "a writer to which another has succeeded wants no room any more", &lateWriter},
    {"deliver by FIFO", "as deliver, where the event loops poll FIFOs", &byFifo<&deliver>},
    {"room by FIFO", "as room", &byFifo<&room>},
    {"two readers by FIFO", "as two readers", &byFifo<&twoReaders>},
    {"successor by FIFO", "as successor", &byFifo<&successor>},
    {"wake by FIFO", "as wake", &byFifo<&wake>},
    {"rename", "a ring gets another name while a reader comes for the old one", &rename},
  }};
  for (const Configuration& one : ringLives()) protocol.configurations.push_back(one);
  for (const Configuration& one : ringDepartures()) protocol.configurations.push_back(one);
  for (const Configuration& one : ringWaits()) protocol.configurations.push_back(one);
  return protocol;
}

}  // namespace ringfence::explore
