// Declares topics as programs do when places are short, and a scene in which a topic is about to be freed.
#pragma once

#include "log_fixture.h"
#include "ring_fixture.h"

namespace ringfence::test {

// Declares a topic as a program does: retries until the sequencer has answered its wish.
inline Status declared(TestLog& log, const std::string& name, TopicView& topic) {
  TopicWish wish;
  for (int turn = 0; turn < 8; turn += 1) {
    const Status status = declareTopic(*log.region(), name, orderSession, 1, topic, &wish);
    if (plain(status.fault) != "wished") return status;
    log.settle();
  }
  return Status::failed("wished", "it was not answered");
}

inline std::string faultOf(TestLog& log, const std::string& name) {
  TopicView topic;
  return plain(declared(log, name, topic).fault);
}

inline std::string namesIn(const Region& region) {
  std::string names;
  for (const TopicView& topic : topicsOf(region)) names += topic.name;
  return names;
}

// Publishes that many batches in one session of the topic, and ends it.
inline void publishTo(TestLog& log, uint32_t topic, uint64_t batches) {
  Publishing publishing(log.open(topic));
  for (uint64_t sequence = 0; sequence < batches; sequence += 1) {
    CHECK(publishing.publish(sequence % 2, sequence));
    log.settle();
  }
  publishing.lanes().close();
  log.settle();
}

// Topic "a", with one kept batch, takes all places; then a process wishes for a place for "b".
struct Freeing {
  explicit Freeing(std::shared_ptr<Region> region) : log(std::move(region), TestLog::manual()) {
    log.declare("a", orderSession);
    publishTo(log, 0, 1);
    CHECK_EQUAL(declareTopic(*log.region(), "b", orderSession, 1, topic, &wish).fault, "wished");
  }
  static Geometry geometry() {
    Geometry g = ringGeometry();
    g.topics = 1;
    return g;
  }

  // Expects that either the reader was told that its topic is gone, or it gets the kept batch and nothing was freed.
  void expectOne(const Status& claimed, const Claim& claim) {
    log.settle();
    const Status status = declareTopic(*log.region(), "b", orderSession, 1, topic, &wish);
    CHECK_EQUAL(status.fault, claimed.ok() ? "full" : "none");
    if (!claimed.ok()) {
      CHECK_EQUAL(claimed.fault, "gone");
      return;
    }
    IndexReader reader(log.region(), 0, claim);
    CHECK_EQUAL(reader.attach(From::start, 0).fault, "none");
    BatchView view{};
    CHECK_EQUAL(reader.poll(&view, 1), 1);
  }

  TestLog log;
  TopicView topic;
  TopicWish wish;
};

}  // namespace ringfence::test
