#include "lifeline.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "thread.h"

namespace ringfence {

namespace {

// How long to wait for the owner's proof, which it writes as soon as it has started this process.
constexpr int proofMillis = 5'000;
constexpr char releaseWord = 'R';

bool readable(int fd, int timeoutMillis) {
  pollfd polled{fd, POLLIN, 0};
  int ready;
  do {
    ready = poll(&polled, 1, timeoutMillis);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// Returns the bytes read; 0 at the end of the pipe or on an error.
ssize_t take(int fd, char* to, size_t count) {
  ssize_t got;
  do {
    got = read(fd, to, count);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? 0 : got;
}

bool isPipe(int fd) {
  struct stat file{};
  return fd > 2 && fstat(fd, &file) == 0 && (S_ISFIFO(file.st_mode) || S_ISSOCK(file.st_mode));
}

bool proves(int fd, const std::string& proof) {
  std::string told;
  while (told.size() < proof.size()) {
    char bytes[64];
    const size_t missing = proof.size() - told.size();
    if (!readable(fd, proofMillis)) return false;
    const ssize_t got = take(fd, bytes, missing < sizeof(bytes) ? missing : sizeof(bytes));
    if (got <= 0) return false;
    told.append(bytes, static_cast<size_t>(got));
  }
  return told == proof;
}

void watch(int fd, int exitCode) {
  for (;;) {
    char word = 0;
    if (!readable(fd, -1)) continue;
    if (take(fd, &word, 1) == 0) break;
    if (word != releaseWord) continue;
    close(fd);
    return;
  }
  constexpr char notice[] = "ringfence: the process that started this one is gone\n";
  if (write(STDERR_FILENO, notice, sizeof(notice) - 1) < 0) errno = 0;
  _exit(exitCode);
}

// Keeps this module's code loaded: the thread outlives the environment that loaded it.
void keepLoaded() {
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&watch), &self) == 0 || self.dli_fname == nullptr) return;
  dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace

// A stopped process could not notice that its owner is gone, so let the system continue it then. SIGCONT has no effect
// on a running process.
Status holdLifeline(int fd, const std::string& proof, int exitCode) {
  if (!isPipe(fd) || !proves(fd, proof)) return Status::failed("missing", "it is not the lifeline");
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  prctl(PR_SET_PDEATHSIG, SIGCONT);
  keepLoaded();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const Status status = Thread::detached("rf-lifeline", [fd, exitCode] { watch(fd, exitCode); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

}  // namespace ringfence
