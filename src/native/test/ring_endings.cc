// Ends of a ring that outlive their place: they change nothing that belongs to another by then.
#include <atomic>
#include <thread>

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
  CHECK(first->isEvicted());
  first->detach();
  auto second = readerOf(region);
  CHECK_EQUAL(second->role().slot, first->role().slot);
  const uint64_t generation = ringReaderActive(*region, 0, 0);
  append(*writer, 0);
  writer->publish();
  CHECK(!first->rejoin());
  CHECK_EQUAL(ringReaderActive(*region, 0, 0), generation);
  const RingReaderLine line = region->publication().copyOut(region->ringReader(0, 0).line);
  CHECK_EQUAL(line.released, second->cursors().released);
  CHECK(!second->isEvicted());
}

TEST("a reader whose region is closed does not begin anew") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  const auto other = attachedAgain(*region);
  auto reader = readerOf(other);
  const uint64_t generation = ringReaderActive(*region, 0, 0);
  append(*writer, 0);
  writer->publish();
  CHECK(writer->evictSlowest());
  other->close();
  CHECK(!reader->rejoin());
  CHECK_EQUAL(ringReaderActive(*region, 0, 0), 0);
  CHECK_EQUAL(region->publication().observe(region->ringReader(0, 0).claim.generation), generation);
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
      CHECK_EQUAL(region->publication().read(region->ring(0).lead.waitsForRoom), 0);
    }
    auto second = writerOf(region);
    second->wantRoom(true);
    const uint64_t events = ringsOf(*region)[0].fullEvents;
    first->wantRoom(false);
    CHECK_EQUAL(region->publication().read(region->ring(0).lead.waitsForRoom), 1);
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
  const Publication& p = region->publication();
  RingLead& lead = region->ring(0).lead;
  p.publish(lead.closedMark, closedMarkOf(first->role().generation));
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
  CHECK_EQUAL(p.read(lead.waitsForRoom), 1);
  CHECK_EQUAL(p.read(lead.position), position);
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
      region->publication().publish(region->ring(0).lead.position, at);
    }
  });
  const auto position = [&] { return region->publication().observe(region->ring(0).lead.position); };
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
