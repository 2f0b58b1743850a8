// A peer may write anything into a ring or its tables: no process crashes, leaves the mapping or waits for ever, and
// once the ring is whole again it works.
#include <cstring>

#include "raw_line.h"
#include "ring_fixture.h"

namespace ringfence::test {

namespace {

constexpr uint64_t extremes[] = {0, 1, 31, 32, 4096, 1ULL << 31, 1ULL << 32, 1ULL << 63, ~0ULL - 7, ~0ULL};

uint64_t wild(Random& random) {
  return random.oneIn(3) ? random.next() : random.oneIn(2) ? random.below(8192) : extremes[random.below(10)];
}

// Calls everything that both ends can do, also after calls that fail.
void useAll(const std::shared_ptr<Region>& region, RingWriter& writer, RingReader& reader, Random& random) {
  for (int i = 0; i < 6; i += 1) append(writer, random.below(100));
  writer.publish();
  writer.slowestReader();
  if (random.oneIn(4)) writer.evictSlowest();
  RingFollowing following(reader);
  following.walk();
  uint64_t from = 0;
  uint64_t to = 0;
  if (reader.evicted(from, to)) reader.rejoin();
  reader.advance({wild(random), wild(random), wild(random), wild(random)});
  reader.ended(reader.cursors().read);
  for (const RingView& view : ringsOf(*region)) CHECK(view.name.size() < nameBytes);
  RingRole role;
  if (claimRing(*region, random.oneIn(2) ? "ring" : "another", role).ok()) {
    const auto memory = region->mapRing(role.ring);
    RingWriter next(region, memory, role);
    append(next, 1);
    next.publish();
  }
  ReaderRole place;
  if (claimRingReader(*region, "ring", "another", place).ok()) {
    const auto memory = region->mapRing(place.ring);
    RingReader next(region, memory, place);
    RingFollowing(next).walk();
  }
}

TEST("any word of the rings' tables may hold anything at any time") {
  Random random(62);
  for (uint64_t round = 0; round < 20'000 / slowness; round += 1) {
    static auto region = anonymousRegion(ringGeometry());
    static auto writer = writerOf(region);
    static auto reader = readerOf(region);
    const Layout& at = region->layout();
    const uint64_t words = (at.payload - at.ringSlots) / sizeof(uint64_t);
    auto* table = reinterpret_cast<uint64_t*>(region->mapping()->base() + at.ringSlots);
    for (uint64_t lies = 1 + random.below(4); lies > 0; lies -= 1) table[random.below(words)] = wild(random);
    useAll(region, *writer, *reader, random);
    if (round % 50 != 0) continue;
    writer.reset();
    reader.reset();
    region = anonymousRegion(ringGeometry());
    writer = writerOf(region);
    reader = readerOf(region);
  }
}

TEST("any bytes of a ring may hold anything at any time") {
  Random random(63);
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  uint64_t refused = 0;
  for (uint64_t round = 0; round < 20'000 / slowness; round += 1) {
    auto reader = readerOf(region);
    for (int i = 0; i < 8; i += 1) append(*writer, random.below(100));
    writer->publish();
    for (uint64_t lies = random.below(4); lies > 0; lies -= 1) {
      const uint64_t value = wild(random);
      std::memcpy(writer->memory()->base() + random.below(ringBytes), &value, sizeof(value));
    }
    if (!RingFollowing(*reader).walk()) refused += 1;
  }
  CHECK(refused * slowness > 100);
}

TEST("a reader whose cursor cannot be true is told that it lost all, and holds no writer up") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto liar = readerOf(region);
  auto honest = readerOf(region);
  RingFollowing following(*honest);
  uint64_t number = fill(*writer, 0);
  writer->publish();
  following.take();
  RawLine::of(region->ringReader(0, 0).line).released = writer->published() + 8;
  CHECK(append(*writer, number));
  uint64_t from = 1;
  uint64_t to = 0;
  CHECK(liar->evicted(from, to));
  CHECK(from == writer->published() - std::min(writer->published(), ringBytes) && to == writer->published());
  writer->publish();
  CHECK_EQUAL(following.take(), 1);
  liar->rejoin();
  RingFollowing again(*liar, number + 1);
  number = fill(*writer, number + 1);
  writer->publish();
  again.take();
  CHECK_EQUAL(again.next, number);
}

TEST("a position that no writer left is not gone on with") {
  for (const uint64_t position : {uint64_t{4}, (uint64_t{1} << 53) + 8, ~uint64_t{7}}) {
    const auto region = anonymousRegion(ringGeometry());
    writerOf(region).reset();
    RawLine::of(region->ring(0).lead).position = position;
    RingRole role;
    CHECK_EQUAL(claimRing(*region, "ring", role).fault, "corrupt");
  }
}

TEST("a position far ahead gives a reader no more than a ring, all of it in the mapping") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  for (const uint64_t position : extremes) {
    RawLine::of(region->ring(0).lead).position = position;
    CHECK(reader->available() >= reader->cursors().read);
    CHECK(reader->available() - reader->cursors().released <= ringBytes);
    RingFollowing(*reader).walk();
  }
}

}  // namespace

}  // namespace ringfence::test
