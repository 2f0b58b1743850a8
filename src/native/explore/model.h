// How simulated memory behaves: when a store becomes visible, and how old a value a load may see. Two models, one
// interface.
#pragma once

#include <cstdint>
#include <vector>

#include "files.h"

namespace ringfence::explore {

// A word of eight bytes in a file, and a mask of the bytes in question.
struct Word {
  File* file;
  uint64_t offset;  // of the word
  uint64_t mask;
};

class Model {
 public:
  static Model& now();
  static void choose(Model& model);
  static std::vector<Model*> all();
  virtual ~Model() = default;

  // Whether write-backs and invalidations do anything.
  virtual bool hasLines() const = 0;
  // Whether all loads of an actor may see memory as it was at an earlier time.
  virtual bool lags() const { return false; }
  virtual void begin() = 0;
  virtual uint64_t load(const Word& word, bool acquire) = 0;
  virtual void store(const Word& word, uint64_t value, bool release) = 0;
  // Bytes that a token covers.
  virtual uint64_t loadBytes(const Word& word) = 0;
  virtual void storeBytes(const Word& word, uint64_t value) = 0;
  // In one step: stores `value`, and returns what was there.
  virtual uint64_t exchange(const Word& word, uint64_t value) = 0;
  virtual void writeBack(File& file, uint64_t offset, uint64_t bytes) = 0;
  virtual void invalidate(File& file, uint64_t offset, uint64_t bytes) = 0;
  // Whether the current actor has made stores that become visible to others only at a fence.
  virtual bool unsettled() = 0;
  // Whether the current actor's next fence has something to order; its write-back of that line, something to write; its
  // invalidation, something to drop. Always over coherent memory, which leaves that to the schedule.
  virtual bool orders(bool) { return true; }
  // The same of a fence of loads. What one that is left out would have ordered, the loads behind it tell.
  virtual bool ordersLoads(bool) { return true; }
  virtual bool dirty(File&, uint64_t) { return true; }
  virtual bool outdated(File&, uint64_t) { return true; }
  virtual void storeFence() = 0;
  virtual void loadFence() = 0;
  virtual void fullFence() = 0;

  // Notes what a planted fault leaves out: without it, the current actor's loads from here on would see nothing older
  // than the value that it loaded last, than all it has seen, or than now.
  enum class Owed { lastLoad, allSeen, now };
  virtual void owe(Owed) {}
  // The same for flushed memory: without the fault that line would be dropped now, would be written back; or all
  // write-backs under way would reach memory.
  virtual void oweDrop(File&, uint64_t) {}
  virtual void oweWriteBack(File&, uint64_t) {}
  virtual void oweWriteBacks() {}

  // The order that system calls give. Acquire: the current actor sees all that was visible at `since`, when a lock that
  // it has taken was released. Release: its stores become visible to all. No call completes a write-back or invalidation.
  virtual void acquireOfSystem(uint64_t since) = 0;
  virtual void releaseOfSystem() = 0;
  // Of a call that sleeps on a word, or wakes its sleepers.
  virtual void fenceOfSystem() = 0;
  virtual uint64_t time() const = 0;
  // Called when the actor blocks, ends or dies: its stores under way become visible.
  virtual void rest(Actor& actor) = 0;
  // Called when an actor starts a thread, which sees what its starter saw.
  virtual void begun(const Actor& actor) = 0;
  // The newest value that any actor has written. Not a step.
  virtual uint64_t peek(const Word& word) = 0;
  // The newest value for the current actor, whose own stores may not be visible to others yet.
  virtual uint64_t known(const Word& word) = 0;

  // Bytes that the actor has read since its last fence may really be loaded as late as now. So the schedule fails when
  // they have changed meanwhile, unless `excused` returns true: the actor then throws its copy away.
  virtual void excuse(bool (*excused)(void*), void* data) = 0;
};

// The words that several actors use and at least one of them writes: only there does the order of steps matter. Learnt
// from all schedules of a configuration.
class Meetings {
 public:
  static void forget();
  // Keeps the words of a configuration, so that its later searches need not learn them again; `recall` is false where
  // none were kept.
  static void keep(const void* configuration);
  static bool recall(const void* configuration);
  static void touched(const Word& word, bool stored);
  static bool shared(const Word& word);
  // Whether any word became shared since the last call.
  static bool grown();
};

}  // namespace ringfence::explore
