// Rings: frames that go round and round, room that is what the slowest reader released, and places that are taken,
// given back and taken over.
#include <atomic>
#include <cstring>
#include <thread>

#include "ring_fixture.h"

namespace ringfence::test {

namespace {

TEST("a ring's bytes are mapped twice in a row, and stay mapped after the region is closed") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  const auto memory = writer->memory();
  for (uint64_t i = 0; i < ringBytes; i += 1) memory->base()[i] = static_cast<uint8_t>(i * 13);
  CHECK_EQUAL(std::memcmp(memory->base(), memory->base() + ringBytes, ringBytes), 0);
  memory->base()[2 * ringBytes - 1] = 99;
  CHECK_EQUAL(memory->base()[ringBytes - 1], 99);
  // The rings of a region are apart from each other.
  const auto other = writerOf(region, "other")->memory();
  std::memset(other->base(), 7, ringBytes);
  CHECK_EQUAL(memory->base()[0], 0);
  region->close();
  memory->base()[0] = 5;
  CHECK_EQUAL(memory->base()[ringBytes], 5);
}

TEST("frames are contiguous wherever in the ring they begin, for 500 laps") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  RingFollowing following(*reader);
  uint64_t number = 0;
  uint64_t wrapped = 0;
  while (writer->position() < 500 * ringBytes) {
    const uint64_t before = writer->position();
    CHECK(append(*writer, number));
    if (before % ringBytes + frameBytesOf(payloadBytesOf(number)) > ringBytes) wrapped += 1;
    number += 1;
    writer->publish();
    CHECK_EQUAL(following.take(), 1);
  }
  CHECK(wrapped > 300);
}

TEST("a frame has at most a quarter of the ring, and one more byte is refused") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  CHECK_EQUAL(writer->payloadBytesMax(), ringBytes / 4 - 32);
  std::vector<uint8_t> payload(ringBytes);
  Frame frame{16, 0, 0, 0, 0, 0, payload.data(), static_cast<uint32_t>(ringBytes / 4 - 32)};
  for (int i = 1; i <= 4; i += 1) CHECK_EQUAL(writer->append(frame), i * ringBytes / 4);
  CHECK_EQUAL(writer->append(frame), -1);
  frame.payloadBytes += 1;
  CHECK_EQUAL(writer->append(frame), -2);
}

TEST("room is what the slowest reader has released, to the byte") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto slow = readerOf(region);
  auto quick = readerOf(region);
  RingFollowing slowly(*slow);
  RingFollowing quickly(*quick);
  Random random(60);
  uint64_t number = 0;
  for (int round = 0; round < 3000; round += 1) {
    number = fill(*writer, number);
    const uint64_t used = writer->position() - std::min(slow->cursors().released, quick->cursors().released);
    CHECK(used <= ringBytes && used + frameBytesOf(payloadBytesOf(number)) > ringBytes);
    writer->publish();
    quickly.take();
    CHECK_EQUAL(writer->slowestReader(), slow->cursors().released == writer->published() ? -1 : 0);
    if (random.oneIn(3)) slowly.take();
  }
  slowly.take();
  CHECK_EQUAL(slowly.next, number);
  CHECK_EQUAL(quickly.next, number);
}

TEST("without a reader there is always room, and what is not published takes some") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  for (int i = 0; i < 50; i += 1) {
    fill(*writer, 0);
    CHECK(writer->position() - writer->published() > ringBytes / 2);
    writer->publish();
  }
  CHECK(writer->position() > 40 * ringBytes);
}

// The number of the frame that begins there: sizes repeat after 300 frames.
uint64_t numberAt(uint64_t position) {
  uint64_t periodBytes = 0;
  for (uint64_t i = 0; i < 300; i += 1) periodBytes += frameBytesOf(payloadBytesOf(i));
  uint64_t number = position / periodBytes * 300;
  for (uint64_t at = position / periodBytes * periodBytes; at < position; number += 1) {
    at += frameBytesOf(payloadBytesOf(number));
  }
  return number;
}

TEST("a reader that attaches while the writer runs sees every frame from its baseline on") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  std::atomic<bool> stop{false};  // private
  std::thread writing([&] {
    for (uint64_t number = 0; !stop.load();) {
      if (append(*writer, number)) {
        number += 1;
      } else {
        writer->publish();
        std::this_thread::yield();
      }
      if (number % 3 == 0) writer->publish();
    }
  });
  Random random(65);
  for (uint64_t round = 0; round < 200 / slowness; round += 1) {
    auto reader = readerOf(region, "ring", writer->memory());
    const uint64_t first = numberAt(reader->baseline());
    RingFollowing following(*reader, first);
    const uint64_t enough = first + 1 + random.below(100);
    until("it has read some", [&] { return following.take(random.oneIn(2)), following.giveBack(), following.next > enough; });
  }
  stop.store(true);
  writing.join();
}

TEST("a writer and two readers in threads of their own: every frame, in order, with its own bytes") {
  const auto region = anonymousRegion(ringGeometry());
  const uint64_t frames = 60'000 / slowness;
  auto writer = writerOf(region);
  std::vector<std::unique_ptr<RingReader>> readers;
  for (int i = 0; i < 2; i += 1) readers.push_back(readerOf(region, "ring", writer->memory()));
  std::vector<std::thread> threads;
  for (const auto& reader : readers) {
    threads.emplace_back([&reader, frames] {
      RingFollowing following(*reader);
      while (following.next < frames) {
        if (following.take() == 0) std::this_thread::yield();
      }
    });
  }
  for (uint64_t number = 0; number < frames;) {
    if (append(*writer, number)) number += 1;
    writer->publish();
    if (!writer->hasRoomFor(304)) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
}

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

TEST("a ring's name is whole for whoever looks while its writers come and go") {
  const auto region = anonymousRegion(ringGeometry());
  const auto other = attachedAgain(*region);
  const std::string name = "control/12";
  writerOf(region, name).reset();
  std::atomic<bool> over{false};  // private
  std::thread coming([&] {
    RingRole role;
    for (uint64_t round = 0; round < 300'000 / slowness; round += 1) {
      if (claimRing(*region, name, role).ok()) abandonRing(*region, role);
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

TEST("cursors never move back, never past each other, and never past what is published") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  Random random(61);
  RingCursors before = reader->cursors();
  for (int i = 0; i < 20'000; i += 1) {
    if (random.oneIn(4)) {
      append(*writer, random.below(100));
      writer->publish();
    }
    const auto anywhere = [&] { return random.oneIn(8) ? random.next() : random.below(writer->position() + 500); };
    reader->advance({anywhere(), anywhere(), anywhere(), anywhere()});
    const RingCursors now = reader->cursors();
    CHECK(now.read >= before.read && now.delivered >= before.delivered && now.handled >= before.handled);
    CHECK(now.released >= before.released);
    CHECK(now.read <= writer->published() && now.delivered <= now.read && now.handled <= now.delivered);
    CHECK(now.released <= now.read && writer->position() - now.released <= ringBytes);
    before = now;
  }
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

TEST("the end is never seen before the frames that were published before it, whoever looks when") {
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
  CHECK(ringReaderActive(*region, 0, living->role().slot) != 0);
  CHECK(ringReaderActive(*region, 0, nextReader->role().slot) != 0);
  RingFollowing following(*living);
  CHECK(following.take() > 1);
}

}  // namespace

}  // namespace ringfence::test
