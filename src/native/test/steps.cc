#include "steps.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <new>

#include "testing.h"

namespace ringfence {

namespace {

std::atomic<int64_t> storesLeft{-1};  // private
std::atomic<int> storeSignal{0};      // private
const std::function<void()>* betweenStores = nullptr;

}  // namespace

void evidenceFails(const char* why) {
  fprintf(stderr, "%s\n", why);
  abort();
}

void aheadOfStore() {
  if (storesLeft.load(std::memory_order_relaxed) < 0) return;
  if (storesLeft.fetch_sub(1, std::memory_order_relaxed) != 0) return;
  if (betweenStores != nullptr) return (*betweenStores)();
  raise(storeSignal.load(std::memory_order_relaxed));
}

namespace test {

bool interleaved(uint64_t step, const std::function<void()>& work, const std::function<void()>& between) {
  betweenStores = &between;
  storesLeft.store(static_cast<int64_t>(step));
  work();
  betweenStores = nullptr;
  return storesLeft.exchange(-1) < 0;
}

namespace {

enum Said : int { nothing = 0, succeeded = 1, failed = 2 };

}  // namespace

Victim::Victim(const std::string& path, uint64_t step, int signal, const Work& work) {
  void* shared = mmap(nullptr, sizeof(*said_), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  said_ = new (shared) std::atomic<int>(nothing);  // private
  std::fflush(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    std::shared_ptr<Region> region;
    if (!Region::attach({path, "victim", false}, region).ok()) _exit(2);
    storeSignal.store(signal);
    storesLeft.store(static_cast<int64_t>(step));
    const bool worked = work(region);
    storesLeft.store(-1);
    said_->store(worked ? succeeded : failed);
    // Stay, with all claims, until killed.
    for (;;) raise(SIGSTOP);
  }
  int status = 0;
  CHECK_EQUAL(waitpid(pid_, &status, WUNTRACED), pid_);
  if (WIFSIGNALED(status)) pid_ = 0;
  CHECK(WIFSTOPPED(status) || (WIFSIGNALED(status) && WTERMSIG(status) == signal));
  met_ = said_->load() == nothing;
}

Victim::~Victim() {
  kill();
  munmap(said_, sizeof(*said_));
}

void Victim::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

bool Victim::goOn() {
  if (said_->load() == nothing) {
    ::kill(pid_, SIGCONT);
    int status = 0;
    CHECK_EQUAL(waitpid(pid_, &status, WUNTRACED), pid_);
    CHECK(WIFSTOPPED(status));
  }
  return said_->load() == succeeded;
}

void atEachStep(int signal, const Victim::Work& work, const std::function<std::string()>& scene,
                const std::function<void(Victim&)>& look) {
  constexpr uint64_t stepsMax = 400;
  uint64_t step = 0;
  for (; step < stepsMax; step += 1) {
    const std::string path = scene();
    Victim victim(path, step, signal, work);
    if (!victim.met()) break;
    look(victim);
  }
  CHECK(step > 3 && step < stepsMax);
}

}  // namespace test

}  // namespace ringfence
