// Memory that a host must write back and invalidate by instruction. Each process has a cache, as if it were a host.
//
//   host's cache: a line is absent, clean or dirty ─ write back ─► memory ─ fetch ─► another host's cache
//
// A dirty line stays in its cache until it is written back. Where the schedule says so it leaks: it reaches memory just
// before another host fetches the line. A process that was the line's writer may leave it dirty until another process
// writes the line: lines are taken over on one host only. A clean line stays as it was fetched until it is invalidated;
// it may have been fetched at any time since it was invalidated last, because processors fetch ahead (`stale`).
// Write-backs are under way until their actor's next fence or system call, invalidations until its next full fence: a
// load in between still finds the old line, and a line that it fetches stays. Fences alone order an invalidation behind earlier loads of other lines: the
// processor may make it at any time since its actor's last fence. What is fetched behind it may then be as old as that
// fence, but not older than what this host has fetched or written back itself.
// Doorbells, sleep words and what is changed atomically are coherent.
#pragma once

#include <vector>

#include "model.h"

namespace ringfence::explore {

class LineMemory : public Model {
 public:
  bool hasLines() const override { return true; }
  void begin() override;
  uint64_t load(const Word& word, bool acquire) override;
  void store(const Word& word, uint64_t value, bool release) override;
  uint64_t loadBytes(const Word& word) override { return load(word, false); }
  void storeBytes(const Word& word, uint64_t value) override { store(word, value, false); }
  uint64_t exchange(const Word& word, uint64_t value) override;
  void writeBack(File& file, uint64_t offset, uint64_t bytes) override;
  void invalidate(File& file, uint64_t offset, uint64_t bytes) override;
  bool unsettled() override;
  bool orders(bool invalidations) override;
  bool ordersLoads(bool leftOut) override;
  bool dirty(File& file, uint64_t offset) override;
  bool outdated(File& file, uint64_t offset) override;
  void owe(Owed owed) override;
  void oweDrop(File& file, uint64_t offset) override;
  void oweWriteBack(File& file, uint64_t offset) override;
  void oweWriteBacks() override;
  void storeFence() override;
  void loadFence() override;
  void fullFence() override;
  void acquireOfSystem(uint64_t) override {}
  void releaseOfSystem() override {}
  void fenceOfSystem() override {}
  uint64_t time() const override { return 0; }
  void rest(Actor& actor) override;
  void begun(const Actor& actor) override;
  uint64_t peek(const Word& word) override;
  uint64_t known(const Word& word) override;
  void excuse(bool (*)(void*), void*) override {}

 private:
  static constexpr uint32_t hostsMax = 8;

  struct Copy {
    bool present;
    bool dirty;
    uint64_t oldest;  // the oldest that this host can fetch is memory as it was then
    uint64_t owedAt;  // the same without the planted fault
    bool outdated;    // present, which it would not be without the planted fault
    bool unwritten;   // dirty, which it would not be without the planted fault
    uint64_t stores;   // counts the changes of the words, also of former fetches
    uint64_t written;  // up to which of them memory has
    uint64_t words[8];
  };

  // The line's words in memory until the time `until`.
  struct Version {
    uint64_t words[8];
    uint64_t until;
    Version* older;
  };

  struct Line {
    bool known;
    bool coherent;
    uint64_t memory[8];
    Version* older;
    uint64_t newest[8];  // the newest that any host has stored
    Copy copies[hostsMax];
  };

  // A write-back that no fence has completed: what was stored in the line ahead of it.
  struct WriteBack {
    Line* line;
    uint64_t stores;
    uint64_t words[8];
  };

  // The actor whose cache is used; null ahead of the schedule, and while a check inspects memory.
  static const Actor* actor();
  Line& line(File& file, uint64_t offset);
  Copy& copy(Line& line, bool loads);
  void oweDrop(Line& line);
  static const Version* fetched(const Line& line, const Copy& copy);
  void toMemory(Line& line, Copy& copy);
  void toMemory(Line& line, Copy& copy, const uint64_t (&words)[8], uint64_t stores);
  void drop(Line& line);
  void takeOver(Line& line);
  void leakTo(Line& line);
  void settle(uint32_t actor);

  uint64_t time_ = 0;  // counts the write-backs that have reached memory
  uint64_t fencedAt_[actorsMax] = {};  // of each actor: when its earlier loads were ordered ahead of invalidations
  uint64_t owedFence_[actorsMax] = {};  // the same without the planted fault
  // Under way, by actor.
  std::vector<WriteBack> pending_[actorsMax];
  std::vector<Line*> dropped_[actorsMax];  // invalidations
};

}  // namespace ringfence::explore
