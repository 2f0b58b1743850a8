// A process that is killed or stopped ahead of a store of its own, and a walk over all of them: whatever it does has to
// stand that at each.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "region/region.h"

namespace ringfence::test {

// Attaches as "victim" in a process of its own, does the work, and is met by the signal ahead of its n-th store.
class Victim {
 public:
  using Work = std::function<bool(const std::shared_ptr<Region>&)>;

  Victim(const std::string& path, uint64_t step, int signal, const Work& work);
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // False when the work was done before that step.
  bool met() const { return met_; }
  int pid() const { return pid_; }
  // Lets a stopped one go on. True when its work succeeded.
  bool goOn();
  void kill();

 private:
  int pid_ = 0;
  bool met_ = false;
  std::atomic<int>* said_;  // private: what the victim says of its work, in memory of both
};

// For each step of the work: a fresh place, made by `scene`, which gets the victim that was met there and looks on.
void atEachStep(int signal, const Victim::Work& work, const std::function<std::string()>& scene,
                const std::function<void(Victim&)>& look);

// Does the work in this process, and `between` ahead of its n-th store. False when the work made fewer stores.
bool interleaved(uint64_t step, const std::function<void()>& work, const std::function<void()>& between);

}  // namespace ringfence::test
