#include "testing.h"

#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "region/futex.h"

namespace ringfence::test {

namespace {

constexpr unsigned limitSeconds = 240;
constexpr int skippedStatus = 77;

uint64_t theSeed = 0;
std::string theFolder;
pid_t folderOwner = 0;

void removeFolder() {
  if (theFolder.empty() || folderOwner != getpid()) return;
  const auto removeOne = [](const char* path, const struct stat*, int, struct FTW*) { return ::remove(path); };
  nftw(theFolder.c_str(), removeOne, 8, FTW_DEPTH | FTW_PHYS);
  theFolder.clear();
}

bool wanted(const Test& test, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (std::strstr(test.promise, word.c_str()) != nullptr) return true;
  }
  return words.empty();
}

// A test that runs: its process, and the file that keeps what it prints until it has ended, so that the lines of tests that
// run beside each other do not mix.
struct Running {
  const Test* test;
  pid_t process;
  int output;
  uint64_t startedNanos;
};

// Forks before this process has any thread, so that the child may start threads under every sanitizer.
Running start(const Test& test) {
  std::fflush(nullptr);
  const int output = memfd_create("ringfence-test-output", MFD_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) {
    // A run that is killed leaves no test behind.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) dup2(output, stream);
    alarm(limitSeconds);
    test.run();
    removeFolder();
    exit(0);
  }
  if (output < 0 || child < 0) {
    std::perror("a test cannot be started");
    exit(2);
  }
  return {&test, child, output, monotonicNanos()};
}

void printAndClose(int output) {
  char bytes[4096];
  for (off_t at = 0;;) {
    const ssize_t count = pread(output, bytes, sizeof(bytes), at);
    if (count <= 0) break;
    std::fwrite(bytes, 1, static_cast<size_t>(count), stdout);
    at += count;
  }
  close(output);
}

// Counts a skipped test.
bool passed(const Running& ended, int status, int& skipped) {
  const double seconds = static_cast<double>(monotonicNanos() - ended.startedNanos) / 1e9;
  const bool left = WIFEXITED(status) && WEXITSTATUS(status) == skippedStatus;
  const bool passed = left || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
  skipped += left ? 1 : 0;
  printAndClose(ended.output);
  std::printf("  %s  %s (%.2f s)\n", left ? "skip  " : passed ? "ok    " : "FAILED", ended.test->promise, seconds);
  if (WIFSIGNALED(status)) {
    const bool hung = WTERMSIG(status) == SIGALRM;
    std::printf("          %s\n", hung ? "it did not end in time" : strsignal(WTERMSIG(status)));
  }
  return passed;
}

int act(const std::vector<std::string>& arguments) {
  // A test that fails leaves no actor behind.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const Actor& actor : actors()) {
    if (arguments.front() == actor.name) return actor.act({arguments.begin() + 1, arguments.end()});
  }
  std::fprintf(stderr, "there is no actor %s\n", arguments.front().c_str());
  return 2;
}

int runAll(const std::vector<std::string>& words, size_t beside) {
  std::printf("  seed %llu\n", static_cast<unsigned long long>(theSeed));
  int failed = 0;
  int run = 0;
  int skipped = 0;
  std::vector<Running> running;
  const auto awaitOne = [&] {
    int status = 0;
    const pid_t process = waitpid(-1, &status, 0);
    const auto ended = std::find_if(running.begin(), running.end(), [&](const Running& each) { return each.process == process; });
    if (ended == running.end()) return;
    if (!passed(*ended, status, skipped)) failed += 1;
    running.erase(ended);
  };
  for (const Test& test : tests()) {
    if (!wanted(test, words)) continue;
    while (running.size() >= beside) awaitOne();
    running.push_back(start(test));
    run += 1;
  }
  while (!running.empty()) awaitOne();
  std::printf("  %d promises checked, %d broken", run - skipped, failed);
  std::printf(skipped == 0 ? "\n" : ", %d skipped\n", skipped);
  return failed == 0 && run != 0 ? 0 : 1;
}

}  // namespace

// Kept in functions, so that they exist before the first registration of any file.
std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

std::vector<Actor>& actors() {
  static std::vector<Actor> all;
  return all;
}

void fail(const char* file, int line, const std::string& why) {
  std::fprintf(stderr, "          %s:%d: %s (seed %llu)\n", file, line, why.c_str(),
               static_cast<unsigned long long>(theSeed));
  std::fflush(nullptr);
  removeFolder();
  _exit(1);
}

void skip(const std::string& why) {
  std::fprintf(stderr, "          %s\n", why.c_str());
  std::fflush(nullptr);
  removeFolder();
  _exit(skippedStatus);
}

uint64_t seed() { return theSeed; }

const std::string& scratchFolder() {
  if (!theFolder.empty()) return theFolder;
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/ringfence-native-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) fail(__FILE__, __LINE__, "no folder for temporary files");
  folderOwner = getpid();
  return theFolder = pattern;
}

}  // namespace ringfence::test

// native-test [--seed N] [--beside N] [--list] [words of the promises to check...]
int main(int count, char** values) {
  using namespace ringfence::test;
  std::vector<std::string> words(values + 1, values + count);
  theSeed = ringfence::monotonicNanos() % 1'000'000'007;
  size_t beside = 1;
  for (; words.size() >= 2 && (words[0] == "--seed" || words[0] == "--beside"); words.erase(words.begin(), words.begin() + 2)) {
    const uint64_t number = std::strtoull(words[1].c_str(), nullptr, 10);
    if (words[0] == "--seed") theSeed = number;
    else beside = std::max<size_t>(1, number);
  }
  if (words.size() >= 2 && words[0] == "--act") return act({words.begin() + 1, words.end()});
  if (words.size() == 1 && words[0] == "--list") {
    for (const Test& test : tests()) std::printf("%s\n", test.promise);
    return 0;
  }
  return runAll(words, beside);
}
