// A process of its own that a test can kill.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "region/region.h"
#include "testing.h"

extern char** environ;

namespace ringfence::test {

// Runs this program again as an actor.
class Process {
 public:
  Process(const char* actor, const std::string& path, uint64_t stream) {
    std::string words[] = {"native-test", "--seed", std::to_string(seed()), "--act", actor, path, std::to_string(stream)};
    char* arguments[8] = {};
    for (size_t i = 0; i < std::size(words); i += 1) arguments[i] = words[i].data();
    CHECK_EQUAL(posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, arguments, environ), 0);
  }
  ~Process() { kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool running() const { return pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == 0; }
  void signal(int signal) const { ::kill(pid_, signal); }
  // Whether it has stopped itself since the last call.
  bool hasStopped() const {
    int status = 0;
    return waitpid(pid_, &status, WNOHANG | WUNTRACED) == pid_ && WIFSTOPPED(status);
  }
  // Its exit code, once it has ended.
  int ended() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

inline std::shared_ptr<Region> attachAs(const char* name, const std::string& path) {
  std::shared_ptr<Region> region;
  if (!Region::attach({path, name, false}, region).ok()) _exit(2);
  return region;
}

}  // namespace ringfence::test
