// Processes that wait until a ring's reader progresses: they are found by their bits, all that changes a reader's cursors
// rings them, and a reader that finds no bit looks at no sleep word.
#include <bit>
#include <thread>

#include "actor_process.h"
#include "raw_line.h"
#include "region/futex.h"
#include "region/waiter.h"
#include "ring_fixture.h"

namespace ringfence::test {

namespace {

uint64_t bitsOf(const Region& region, uint32_t line = 0) {
  return region.publication().observe<&CursorWaiters::slots>(region.header().cursorWaiters[line]);
}

uint32_t sleepsOf(const Region& region, uint32_t slot) {
  return region.publication().observe<&SleepLine::sleeps>(region.process(slot).sleep);
}

uint32_t ringsOf(const Region& region, uint32_t slot) {
  return region.publication().observe<&BellLine::bell>(region.process(slot).bell);
}

void goToSleep(const Region& region, uint32_t reasons) {
  region.sleepFor(reasons);
  static_cast<void>(region.publication().fullFence());
}

// How often the sleeper is rung by what `happens`, while it sleeps for these reasons.
template <class Happens>
uint32_t rings(const Region& sleeper, uint32_t reasons, const Happens& happens) {
  goToSleep(sleeper, reasons);
  const uint32_t before = ringsOf(sleeper, sleeper.slot());
  happens();
  const uint32_t rung = ringsOf(sleeper, sleeper.slot()) - before;
  sleeper.sleepFor(awake);
  return rung;
}

// A frame that the reader has handled.
void handleOne(RingWriter& writer, RingFollowing& following, uint64_t number) {
  CHECK(append(writer, number));
  writer.publish();
  CHECK(following.walk());
}

TEST("a process that waits for cursors is rung by all that changes them: a step, a repair, an eviction, a leave, an arrival") {
  const auto region = anonymousRegion(ringGeometry());
  const auto waiting = attachedAgain(*region, "waiting");
  const auto reading = attachedAgain(*region, "reading");
  auto writer = writerOf(region);
  auto reader = readerOf(reading);
  RingFollowing following(*reader);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { handleOne(*writer, following, 0); }), 1);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] {
    RawLine::of(region->ringReader(0, reader->role().slot).line).handled += 8;
    CHECK(reader->look().finding == RingFinding::sound);
  }), 1);
  append(*writer, 1);
  writer->publish();
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { CHECK(writer->evictSlowest()); }), 1);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { reader->rejoin(); }), 1);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { reader->detach(); }), 1);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { reader = readerOf(reading); }), 1);
  CHECK_EQUAL(bitsOf(*region), 0);
}

TEST("what changes no cursor that a fence waits for rings no process that waits for cursors") {
  const auto region = anonymousRegion(ringGeometry());
  const auto waiting = attachedAgain(*region, "waiting");
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  append(*writer, 0);
  writer->publish();
  const uint64_t end = reader->look().limit;
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { reader->advance({end, 0, 0, end}); }), 0);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { reader->advance({end, end, 0, end}); }), 1);
  CHECK_EQUAL(rings(*waiting, sleepsForCursor, [&] { reader->advance({end, end, end, end}); }), 1);
}

TEST("processes that sleep for anything else are not rung, and a reader that finds no bit looks at no sleep word") {
  const auto region = anonymousRegion(ringGeometry());
  const auto other = attachedAgain(*region, "other");
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  RingFollowing following(*reader);
  const uint32_t others = sleepsForAll & ~sleepsForCursor;
  CHECK_EQUAL(rings(*other, others & ~sleepsForFrames, [&] {
    CHECK(bitsOf(*region) == 0);
    handleOne(*writer, following, 0);
  }), 0);
  CHECK_EQUAL(sleepsOf(*region, other->slot()), awake);
  // A word that only a look could find: no process sleeps so.
  RawLine::of(region->process(other->slot()).sleep).sleeps = sleepsForCursor;
  handleOne(*writer, following, 1);
  CHECK_EQUAL(sleepsOf(*region, other->slot()), sleepsForCursor);
}

TEST("a waiter is among those that wait for cursors until it sleeps for anything else, or for nothing") {
  const auto region = anonymousRegion(ringGeometry());
  const auto waiting = attachedAgain(*region, "waiting");
  const uint64_t own = uint64_t{1} << waiting->slot();
  std::atomic<uint32_t> called{0};  // private
  Waiter waiter(waiting, [&called] { called.fetch_add(1); });
  CHECK_EQUAL(waiter.start().fault, "none");
  waiter.arm(sleepsForCursor | sleepsForFrames);
  CHECK_EQUAL(bitsOf(*region), own);
  region->wakeProcesses(sleepsForFrames);
  until("it is called", [&] { return called.load() == 1; });
  CHECK_EQUAL(bitsOf(*region), own);  // it often waits for cursors again
  waiter.arm(sleepsForCursor);
  CHECK_EQUAL(bitsOf(*region), own);
  waiter.arm(sleepsForFrames);
  CHECK_EQUAL(bitsOf(*region), 0);
  waiter.arm(sleepsForAll);
  CHECK_EQUAL(bitsOf(*region), own);
  waiter.disarm();
  CHECK_EQUAL(bitsOf(*region), 0);
  waiter.arm(sleepsForCursor);
  waiter.stop();
  CHECK_EQUAL(bitsOf(*region), 0);
}

