// A small log in this process's own memory, and both of its ends with contents that can be checked: session and
// sequence determine the contents of a batch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "log/claims.h"
#include "log/index_reader.h"
#include "log/lane_writer.h"
#include "region/region.h"
#include "log/sequencer/broker_grants.h"
#include "log/sequencer/sequencer.h"
#include "testing.h"

namespace ringfence::test {

// Two brokers, lanes of 8 slots and 8 batches, an index of 64 entries: full and lapped within a few steps.
Geometry tinyGeometry();

std::shared_ptr<Region> anonymousRegion(const Geometry& geometry);
std::shared_ptr<Region> namedRegion(const std::string& path);

struct BatchContents {
  uint32_t messages = 0;
  uint32_t uniformBytes = 0;
  uint32_t payloadBytes = 0;
  std::vector<uint32_t> lengths;
  std::vector<uint8_t> bytes;
};

// One to three messages, of one length or of several, some empty.
BatchContents contentsOf(uint64_t session, uint64_t sequence, uint32_t messageBytesMax);
// Number of a batch's first message in its session.
uint64_t firstMessageOf(uint64_t sequence);

// Repeats `done` until it is true; fails when that takes too long.
template <class Done>
void until(const char* what, Done done);

class TestLog {
 public:
  explicit TestLog(const Geometry& geometry, SequencerOptions options = manual());
  TestLog(std::shared_ptr<Region> region, SequencerOptions options);
  ~TestLog();

  static SequencerOptions manual();
  static SequencerOptions threaded(uint64_t epochMicros = 500);

  const std::shared_ptr<Region>& region() const { return region_; }
  Sequencer& sequencer() { return *sequencer_; }
  const Geometry& geometry() const { return region_->layout().geometry; }
  uint32_t declare(const std::string& name, uint32_t order);
  // Another sequencer continues the log, once `between` is done.
  void restart(SequencerOptions options, const std::function<void()>& between = [] {});
  // The topic that has the place now.
  TopicPlace placeOf(uint32_t topic) const;
  // Steps the sequencer until nothing moves. Does nothing for a sequencer with a thread of its own.
  void settle();
  Claim claim(uint32_t topic);
  // Claims a session and waits until it may write.
  std::unique_ptr<LaneWriter> open(uint32_t topic);
  std::unique_ptr<LaneWriter> admit(const Claim& claim);
  // Null when the reader is refused, which takes `pauses` milliseconds if a line stays damaged.
  std::unique_ptr<IndexReader> reader(uint32_t topic, From from, uint64_t position = 0, int pauses = 250);
  LaneLine& laneLine(const LaneWriter& writer, uint32_t broker);
  SessionLine& sessionLine(const Claim& claim);

 private:
  std::shared_ptr<Region> region_;
  SequencerOptions options_;
  std::unique_ptr<Sequencer> sequencer_;
};

class Publishing {
 public:
  explicit Publishing(std::unique_ptr<LaneWriter> lanes, uint32_t messageBytesMax = 64)
      : lanes_(std::move(lanes)), messageBytesMax_(messageBytesMax) {}

  LaneWriter& lanes() { return *lanes_; }
  uint64_t session() const { return lanes_->claim().clientId; }
  // Writes the batch of that sequence; false when the lane is full.
  bool write(uint32_t broker, uint64_t sequence);
  bool publish(uint32_t broker, uint64_t sequence);

 private:
  std::unique_ptr<LaneWriter> lanes_;
  uint32_t messageBytesMax_;
};

// Reads a topic and checks the whole contract on what it reads.
class Following {
 public:
  Following(const TestLog& log, std::unique_ptr<IndexReader> reader, uint32_t order, uint32_t messageBytesMax = 64)
      : region_(log.region()), reader_(std::move(reader)), order_(order), messageBytesMax_(messageBytesMax) {
    nextIndex_ = reader_->next();
    fromStart_ = nextIndex_ == 0;
  }

  IndexReader& reader() { return *reader_; }
  // Takes up to `max` batches, and releases them unless `keep`. Returns their number.
  uint32_t take(uint32_t max, bool keep = false);
  void giveBack() { reader_->release(nextIndex_); }
  uint64_t index() const { return nextIndex_; }
  uint64_t batchesOf(uint64_t session) const;
  uint64_t digest() const { return digest_; }

 private:
  void check(const BatchView& view);
  void checkSequence(const BatchView& view);

  std::shared_ptr<Region> region_;
  std::unique_ptr<IndexReader> reader_;
  uint32_t order_;
  uint32_t messageBytesMax_;
  uint64_t nextIndex_ = 0;
  uint64_t nextPosition_ = 0;
  bool positioned_ = false;
  bool fromStart_ = false;
  uint64_t digest_ = 0;
  std::map<uint64_t, std::set<uint64_t>> seen_;  // by session: batches seen; a dense prefix under order `session`
};

void pauseBriefly();
bool deadlinePassed(uint64_t startedNanos);
uint64_t nowNanos();

template <class Done>
void until(const char* what, Done done) {
  const uint64_t started = nowNanos();
  while (!done()) {
    if (deadlinePassed(started)) fail(__FILE__, __LINE__, std::string("it never came true: ") + what);
    pauseBriefly();
  }
}

}  // namespace ringfence::test
