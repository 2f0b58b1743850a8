// A batch that comes twice: by two brokers, twice by one, after its commit, and after a fence. It commits once, is
// acknowledged once, and its room comes free.
#include "named_fixture.h"

namespace ringfence::test {

namespace {

struct Scene {
  Scene() : at(namedGeometry()), author(at.log, at.identity), following(at.log, at.log.reader(at.topic, From::start), orderSession) {
    author.admitted();
  }

  // All that was published is committed once and read, and its room is free again where the lanes need it.
  void expectOnce(uint64_t batches, uint64_t duplicates) {
    at.log.settle();
    while (following.take(64) != 0) at.log.settle();
    CHECK_EQUAL(following.index(), batches);
    CHECK_EQUAL(author.lanes().committedBatches(), batches);
    CHECK_EQUAL(author.lanes().committedMessages(), firstMessageOf(batches));
    CHECK_EQUAL(at.log.sequencer().counters().duplicates, duplicates);
    CHECK_EQUAL(author.lanes().endReason(), endNone);
  }

  // Four laps of both lanes.
  void goesOn(uint64_t sequence) {
    const uint64_t end = sequence + 64;
    until("the lanes have room", [&] {
      if (author.publishing->publish(sequence % 2, sequence)) sequence += 1;
      at.log.settle();
      while (following.take(64) != 0) at.log.settle();
      return sequence == end;
    });
  }

  NamedLog at;
  Author author;
  Following following;
};

TEST("a batch that two brokers have commits once, is acknowledged once, and both its rooms come free") {
  Scene scene;
  for (uint64_t i = 0; i < 4; i += 1) {
    CHECK(scene.author.publishing->write(0, i));
    CHECK(scene.author.publishing->write(1, i));
  }
  scene.author.lanes().publish(1);
  scene.author.lanes().publish(0);
  scene.expectOnce(4, 4);
  scene.goesOn(4);
  scene.expectOnce(68, 4);
}

TEST("a batch that one broker has twice commits once, ahead of a gap and behind it") {
  Scene scene;
  Publishing& publishing = *scene.author.publishing;
  CHECK(publishing.publish(0, 1));
  CHECK(publishing.publish(0, 1));
  scene.at.log.settle();
  CHECK_EQUAL(scene.author.lanes().committedBatches(), 0);
  CHECK(publishing.publish(0, 0));
  CHECK(publishing.publish(0, 0));
  scene.expectOnce(2, 2);
  scene.goesOn(2);
  scene.expectOnce(66, 2);
}

TEST("a batch that comes again after its commit is dropped") {
  Scene scene;
  Publishing& publishing = *scene.author.publishing;
  for (uint64_t i = 0; i < 3; i += 1) CHECK(publishing.publish(0, i));
  scene.expectOnce(3, 0);
  for (uint64_t i = 0; i < 3; i += 1) CHECK(publishing.publish(1, i));
  scene.expectOnce(3, 3);
  scene.goesOn(3);
  scene.expectOnce(67, 3);
}

TEST("a batch that comes again after a fence is in no order, and a copy of each sequence is given back once") {
  Scene scene;
  Publishing& publishing = *scene.author.publishing;
  CHECK(publishing.publish(0, 0));
  scene.at.log.settle();
  for (const uint64_t sequence : {1, 2}) {
    CHECK(publishing.write(0, sequence));
    CHECK(publishing.write(1, sequence));
  }
  Author newer(scene.at.log, scene.at.identity);
  newer.admitted();
  scene.author.lanes().publish(0);
  scene.author.lanes().publish(1);
  scene.at.log.settle();
  CHECK_EQUAL(scene.at.committed(), 1);
  const auto copies = scene.author.lanes().uncommitted();
  CHECK_EQUAL(copies.size(), 2);
  CHECK(copies[0].sequence == 1 && copies[1].sequence == 2);
  newer.publishes(2);
  CHECK_EQUAL(scene.at.committed(), 1 + firstMessageOf(2));
  CHECK_EQUAL(newer.lanes().committedBatches(), 2);
}

}  // namespace

}  // namespace ringfence::test