TEST("slots have their bits in as many lines as there are processes for, and each waiter is rung") {
  Geometry geometry = ringGeometry();
  geometry.processes = 140;
  const auto region = anonymousRegion(geometry);
  std::vector<std::shared_ptr<Region>> all;
  while (all.size() < geometry.processes - 1) all.push_back(attachedAgain(*region));
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  RingFollowing following(*reader);
  for (const auto& one : all) goToSleep(*one, sleepsForCursor);
  CHECK_EQUAL(bitsOf(*region, 0), ~uint64_t{1});
  CHECK_EQUAL(bitsOf(*region, 1), ~uint64_t{0});
  CHECK_EQUAL(bitsOf(*region, 2), (uint64_t{1} << 12) - 1);
  handleOne(*writer, following, 0);
  for (const auto& one : all) CHECK_EQUAL(ringsOf(*region, one->slot()), 1);
  for (const auto& one : all) one->sleepFor(one->slot() == 100 ? sleepsForCursor : awake);
  CHECK_EQUAL(bitsOf(*region, 0) + bitsOf(*region, 2), 0);
  CHECK_EQUAL(bitsOf(*region, 1), uint64_t{1} << 36);
  handleOne(*writer, following, 1);
  for (const auto& one : all) CHECK_EQUAL(ringsOf(*region, one->slot()), one->slot() == 100 ? 2 : 1);
}

ACTOR("sleeping waiter for cursors") {
  const auto region = attachAs("waiting", arguments[0]);
  const Publication& p = region->publication();
  for (;;) {
    const uint32_t heard = p.observe<&BellLine::bell>(region->bell());
    goToSleep(*region, sleepsForCursor);
    futexWait(p.futexWord<&BellLine::bell>(region->bell()), heard, -1);
  }
}

TEST("a process killed in its wait for cursors is rung once, then costs a look, and leaves no bit to the next one of its slot") {
  CreateOptions options;
  options.path = scratchFolder() + "/region";
  options.geometry = ringGeometry();
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  Process waiting("sleeping waiter for cursors", region->path(), 0);
  until("it sleeps", [&] { return sleepsOf(*region, 1) == sleepsForCursor; });
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  until("it sleeps again", [&] { return sleepsOf(*region, 1) == sleepsForCursor; });
  waiting.kill();
  RingFollowing following(*reader);
  const uint32_t before = ringsOf(*region, 1);
  for (uint64_t number = 0; number < 100; number += 1) handleOne(*writer, following, number);
  CHECK_EQUAL(ringsOf(*region, 1) - before, 1);
  CHECK_EQUAL(bitsOf(*region), 2);
  const auto next = attachedAgain(*region, "next");
  CHECK_EQUAL(next->slot(), 1);
  CHECK_EQUAL(bitsOf(*region), 0);
  CHECK_EQUAL(rings(*next, sleepsForCursor, [&] { handleOne(*writer, following, 100); }), 1);
}

// The look of a waiter finds a sleep word that was taken, and none that no process has seen: a lost ring is never made up for.
TEST("three processes that begin and end their waits side by side miss no step of a reader") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  constexpr uint32_t waiting = 3;
  const uint64_t steps = 3000 / slowness;
  std::atomic<uint64_t> handled{0};            // private
  std::atomic<uint64_t> seen[waiting] = {};    // private
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < waiting; i += 1) {
    threads.emplace_back([&, i, at = attachedAgain(*region)] {
      const Publication& p = at->publication();
      for (uint64_t step = 1; step <= steps; step += 1) {
        for (;;) {
          const uint32_t heard = p.observe<&BellLine::bell>(at->bell());
          goToSleep(*at, sleepsForCursor);
          if (handled.load() >= step) break;
          futexWait(p.futexWord<&BellLine::bell>(at->bell()), heard, -1);
        }
        at->sleepFor(awake);
        seen[i].store(step);
      }
    });
  }
  RingFollowing following(*reader);
  for (uint64_t step = 1; step <= steps; step += 1) {
    CHECK(append(*writer, step));
    writer->publish();
    handled.store(step);
    CHECK(following.walk());
    for (auto& one : seen) until("it has seen the step", [&] { return one.load() >= step; });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

}  // namespace ringfence::test
