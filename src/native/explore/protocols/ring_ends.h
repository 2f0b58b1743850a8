// Both ends of a ring as its users have them, over simulated memory: what a frame holds follows from its number alone,
// and the reader checks all that it gets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "explore/world.h"
#include "ring/ring_reader.h"
#include "ring/ring_writer.h"

namespace ringfence::explore {

constexpr uint64_t exploredRingBytes = 4096;

Geometry ringGeometry(uint32_t rings = 1);

// The frames of each writer of a ring begin at a multiple of this.
constexpr uint64_t framesOfAWriter = 100;

// Numbers below `large` have payloads of a few bytes; from there on four fill a ring.
constexpr uint64_t large = 1000;
uint32_t payloadBytesOf(uint64_t number);

// Null when the ring cannot be opened: `fault` says why.
std::unique_ptr<RingWriter> openedWriter(const std::shared_ptr<Region>& region, const std::string& name, const char*& fault);
std::unique_ptr<RingReader> openedReader(const std::shared_ptr<Region>& region, const std::string& name, const char*& fault);

// The writing end: what Ring.send does, by the same calls in the same order.
class Sending {
 public:
  Sending(std::shared_ptr<Region> region, const std::string& ring = "ring");
  Sending(std::shared_ptr<Region> region, std::unique_ptr<RingWriter> writer);

  // The native writer, which is told first of what was published in its place.
  RingWriter& writer();
  // False when it is no longer the ring's writer.
  bool send(uint64_t number, Sleeper* sleeper);
  bool append(uint64_t number);
  // The same where the slowest reader loses its room instead.
  bool sendEvicting(uint64_t number);

 private:
  bool writeInPlace(const Frame& frame);
  void publish();
  bool publishInPlace();
  bool isAwaited() const;
  void watch();
  bool roomIsThere(uint64_t payloadBytes) const;

  std::shared_ptr<Region> region_;
  std::unique_ptr<RingWriter> writer_;
  uint64_t frames_ = 0;     // written since the ring was born
  uint64_t published_ = 0;  // in the native writer's place
  bool wasWrittenInPlace_ = false;
  uint64_t watchedVersion_ = 0;
  std::vector<uint32_t> watched_;  // processes whose sleep words are looked at
};

// The reading end, and what it got.
class Receiving {
 public:
  Receiving(std::shared_ptr<Region> region, const std::string& ring = "ring");
  Receiving(std::shared_ptr<Region> region, std::unique_ptr<RingReader> reader)
      : region_(std::move(region)), reader_(std::move(reader)) {}

  RingReader& reader() { return *reader_; }
  // Reads until the ring has ended, or until the frame of that number was read: then it waits through a writer's end and
  // the next writer's beginning.
  void receive(Sleeper& sleeper, uint64_t last = none);
  // Takes what is there now, and rejoins where it was evicted. False when it finds something that is no frame.
  // `handles`: all that it takes counts as handled at once.
  bool take(bool handles = true);
  // Reads what is there, and gives none of it back.
  void hold();
  // Counts all that was taken as handled.
  void handle();
  // From here on it reads frames in place, as where no writer evicts: it does not ask behind them whether it was evicted.
  void readInPlace() { inPlace_ = true; }
  bool ended() const { return reader_->ended(reader_->cursors().read); }

  static constexpr uint64_t none = ~uint64_t{0};

  const std::vector<uint64_t>& numbers() const { return numbers_; }
  uint64_t losses() const { return losses_; }

 private:
  // As RingReaderPort.look: every second time as JavaScript does over coherent memory.
  RingLook look();
  uint64_t publishedAfter() const;
  // As RingReaderPort.ready.
  bool hasMore();
  bool endsHere() const;
  bool frameAt(uint64_t at, uint64_t limit, uint64_t& end, uint64_t& number) const;
  static bool wasEvicted(void* self);

  std::shared_ptr<Region> region_;
  std::unique_ptr<RingReader> reader_;
  std::vector<uint64_t> numbers_;
  uint64_t losses_ = 0;
  uint64_t looks_ = 0;
  bool inPlace_ = false;
};

}  // namespace ringfence::explore
