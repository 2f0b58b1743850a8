// Coherent memory as processors have it.
//
//   actor ─► store buffer ─► memory: each word with all its values, and when each came
//
// A store waits in its actor's buffer only where the schedule holds it; plain stores to other words pass it, a release
// store follows all that were made before it, a store fence lets nothing pass. A load, unless its actor has the word in
// its buffer, sees the newest value, or an older one where the schedule says so: one that was still there at some time
// since the actor's last acquiring load or fence. Not shown: stores that become visible to one actor before another (no
// processor of ours does that), and stores that overtake loads, except loads of bytes (see `Lent`).
#pragma once

#include <vector>

#include "model.h"

namespace ringfence::explore {

class WeakMemory : public Model {
 public:
  bool hasLines() const override { return false; }
  bool lags() const override { return true; }
  void begin() override;
  uint64_t load(const Word& word, bool acquire) override;
  void store(const Word& word, uint64_t value, bool release) override;
  uint64_t loadBytes(const Word& word) override;
  void storeBytes(const Word& word, uint64_t value) override;
  uint64_t exchange(const Word& word, uint64_t value) override;
  void writeBack(File&, uint64_t, uint64_t) override {}
  void invalidate(File&, uint64_t, uint64_t) override {}
  void owe(Owed owed) override;
  bool unsettled() override;
  void storeFence() override;
  void loadFence() override;
  void fullFence() override;
  void acquireOfSystem(uint64_t since) override;
  void releaseOfSystem() override;
  void fenceOfSystem() override { fullFence(); }
  uint64_t time() const override { return time_; }
  void rest(Actor& actor) override;
  void begun(const Actor& actor) override;
  uint64_t peek(const Word& word) override;
  uint64_t known(const Word& word) override;
  void excuse(bool (*excused)(void*), void* data) override;

 private:
  using Time = uint32_t;

  struct Version {
    uint64_t value;
    Time from;
    Version* older;
  };

  struct Cell {
    Version* newest;
    Time seen[actorsMax];  // by actor, the newest value that it has seen: it never sees an older one again
  };

  // In the order in which they were made. A fence stands among them as an entry without a cell.
  struct Buffered {
    Cell* cell;
    uint64_t value;
    uint64_t mask;
    uint64_t number;
    bool release;
    bool held;
  };

  // A load of bytes without a fence behind it: it may be made as late as the actor's next release store becomes visible.
  struct Lent {
    const Cell* cell;
    uint64_t value;
    uint64_t mask;
    uint64_t number;
  };

  // An earlier state of a line, or of all memory: the time of an older value that a load saw. The next loads see that
  // state too, because the loads of a snapshot are made together, and those of an actor may all precede its stores.
  struct Moment {
    const void* line = nullptr;  // null: all
    Time time = 0;
    uint32_t loadsLeft = 0;
  };

  struct View {
    uint32_t actor = 0;
    Moment moment;
    std::vector<Buffered> buffer;
    const void* heldLine = nullptr;  // whose stores are all held
    std::vector<Lent> lent;
    Time floor = 0;  // the actor sees no value that was replaced before
    Time latest = 0; // of the newest value that it has seen
    Time last = 0;   // of its last load
    Time owed = 0;   // what `floor` would be without the planted fault
    uint64_t number = 0;
    bool (*excused)(void*) = nullptr;
    void* excuseData = nullptr;
  };

  View* view();
  Cell& cell(const Word& word);
  void put(Cell& cell, uint64_t value, uint64_t mask);
  void buffer(Cell& cell, uint64_t value, uint64_t mask, bool release, bool held);
  void drain(View& view);
  void drainAll(View& view);
  void settle(View& view, uint64_t number);
  uint64_t forwarded(const View& view, const Cell& cell, uint64_t value, uint64_t& covered) const;
  uint64_t see(const Word& word, bool acquire, bool chooses);
  const Version* chosen(View& view, const Word& word, const Version* newest, Time floor);

  Time time_ = 0;
  Time beginning_ = 0;  // of the schedule: all actors see the stores made before
  View* views_[actorsMax] = {};
};

}  // namespace ringfence::explore
