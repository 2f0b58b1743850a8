// A child that is traced while it works: it can be stopped, and killed, at every instruction or system call.
#pragma once

#include <dirent.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "testing.h"

namespace ringfence::test {

class Traced {
 public:
  // The child stops where it calls pauseHere(), and ends when `work` returns.
  explicit Traced(const std::function<void()>& work) {
    pid_ = fork();
    if (pid_ == 0) {
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(100);
      work();
      _exit(0);
    }
    CHECK(pid_ > 0);
  }
  ~Traced() { kill(); }
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;

  static void pauseHere() { raise(SIGSTOP); }

  // Continues the child until it pauses by itself.
  void untilPaused() {
    while (wait()) {
      if (paused()) return;
      go(PTRACE_CONT);
    }
    fail(__FILE__, __LINE__, "the child ended with " + std::to_string(WEXITSTATUS(status_)));
  }
  // Runs one instruction. False when the child has paused again, or ended.
  bool step() {
    go(PTRACE_SINGLESTEP);
    return wait() && !paused();
  }
  // Runs up to the next entry into a system call, or return from it. False when the child has ended.
  bool toSystem() {
    go(PTRACE_SYSCALL);
    return wait();
  }
  // Runs the child to its end and returns its exit code.
  int end() {
    do {
      go(PTRACE_CONT);
    } while (wait());
    pid_ = 0;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (waitpid(pid_, &status_, 0) == pid_ && WIFSTOPPED(status_)) continue;
    pid_ = 0;
  }

  // How many of its descriptors are that file: a forked child also has its parent's.
  int timesOpen(const std::string& path) const {
    const std::string folder = "/proc/" + std::to_string(pid_) + "/fd/";
    DIR* dir = opendir(folder.c_str());
    int found = 0;
    while (const dirent* entry = dir == nullptr ? nullptr : readdir(dir)) {
      char target[512] = {};
      const ssize_t bytes = readlink((folder + entry->d_name).c_str(), target, sizeof(target) - 1);
      if (bytes > 0 && path == target) found += 1;
    }
    if (dir != nullptr) closedir(dir);
    return found;
  }

 private:
  bool paused() const { return WIFSTOPPED(status_) && WSTOPSIG(status_) == SIGSTOP; }
  void go(int request) {
    CHECK_EQUAL(ptrace(static_cast<__ptrace_request>(request), pid_, nullptr, nullptr), 0);
  }
  bool wait() {
    CHECK_EQUAL(waitpid(pid_, &status_, 0), pid_);
    return WIFSTOPPED(status_);
  }

  pid_t pid_ = 0;
  int status_ = 0;
};

}  // namespace ringfence::test
