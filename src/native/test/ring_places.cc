// Places in a ring: claimed, released and taken over, and what ends with their owners.
#include <atomic>
#include <thread>

#include "ring_fixture.h"

namespace ringfence::test {

namespace {

TEST("a ring has one writer; the next goes on behind what is published, in a new generation, and keeps what is unread") {
  const auto region = anonymousRegion(ringGeometry());
  auto first = writerOf(region);
  auto reader = readerOf(region);
  RingRole role;
  CHECK_EQUAL(claimRing(*region, "ring", role).fault, "exists");
  uint64_t number = 0;
  while (first->position() < 3000) CHECK(append(*first, number++));
  first->publish();
  const uint64_t published = first->published();
  const uint64_t unpublished = number;
  CHECK(append(*first, number));
  first.reset();  // publishes what it wrote
  auto second = writerOf(region);
  CHECK_EQUAL(second->role().generation, 2);
  CHECK(second->position() > published);
  number = fill(*second, unpublished + 1);
  second->publish();
  RingFollowing following(*reader);
  following.take();
  CHECK_EQUAL(following.next, number);
}

TEST("a ring is taken over for another name only when none is fresh, and not under a reader or a writer") {
  const auto region = anonymousRegion(ringGeometry());
  RingRole role;
  auto one = writerOf(region, "one");
  auto reader = readerOf(region, "one");
  auto two = writerOf(region, "two");
  CHECK_EQUAL(claimRing(*region, "three", role).fault, "full");
  one->close();
  CHECK_EQUAL(claimRing(*region, "three", role).fault, "full");
  reader->detach();
  CHECK_EQUAL(claimRing(*region, "three", role).fault, "none");
  CHECK_EQUAL(role.ring, 0);
  CHECK_EQUAL(role.generation, 2);
  ReaderRole place;
  CHECK_EQUAL(claimRingReader(*region, "one", "late", place).fault, "missing");
}

TEST("a ring's name is whole for every process that looks while its writers come and go") {
  const auto region = anonymousRegion(ringGeometry());
  const auto other = attachedAgain(*region);
  const std::string name = "control/12";
  writerOf(region, name).reset();
  std::atomic<bool> over{false};  // private
  std::thread coming([&] {
    RingRole role;
    for (uint64_t round = 0; round < 300'000 / slowness; round += 1) {
      if (claimRing(*region, name, role).ok()) RingWriter::abandon(*region, role);
    }
    over.store(true);
  });
  uint64_t torn = 0;
  while (!over.load()) {
    for (const RingView& ring : ringsOf(*other)) torn += ring.name == name ? 0 : 1;
  }
  coming.join();
  CHECK_EQUAL(torn, 0);
}

TEST("readers' places are given back by those who leave and by the dead, and never shared") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  const auto other = attachedAgain(*region);
  std::vector<std::unique_ptr<RingReader>> readers;
  readers.push_back(readerOf(region));
  readers.push_back(readerOf(other));
  readers.push_back(readerOf(region));
  ReaderRole role;
  CHECK_EQUAL(claimRingReader(*region, "ring", "late", role).fault, "full");
  readers[0]->detach();
  CHECK_EQUAL(claimRingReader(*region, "ring", "late", role).fault, "none");
  CHECK(role.slot == 0 && role.generation == 2);
  CHECK_EQUAL(claimRingReader(*region, "ring", "late", role).fault, "full");
  other->close();
  CHECK_EQUAL(claimRingReader(*region, "ring", "late", role).fault, "none");
  CHECK(role.slot == 1 && role.generation == 2);
}

TEST("a dead reader stops counting with the next look for room, and is not the slowest") {
  const auto region = anonymousRegion(ringGeometry());
  const auto other = attachedAgain(*region);
  auto writer = writerOf(region);
  auto dead = readerOf(other);
  auto alive = readerOf(region);
  RingFollowing following(*alive);
  uint64_t number = fill(*writer, 0);
  writer->publish();
  following.take();
  CHECK_EQUAL(writer->slowestReader(), 0);
  CHECK(!append(*writer, number));
  other->close();
  CHECK(append(*writer, number));
  writer->publish();
  CHECK_EQUAL(writer->slowestReader(), 1);
}

TEST("an evicted reader learns from where, stops counting, and begins again at what is published") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  CHECK(!writer->evictSlowest());
  uint64_t number = fill(*writer, 0);
  CHECK(!writer->evictSlowest());  // nothing is published that it could hold
  writer->publish();
  uint64_t from = 1;
  uint64_t to = 1;
  CHECK(!reader->evicted(from, to));
  CHECK(writer->evictSlowest());
  CHECK(reader->evicted(from, to));
  CHECK(from == 0 && to == writer->published());
  CHECK(!writer->evictSlowest());
  number = fill(*writer, number);
  writer->publish();
  reader->rejoin();
  CHECK(!reader->evicted(from, to));
  CHECK_EQUAL(reader->baseline(), writer->published());
  RingFollowing following(*reader, number);
  CHECK(append(*writer, number));
  writer->publish();
  CHECK_EQUAL(following.take(), 1);
}

