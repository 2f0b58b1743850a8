// Rings: frames over many laps, cursors, and room as released by the slowest reader.
#include <atomic>
#include <cstring>
#include <thread>

#include "ring_fixture.h"

namespace ringfence::test {

namespace {

TEST("a ring's bytes are mapped twice in a row, and belong to no one after the region is closed") {
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
  const auto stays = attachedAgain(*region, "stays");
  const auto others = stays->mapRing(writer->role().ring);
  memory->base()[1] = 5;
  CHECK_EQUAL(others->base()[1], 5);
  region->close();
  CHECK(region->mapRing(writer->role().ring) == nullptr);
  CHECK_EQUAL(memory->base()[1], 0);
  memory->base()[1] = 6;
  memory->base()[2 * ringBytes - 1] = 6;
  CHECK_EQUAL(others->base()[1], 5);
  CHECK_EQUAL(others->base()[ringBytes - 1], 99);
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

}  // namespace

}  // namespace ringfence::test
