// The places of topics are reused: when a process asks for a place, a topic without sessions and readers is freed, and
// the topic declared in its place has none of its data.
#include "steps.h"
#include "topic_fixture.h"

namespace ringfence::test {

namespace {

// --- which one is freed ---

TEST("no topic is freed before a place is asked for: then one of which nothing is kept, or the one left alone longest") {
  Geometry geometry = tinyGeometry();
  geometry.topics = 4;
  TestLog log(geometry);
  for (const char* name : {"a", "b", "c"}) publishTo(log, log.declare(name, orderSession), 2);
  log.declare("d", orderSession);
  publishTo(log, 1, 1);
  log.reader(0, From::end)->detach();
  CHECK_EQUAL(namesIn(*log.region()), "abcd");
  CHECK_EQUAL(faultOf(log, "e"), "none");
  CHECK_EQUAL(namesIn(*log.region()), "abce");
  publishTo(log, 3, 1);
  CHECK_EQUAL(faultOf(log, "f"), "none");
  CHECK_EQUAL(namesIn(*log.region()), "abfe");
  publishTo(log, 2, 1);
  CHECK_EQUAL(faultOf(log, "g"), "none");
  CHECK_EQUAL(namesIn(*log.region()), "agfe");
  publishTo(log, 1, 1);
  CHECK_EQUAL(faultOf(log, "h"), "none");
  CHECK_EQUAL(namesIn(*log.region()), "hgfe");
}

TEST("a topic that has a session or a reader, or that the server has named, is not freed") {
  Geometry geometry = tinyGeometry();
  geometry.topics = 1;
  TestLog log(geometry);
  const uint32_t topic = log.declare("a", orderSession);
  const Claim claim = log.claim(topic);
  CHECK_EQUAL(faultOf(log, "b"), "full");
  const auto lanes = log.admit(claim);
  CHECK_EQUAL(faultOf(log, "b"), "full");
  const auto reader = log.reader(topic, From::start);
  lanes->close();
  log.settle();
  CHECK_EQUAL(faultOf(log, "b"), "full");
  reader->detach();
  Claim unattached;
  CHECK_EQUAL(claimReader(*log.region(), {topic, 1}, "unattached", unattached).fault, "none");
  CHECK_EQUAL(faultOf(log, "b"), "full");
  IndexReader(log.region(), topic, unattached).attach(From::end, 0);
  CHECK(!log.sequencer().keepTopic({topic, 2}));
  CHECK(log.sequencer().keepTopic({topic, 1}));
  CHECK_EQUAL(faultOf(log, "b"), "full");
  CHECK_EQUAL(namesIn(*log.region()), "a");
}

TEST("without a wish, and without a server that could answer it, a region that is full is full") {
  Geometry geometry = tinyGeometry();
  const auto region = anonymousRegion(geometry);
  TopicView topic;
  TopicWish wish;
  for (const char* name : {"a", "b"}) CHECK_EQUAL(declareTopic(*region, name, orderSession, 1, topic).fault, "none");
  CHECK_EQUAL(declareTopic(*region, "c", orderSession, 1, topic, &wish).fault, "full");
  TestLog log(region, TestLog::manual());
  log.settle();
  CHECK_EQUAL(declareTopic(*region, "c", orderSession, 1, topic).fault, "full");
  log.settle();
  CHECK_EQUAL(namesIn(*region), "ab");
  log.sequencer().stop();
  CHECK_EQUAL(declareTopic(*region, "c", orderSession, 1, topic, &wish).fault, "full");
}

TEST("a topic that is being left is waited for: its session ends, and the dead are seen to be dead") {
  Geometry geometry = tinyGeometry();
  geometry.topics = 1;
  for (const bool isReader : {false, true}) {
    TestLog log(geometry);
    const uint32_t topic = log.declare("a", orderSession);
    const auto client = attachedAgain(*log.region());
    Claim claim;
    if (isReader) {
      CHECK_EQUAL(claimReader(*client, {topic, 1}, "reader", claim).fault, "none");
    } else {
      CHECK_EQUAL(claimClient(*client, {topic, 1}, claim).fault, "none");
    }
    log.settle();
    client->close();
    TopicView view;
    TopicWish wish;
    for (int turn = 0; turn < 4; turn += 1) {
      CHECK_EQUAL(declareTopic(*log.region(), "b", orderSession, 1, view, &wish).fault, "wished");
      log.settle();
    }
    log.sequencer().endDead();
    log.settle();
    CHECK_EQUAL(declareTopic(*log.region(), "b", orderSession, 1, view, &wish).fault, "none");
  }
  TestLog log(geometry);
  Publishing publishing(log.open(log.declare("a", orderSession)));
  CHECK(publishing.publish(0, 0));
  publishing.lanes().close();
  CHECK_EQUAL(faultOf(log, "b"), "none");
}

// --- what is there afterwards ---

TEST("a topic in a place that was freed begins at 0, gets nothing of the one before, and all room is used again") {
  TestLog log(tinyGeometry());
  log.declare("kept", orderSession);
  CHECK(log.sequencer().keepTopic({0, 1}));
  uint64_t sessions = 0;
  for (uint64_t round = 0; round < 40; round += 1) {
    TopicView topic;
    CHECK_EQUAL(declared(log, std::to_string(round), topic).fault, "none");
    CHECK_EQUAL(topic.index, 1);
    CHECK_EQUAL(topic.generation, round + 1);
    log.settle();
    Following following(log, log.reader(1, From::start), orderSession);
    CHECK_EQUAL(following.index(), 0);
    Publishing publishing(log.open(1));
    CHECK(publishing.session() > sessions);
    sessions = publishing.session();
    const uint64_t batches = round * 7 % 90;
    for (uint64_t sequence = 0; sequence < batches; sequence += 1) {
      CHECK(publishing.publish(sequence % 2, sequence));
      log.settle();
      CHECK_EQUAL(following.take(64), 1);
    }
    CHECK_EQUAL(following.batchesOf(publishing.session()), batches);
    CHECK_EQUAL(following.reader().committed(), batches);
    CHECK_EQUAL(following.reader().committedMessages(), firstMessageOf(batches));
    const auto late = log.reader(1, From::position, firstMessageOf(batches));
    CHECK_EQUAL(late->next(), batches);
    publishing.lanes().close();
    log.settle();
  }
  for (uint32_t lane = 0; lane < log.region()->layout().lanes(); lane += 1) {
    const LaneLine::Frontiers at = log.region()->publication().copy(log.region()->laneLine(1, lane).frontiers);
    CHECK(at.scanned - at.released <= 8);
  }
}

TEST("a session that was asked for before its topic was freed is refused, and no session of its slot is harmed by it") {
  Geometry geometry = tinyGeometry();
  geometry.topics = geometry.clients = 1;
  TestLog log(geometry);
  log.declare("a", orderSession);
  CHECK_EQUAL(faultOf(log, "b"), "none");
  Claim stale;
  CHECK_EQUAL(claimClient(*log.region(), {0, 1}, stale).fault, "none");
  LaneWriter refused(log.region(), stale);
  CHECK(!refused.ready());
  CHECK_EQUAL(refused.endReason(), endNone);
  log.settle();
  for (uint32_t b = 0; b < geometry.brokers; b += 1) grantLanes(*log.region(), b);
  CHECK(!refused.ready());
  CHECK_EQUAL(refused.endReason(), endTopicGone);
  CHECK_EQUAL(log.sequencer().sessions().size(), 0);
  Claim claim;
  CHECK_EQUAL(claimClient(*log.region(), log.placeOf(0), claim).fault, "full");
  refused.close();
  {
    Publishing next(log.open(0));
    CHECK(next.publish(0, 0));
    CHECK(!refused.ready());
    CHECK_EQUAL(refused.endReason(), endTopicGone);
    next.lanes().close();
  }
  refused.close();  // after the next session has taken the slot
  log.settle();
  CHECK(sessionOver(*log.region(), 0, stale.generation + 1));
  CHECK(Publishing(log.open(0)).publish(0, 0));
}

TEST("a session refused is closed between any two steps of the slot's next one, and harms it at none") {
  Geometry geometry = tinyGeometry();
  geometry.topics = geometry.clients = 1;
  for (uint64_t step = 0, met = 1; met != 0; step += 1) {
    TestLog log(geometry);
    log.declare("a", orderSession);
    CHECK_EQUAL(faultOf(log, "b"), "none");
    Claim stale, next;
    CHECK_EQUAL(claimClient(*log.region(), {0, 1}, stale).fault, "none");
    log.settle();
    LaneWriter refused(log.region(), stale);
    const auto comeAndGo = [&] {
      if (!claimClient(*log.region(), {0, 2}, next).ok()) return;
      log.settle();
      LaneWriter(log.region(), next).close();
    };
    met = interleaved(step, [&] { refused.close(); }, comeAndGo) ? 1 : 0;
    if (next.generation == 0) comeAndGo();
    CHECK(next.generation != 0);
    log.settle();
    CHECK(sessionOver(*log.region(), 0, next.generation));
  }
}

}  // namespace

}  // namespace ringfence::test
