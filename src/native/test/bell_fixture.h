// An event loop that polls its FIFO, and what there is to ask of FIFOs.
#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "log_fixture.h"
#include "named_fixture.h"
#include "region/bell_fifo.h"
#include "region/inspection.h"
#include "region/waiter.h"

namespace ringfence::test {

// The look of a waiter that polls would end a lost wake-up.
inline constexpr int soonMillis = 60;

inline std::string freshPath(const std::string& name) { return scratchFolder() + "/" + name; }

inline std::shared_ptr<Region> attachedTo(const std::string& path, const char* name = "client") {
  std::shared_ptr<Region> region;
  CHECK_EQUAL(Region::attach({path, name, false}, region).fault, "none");
  return region;
}

inline struct stat statOf(const std::string& path) {
  struct stat found{};
  CHECK_EQUAL(lstat(path.c_str(), &found), 0);
  return found;
}

inline bool isThere(const std::string& path) {
  struct stat found{};
  return lstat(path.c_str(), &found) == 0;
}

inline std::vector<std::string> bellsIn(const std::string& folder) {
  std::vector<std::string> found;
  std::string region;
  uint64_t mark = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (isFifoName(entry.path().string(), region, mark)) found.push_back(entry.path().string());
  }
  return found;
}

inline uint64_t openDescriptors() {
  uint64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) count += 1;
  return count;
}

inline uint64_t threads() {
  uint64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) count += 1;
  return count;
}

inline uint32_t unheardOf(const Region& region) { return region.publication().observe<&BellLine::unheard>(region.bell()); }
inline uint64_t fifoOf(const Region& region) { return region.publication().observe<&SleepLine::fifo>(region.sleep()); }

inline Rung ring(const Region& ringer, const Region& sleeper) {
  return ringer.wakeProcess(ringer.publication().fullFence(), sleeper.slot(), sleepsForAll);
}

// An event loop that polls, as src/layers/native/region/Doorbell.ts does.
class Loop {
 public:
  explicit Loop(std::shared_ptr<Region> region)
      : region_(std::move(region)), waiter_(region_, [this] { called_.fetch_add(1); }), fd_(waiter_.listen()) {}
  ~Loop() { close(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  bool polls() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  Waiter& waiter() { return waiter_; }
  const Region& region() const { return *region_; }
  uint32_t called() const { return called_.load(); }
  bool readable(int millis) const {
    pollfd polled{fd_, POLLIN, 0};
    return poll(&polled, 1, millis) == 1;
  }
  // Reads the FIFO empty, and says how many bytes there were.
  uint64_t read() const {
    uint8_t bytes[4096];
    uint64_t sum = 0;
    for (ssize_t count = ::read(fd_, bytes, sizeof(bytes)); count > 0; count = ::read(fd_, bytes, sizeof(bytes))) sum += static_cast<uint64_t>(count);
    return sum;
  }
  // Whether it is woken within that time, by its FIFO alone.
  bool isWoken(int millis) {
    while (readable(millis)) {
      read();
      if (waiter_.heard()) return true;
    }
    return false;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    waiter_.stop();
  }

 private:
  std::shared_ptr<Region> region_;
  std::atomic<uint32_t> called_{0};  // private
  Waiter waiter_;
  int fd_;
};

// A ringer that cannot ring: the sleeper is late once, and has a thread from then on.
inline void expectHelp(Loop& loop, const std::function<Rung()>& ringOnce) {
  loop.waiter().arm(sleepsForAll);
  CHECK_EQUAL(ringOnce(), Rung::unheard);
  CHECK(!loop.readable(0));
  CHECK(!loop.waiter().threaded());
  CHECK(loop.waiter().look());
  CHECK(loop.waiter().threaded());
  uint32_t late = 0;
  for (uint32_t round = 0; round < 20; round += 1) {
    const uint32_t before = loop.called();
    const uint64_t started = nowNanos();
    loop.waiter().arm(sleepsForAll);
    ringOnce();
    until("its thread calls", [&] { return loop.called() != before; });
    // Less than the period of the thread's looks, which would end a lost wake-up.
    if (nowNanos() - started >= 90'000'000) late += 1;
  }
  CHECK(late < 10);
}

}  // namespace ringfence::test
