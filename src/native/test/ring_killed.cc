// Processes that are killed while they write or read a ring, and the processes that wait for them.
#include <algorithm>

#include "actor_process.h"
#include "ring_fixture.h"
#include "region/waiter.h"

namespace ringfence::test {

namespace {

std::string pathOf() { return scratchFolder() + "/region"; }

std::shared_ptr<Region> makeRegion() {
  CreateOptions options;
  options.path = pathOf();
  options.geometry = ringGeometry();
  options.processName = "owner";
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::create(options, nullptr, region).fault, "none");
  return region;
}

// Publishes frames, writes three more that it never publishes, and then says so on another ring.
ACTOR("ring writer between append and publish") {
  const auto region = attachAs("writer", arguments[0]);
  auto writer = writerOf(region);
  auto signal = writerOf(region, "signal");
  uint64_t number = std::stoull(arguments[1]);
  until("a process reads", [&] { return activeReader(*region, 0, 0).generation != 0; });
  for (int i = 0; i < 5; i += 1) append(*writer, number++);
  writer->publish();
  for (int i = 0; i < 3; i += 1) append(*writer, number++);
  append(*signal, 0);
  signal->publish();
  for (;;) pauseBriefly();
}

// Writes as fast as it can, with an unpublished frame at each moment.
ACTOR("ring writer") {
  const auto region = attachAs("writer", arguments[0]);
  auto writer = writerOf(region);
  Random random(writer->role().generation);
  for (uint64_t number = std::stoull(arguments[1]);;) {
    if (append(*writer, number)) {
      number += 1;
    } else {
      pauseBriefly();
    }
    if (random.oneIn(3)) writer->publish();
  }
}

// Reads a little, says on another ring that it releases no more, and releases no more.
ACTOR("ring reader") {
  const auto region = attachAs("reader", arguments[0]);
  auto signal = writerOf(region, "signal");
  auto reader = readerOf(region);
  Random random(std::stoull(arguments[1]));
  RingFollowing following(*reader);
  for (uint64_t rounds = random.below(50); rounds > 0; rounds -= 1) following.walk();
  append(*signal, 0);
  signal->publish();
  for (;;) pauseBriefly();
}

TEST("killed between append and publish: what was published is read to its end, the rest never existed") {
  const auto region = makeRegion();
  uint64_t number = 0;
  std::unique_ptr<RingReader> reader;
  std::unique_ptr<RingFollowing> following;
  for (uint64_t generation = 1; generation <= 10; generation += 1) {
    Process writer("ring writer between append and publish", pathOf(), number);
    until("it writes", [&] {
      const auto rings = ringsOf(*region);
      return rings.size() == 2 && rings[0].written && rings[0].generation == generation;
    });
    if (reader == nullptr) {
      reader = readerOf(region);
      following = std::make_unique<RingFollowing>(*reader);
    }
    until("it has told", [&] { return ringsOf(*region)[1].frames == generation; });
    CHECK(!reader->ended(reader->available()));
    writer.kill();
    CHECK_EQUAL(following->take(), 5);
    number += 5;
    CHECK(reader->ended(reader->cursors().read));
    CHECK_EQUAL(ringsOf(*region)[0].position, reader->cursors().read);
    CHECK_EQUAL(ringsOf(*region)[0].frames, number);
  }
}

// The frame that begins at that position of a ring whose frames are numbered from 0.
uint64_t numberAt(uint64_t position) {
  uint64_t number = 0;
  for (uint64_t at = 0; at < position; number += 1) at += frameBytesOf(payloadBytesOf(number));
  return number;
}

TEST("a writer is killed in mid-stream thirty times, and each next one goes on where the last was seen") {
  const auto region = makeRegion();
  Random random(64);
  std::unique_ptr<RingReader> reader;
  std::unique_ptr<RingFollowing> following;
  uint64_t unseen = 0;
  uint64_t next = 0;
  for (uint64_t generation = 1; generation <= 30; generation += 1) {
    Process writer("ring writer", pathOf(), next);
    until("it writes", [&] {
      const auto rings = ringsOf(*region);
      return !rings.empty() && rings[0].written && rings[0].generation == generation;
    });
    if (reader == nullptr) {
      writer.kill();  // the first writer only creates the ring, so that the reader knows where it begins
      reader = readerOf(region);
      following = std::make_unique<RingFollowing>(*reader, numberAt(reader->cursors().read));
    } else {
      const uint64_t before = following->next;
      until("it has written", [&] { return following->take() != 0 && following->next > before + 20; });
      const uint64_t started = nowNanos();
      const uint64_t nanos = random.below(4'000'000);
      while (nowNanos() - started < nanos) following->take();
      writer.kill();
      while (!reader->ended(reader->cursors().read)) following->take();
    }
    // A writer killed between the announcement and the position has left frames that its successor publishes. One that was
    // killed before the announcement has counted frames that were never published.
    const RingLead lead = region->publication().copy(region->ring(0).lead);
    CHECK_EQUAL(following->next, numberAt(lead.position));
    next = numberAt(std::max(lead.position, lead.announced));
    CHECK(lead.frames >= next + unseen);
    CHECK(lead.frames - next - unseen < 100);
    unseen = lead.frames - next;
  }
}

TEST("a reader is killed while it holds the room thirty times: the writer goes on at once") {
  const auto region = makeRegion();
  auto writer = writerOf(region);
  for (uint64_t round = 0; round < 30; round += 1) {
    Process reader("ring reader", pathOf(), round);
    until("it reads", [&] { return activeReader(*region, 0, 0).generation != 0; });
    // A full ring alone does not tell that the reader has stopped: it may be about to release more.
    until("it releases no more", [&] {
      fill(*writer, 0);
      writer->publish();
      return ringsOf(*region)[1].frames == round + 1;
    });
    fill(*writer, 0);
    writer->publish();
    CHECK_EQUAL(writer->slowestReader(), 0);
    reader.kill();
    CHECK(append(*writer, 0));
    CHECK_EQUAL(writer->slowestReader(), -1);
    writer->publish();
  }
}

TEST("who waits is called when another process is gone, also when its slot has a new owner at once") {
  for (const bool reused : {false, true}) {
    const auto region = anonymousRegion(ringGeometry());
    auto other = attachedAgain(*region);
    std::atomic<uint32_t> called{0};  // private
    Waiter waiter(region, [&called] { called.fetch_add(1); });
    CHECK_EQUAL(waiter.start().fault, "none");
    waiter.arm(sleepsForFrames);
    const uint64_t started = nowNanos();
    while (nowNanos() - started < 250'000'000) pauseBriefly();
    CHECK_EQUAL(called.load(), 0);
    other->close();
    if (reused) other = attachedAgain(*region);
    const uint64_t gone = nowNanos();
    until("it is called", [&] { return called.load() == 1; });
    CHECK(nowNanos() - gone < 250'000'000 * slowness);
    waiter.stop();
  }
}

}  // namespace

}  // namespace ringfence::test
