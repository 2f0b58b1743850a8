// Doorbells by FIFO: processes that ring one another, a slot that another process takes, a process that sees no FIFOs. And the
// processes that look instead of sleeping.
#include "bells.h"

#include <unistd.h>

#include "attached.h"
#include "explore/trace.h"
#include "ring_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

struct Asked {
  shared_ptr<Sending> sending;
  shared_ptr<Receiving> receiving;
};

Asked between(Attached& writer, Attached& reader) {
  Asked asked;
  writer.program.ahead([&] { asked.sending = make_shared<Sending>(writer.region); });
  reader.program.ahead([&] { asked.receiving = make_shared<Receiving>(reader.region); });
  return asked;
}

// Two processes ring one: its FIFO may be full.
void twoRing() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false);
  Attached other(*region, "other", false);
  Attached reader(*region, "reader");
  const Asked asked = between(writer, reader);
  other.program.runs([at = other.region] {
    for (int i = 0; i < 3; i += 1) at->wakeProcesses(sleepsForAll);
  });
  writer.program.runs([=] {
    for (uint64_t i = 0; i < 3; i += 1) asked.sending->send(i, nullptr);
    asked.sending->writer().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] { asked.receiving->receive(*sleeper); });
}

// Two processes ring one whose thread sleeps on the futex, and calls the event loop. One of them may stand in the midst of a
// ring while the other rings again and again.
void twoCall() {
  const auto region = made(ringGeometry());
  Attached reader(*region, "reader");
  Attached writer(*region, "writer", false);
  Attached other(*region, "other", false);
  const Asked asked = between(writer, reader);
  reader.program.runs([=, sleeper = reader.sleeper] { asked.receiving->receive(*sleeper); });
  writer.program.runs([=] {
    for (uint64_t i = 0; i < 4; i += 1) {
      asked.sending->send(i, nullptr);
      Scheduler::now().giveWay(1'000'000);
    }
    asked.sending->writer().close();
  });
  other.program.runs([at = other.region] { at->wakeProcesses(sleepsForAll); });
}

void succeeds(bool remade) {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false, false);
  Attached first(*region, "first reader");
  const Asked asked = between(writer, first);
  Program next("next reader", true);
  const auto closed = make_shared<bool>(false);
  const auto ready = make_shared<bool>(false);
  first.program.runs([=, at = first.region, sleeper = first.sleeper] {
    asked.receiving->receive(*sleeper, 0);
    sleeper->close();
    const std::string fifo = fifoNameOf(*at);
    at->close();
    if (remade) unlink(fifo.c_str());
    *closed = true;
  });
  next.runs([=] {
    for (Patience patience; !*closed && !Scheduler::now().deaths() && patience.lasts();) continue;
    const auto at = attachedTo(*region, "next reader");
    const auto sleeper = make_shared<Sleeper>(at, Rings::byFifo);
    atEnd([at, sleeper] {});
    const char* fault = nullptr;
    auto reader = openedReader(at, "ring", fault);
    for (Patience patience; reader == nullptr && patience.lasts();) reader = openedReader(at, "ring", fault);
    if (reader == nullptr) return;
    const auto receiving = make_shared<Receiving>(at, std::move(reader));
    atEnd([receiving] {});
    *ready = true;
    receiving->receive(*sleeper);
  });
  writer.program.runs([=] {
    asked.sending->send(0, nullptr);
    for (Patience patience; !*ready && patience.lasts();) continue;
    asked.sending->send(1, nullptr);
    asked.sending->writer().close();
  });
}

// A process that was rung by its FIFO goes, and another one takes its slot and its FIFO; the writer has the FIFO open.
void heir() { succeeds(false); }

// The same where the FIFO was removed meanwhile, and the next process makes another.
void remade() { succeeds(true); }

// The writer cannot open the reader's FIFO, as in another mount namespace. The reader is late once, at most by its look at its
// own word, and has a thread from then on.
void elsewhere() {
  const auto region = made(ringGeometry());
  Attached writer(*region, "writer", false, false);
  writer.program.process().isElsewhere = true;
  Attached reader(*region, "reader");
  const Asked asked = between(writer, reader);
  writer.program.runs([=] {
    asked.sending->send(0, nullptr);
    Scheduler::now().giveWay(1'000'000'000);
    asked.sending->send(1, nullptr);
    asked.sending->writer().close();
  });
  reader.program.runs([=, sleeper = reader.sleeper] {
    sleeper->mayBeLate(true);
    const auto hasRead = [&] { return asked.receiving->take() && !asked.receiving->numbers().empty(); };
    sleeper->until(sleepsForFrames, "a frame", hasRead, [] { return false; });
    // A look also finds that the writer has died, and one that is stopped may have taken the sleep word and rung nothing yet.
    const bool untold = sleeper->wasLate() && !Scheduler::now().deaths() && !Scheduler::now().stops();
    expect(sleeper->threaded() || !untold, "no thread comes to the aid of a FIFO that was not rung");
    sleeper->mayBeLate(!sleeper->threaded());
    asked.receiving->receive(*sleeper);
  });
}

// Of three processes one may look at a time. One that was killed while it looked holds up no other.
void looking() {
  const auto region = made(ringGeometry());
  Attached first(*region, "first", false);
  Attached second(*region, "second", false);
  Attached third(*region, "third", false);
  const auto who = make_shared<const Process*>(nullptr);
  for (Attached* one : {&first, &second, &third}) {
    one->program.runs([at = one->region, who, self = &one->program.process()] {
      for (int i = 0; i < 2; i += 1) {
        if (!at->beginLook(0)) {
          const uint32_t looks = at->publication().observe<&SleepLine::looks>(at->sleep());
          expect(looks == 0, "a process that may not look counts among those that look");
          continue;
        }
        expect(*who == nullptr || !(*who)->alive, "two processes look at once");
        *who = self;
        Scheduler::now().giveWay(1'000'000);
        *who = nullptr;
        at->endLook();
      }
    });
  }
}

}  // namespace

Protocol bellProtocol() {
  return {"bells", "doorbells: the FIFO that an event loop polls, and the thread that comes to its aid", {
    {"two ring", "two processes ring one, whose FIFO may be full", &byFifo<&twoRing>},
    {"two call", "the same, where a thread is rung that calls the event loop", &twoCall},
    {"heir", "a process takes the slot and the FIFO of one that a writer has rung", &byFifo<&heir>},
    {"remade", "as heir, where the FIFO was removed meanwhile", &byFifo<&remade>},
    {"elsewhere", "a writer sees no FIFO of the reader", &byFifo<&elsewhere>},
    {"looking", "three processes, of which one at a time may look instead of sleeping", &looking},
  }};
}

}  // namespace ringfence::explore