TEST("the end comes after the last frame: closed or dead, and not before it was read") {
  for (const bool closes : {true, false}) {
    const auto region = anonymousRegion(ringGeometry());
    const auto other = attachedAgain(*region);
    auto writer = writerOf(other);
    auto reader = readerOf(region);
    RingFollowing following(*reader);
    CHECK(append(*writer, 0));
    writer->publish();
    CHECK(!reader->ended(0));
    following.take();
    CHECK(!reader->ended(reader->cursors().read));
    CHECK(append(*writer, 1));
    if (closes) {
      writer->close();
      CHECK(!reader->ended(reader->cursors().read));
    } else {
      other->close();
      writer->publish();
      writer.reset();
    }
    CHECK_EQUAL(following.take(), closes ? 1 : 0);
    CHECK(reader->ended(reader->cursors().read));
  }
}

TEST("the end is never seen before the frames that were published before it, at any moment that a reader looks") {
  for (uint64_t round = 0; round < 400 / slowness; round += 1) {
    const auto region = anonymousRegion(ringGeometry());
    auto writer = writerOf(region);
    auto reader = readerOf(region, "ring", writer->memory());
    std::thread closing([&writer] {
      for (uint64_t number = 0; number < 5; number += 1) {
        append(*writer, number);
        writer->publish();
      }
      writer->close();
    });
    RingFollowing following(*reader);
    while (!reader->ended(reader->cursors().read)) following.take();
    CHECK_EQUAL(following.next, 5);
    closing.join();
  }
}

TEST("once its region is closed, a writer or reader that is still held changes nothing") {
  const auto region = anonymousRegion(ringGeometry());
  const auto other = attachedAgain(*region);
  auto old = writerOf(other);
  auto oldReader = readerOf(other);
  auto living = readerOf(region);
  CHECK(append(*old, 0));
  other->close();
  auto next = writerOf(region);
  auto nextReader = readerOf(region);
  fill(*next, 0);
  next->publish();
  CHECK(!append(*old, 1));
  CHECK(!old->hasRoomFor(1) && old->slowestReader() == -1 && !old->evictSlowest());
  old->publish();
  oldReader->advance({ringBytes, ringBytes, ringBytes, ringBytes});
  oldReader.reset();
  old.reset();
  CHECK_EQUAL(ringsOf(*region)[0].position, next->published());
  CHECK(ringsOf(*region)[0].written);
  CHECK(activeReader(*region, 0, living->role().slot).generation != 0);
  CHECK(activeReader(*region, 0, nextReader->role().slot).generation != 0);
  RingFollowing following(*living);
  CHECK(following.take() > 1);
}

}  // namespace

}  // namespace ringfence::test
