// Kills or stops a process before one of its stores, and repeats that for each store of its work: the others must
// survive it at each.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "region/region.h"

namespace ringfence::test {

// Attaches as "victim" in a process of its own, does the work, and gets the signal before its n-th store.
class Victim {
 public:
  using Work = std::function<bool(const std::shared_ptr<Region>&)>;

  Victim(const std::string& path, uint64_t step, int signal, const Work& work);
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // False when the work was done before that store.
  bool met() const { return met_; }
  int pid() const { return pid_; }
  // Continues a stopped victim. True when its work succeeded.
  bool goOn();
  void kill();

 private:
  int pid_ = 0;
  bool met_ = false;
  std::atomic<int>* said_;  // private: the result of the victim's work, in memory shared with it
};

// For each store of the work: makes a fresh scene, runs a victim up to that store, and passes it to `look`.
void atEachStep(int signal, const Victim::Work& work, const std::function<std::string()>& scene,
                const std::function<void(Victim&)>& look);

// Does the work in this process, and `between` before its n-th store. False when the work made fewer stores.
bool interleaved(uint64_t step, const std::function<void()>& work, const std::function<void()>& between);

}  // namespace ringfence::test
