// How simulated memory behaves: what a store needs to be seen, and how old a load may be. Two models, one interface.
#pragma once

#include <cstdint>
#include <vector>

#include "files.h"

namespace ringfence::explore {

// A word of eight bytes in a file, and the bytes of it that are meant.
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
  // Whether all loads of an actor may see memory as it was.
  virtual bool lags() const { return false; }
  virtual void begin() = 0;
  virtual uint64_t load(const Word& word, bool acquire) = 0;
  virtual void store(const Word& word, uint64_t value, bool release) = 0;
  // Bytes that a token covers.
  virtual uint64_t loadBytes(const Word& word) = 0;
  virtual void storeBytes(const Word& word, uint64_t value) = 0;
  // In one step: what was there, and is `value` if `seen` was there or `always`.
  virtual uint64_t exchange(const Word& word, uint64_t seen, uint64_t value, bool always) = 0;
  virtual void writeBack(File& file, uint64_t offset, uint64_t bytes) = 0;
  virtual void invalidate(File& file, uint64_t offset, uint64_t bytes) = 0;
  // Whether the current actor has stored what a fence will show to others, and they cannot see yet.
  virtual bool unsettled() = 0;
  // Whether the current actor's next fence has something to order; its write-back of that line, something to write; its
  // invalidation, something to drop. Always over coherent memory, which leaves that to the schedule.
  virtual bool orders(bool) { return true; }
  virtual bool dirty(File&, uint64_t) { return true; }
  virtual bool outdated(File&, uint64_t) { return true; }
  virtual void storeFence() = 0;
  virtual void loadFence() = 0;
  virtual void fullFence() = 0;

  // Of a planted fault: the current actor's loads from here on would not see what is older than the value that it
  // loaded last, than all it has seen, or than now.
  enum class Owed { lastLoad, allSeen, now };
  virtual void owe(Owed) {}

  // What the system does for the current actor: what was visible at `since` is visible to it, as behind a lock that was
  // let go then; and what it stored is visible to all.
  virtual void acquireOfSystem(uint64_t since) = 0;
  virtual void releaseOfSystem() = 0;
  virtual uint64_t time() const = 0;
  // The actor blocks, ends or is dead: what it stored will be seen.
  virtual void rest(Actor& actor) = 0;
  // A thread that the schedule begins.
  virtual void begun(const Actor& actor) = 0;
  // The newest value that any has written, without a step.
  virtual uint64_t peek(const Word& word) = 0;
  // The same for the current actor, whose own stores may be seen by no other yet.
  virtual uint64_t known(const Word& word) = 0;

  // What the actor read of the bytes since its last fence may be what stands there now: unless `excused`, it must not
  // have changed.
  virtual void excuse(bool (*excused)(void*), void* data) = 0;
};

// Which words more than one actor meets, and one of them writes: only there it matters who comes first. Learnt from all
// schedules of a configuration.
class Meetings {
 public:
  static void forget();
  // Kept for each configuration, so that each search of it need not learn them again. False where it has not been kept.
  static void keep(const void* configuration);
  static bool recall(const void* configuration);
  static void touched(const Word& word, bool stored);
  static bool shared(const Word& word);
  // Whether some became shared since this was asked last.
  static bool grown();
};

}  // namespace ringfence::explore
