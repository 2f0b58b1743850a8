// Ends of a ring that outlive their place: they change nothing that belongs to another by then.
#include <atomic>
#include <thread>

#include "raw_line.h"
#include "region/token.h"
#include "ring_fixture.h"

namespace ringfence::test {

namespace {

TEST("an evicted reader that has left does not come back, and not in the place of the reader that came after it") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto first = readerOf(region);
  fill(*writer, 0);
  writer->publish();
  CHECK(writer->evictSlowest());
  CHECK(first->look().finding == RingFinding::evicted);
  first->detach();
  auto second = readerOf(region);
  CHECK_EQUAL(second->role().slot, first->role().slot);
  const uint64_t generation = activeReader(*region, 0, 0).generation;
  append(*writer, 0);
  writer->publish();
  CHECK(!first->rejoin());
  CHECK_EQUAL(activeReader(*region, 0, 0).generation, generation);
  const RingReaderLine line = region->publication().copy(region->ringReader(0, 0).line);
  CHECK_EQUAL(line.released, second->cursors().released);
  CHECK(second->look().finding == RingFinding::sound);
}

TEST("a reader whose region is closed does not begin anew") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  const auto other = attachedAgain(*region);
  auto reader = readerOf(other);
  const uint64_t generation = activeReader(*region, 0, 0).generation;
  append(*writer, 0);
  writer->publish();
  CHECK(writer->evictSlowest());
  other->close();
  CHECK(!reader->rejoin());
  CHECK_EQUAL(activeReader(*region, 0, 0).generation, 0);
  CHECK_EQUAL(region->publication().observe<&RingReaderClaim::generation>(region->ringReader(0, 0).claim), generation);
}

TEST("a writer that has closed, or whose region is closed, says nothing any more of whether the next one waits") {
  for (const bool regionCloses : {false, true}) {
    const auto region = anonymousRegion(ringGeometry());
    const auto other = attachedAgain(*region);
    auto first = writerOf(other);
    first->wantRoom(true);
    if (regionCloses) {
      other->close();
    } else {
      first->close();
      CHECK_EQUAL(region->publication().observe<&RingWait::waitsForRoom>(region->ring(0).wait), 0);
    }
    auto second = writerOf(region);
    second->wantRoom(true);
    const uint64_t events = ringsOf(*region)[0].fullEvents;
    first->wantRoom(false);
    CHECK_EQUAL(region->publication().observe<&RingWait::waitsForRoom>(region->ring(0).wait), 1);
    first->wantRoom(true);
    CHECK_EQUAL(ringsOf(*region)[0].fullEvents, events);
  }
}

TEST("a writer to which another has succeeded writes nothing over its frames, and says nothing in its name") {
  const auto region = anonymousRegion(ringGeometry());
  const auto other = attachedAgain(*region);
  auto first = writerOf(other);
  auto reader = readerOf(region);
  RingFollowing following(*reader);
  append(*first, 0);
  first->publish();
  append(*first, 7);  // not published
  CHECK(first->end() == WriterEnd::none);
  // The writer's process lives, but its forged closing mark says that it has closed.
  RingLead& lead = RawLine::of(region->ring(0).lead);
  lead.closedMark = closedMarkOf(first->role().generation);
  auto second = writerOf(region);
  CHECK(first->end() == WriterEnd::superseded);
  append(*second, 1);
  second->publish();
  const uint64_t position = second->published();
  first->publish();
  CHECK_EQUAL(first->append(Frame{}), -2);
  CHECK(!first->evictSlowest());
  CHECK_EQUAL(first->slowestReader(), -1);
  second->wantRoom(true);
  first->wantRoom(false);
  CHECK_EQUAL(RawLine::of(region->ring(0).wait).waitsForRoom, 1);
  CHECK_EQUAL(lead.position, position);
  CHECK_EQUAL(following.take(), 2);
  second->close();
  first->close();
  CHECK(first->end() == WriterEnd::closed);
  CHECK(reader->ended(position));
}

TEST("a reader attaches though the position never stands still") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  std::atomic<bool> done{false};  // private
  std::thread moving([&] {
    for (uint64_t at = 8; !done.load(std::memory_order_relaxed); at += 8) {
      memory::storeRelease(RawLine::of(region->ring(0).lead).position, at, {});
    }
  });
  const auto position = [&] { return region->publication().observe<&RingLead::position>(region->ring(0).lead); };
  until("it moves", [&] { return position() != 0; });
  for (int round = 0; round < 200; round += 1) {
    const uint64_t before = position();
    const auto reader = readerOf(region, "ring", writer->memory());
    CHECK(reader->baseline() >= before && reader->baseline() <= position());
    CHECK_EQUAL(reader->cursors().released, reader->baseline());
  }
  done.store(true);
  moving.join();
}

}  // namespace

}  // namespace ringfence::test
