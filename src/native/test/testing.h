// A few lines instead of a framework. A test is named for the promise that it checks, and ends at the first failed
// check. Each runs in a process of its own, so that a crash or a hang fails one test and not the run.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include "raw_line.h"
#include "region/token.h"

namespace ringfence::test {

struct Test {
  const char* promise;
  void (*run)();
};

// A role for another process of a test: this program, run as `--act name arguments...`.
struct Actor {
  const char* name;
  int (*act)(const std::vector<std::string>& arguments);
};

std::vector<Test>& tests();
std::vector<Actor>& actors();

struct Registration {
  Registration(const char* promise, void (*run)()) { tests().push_back({promise, run}); }
  Registration(const char* name, int (*act)(const std::vector<std::string>&)) { actors().push_back({name, act}); }
};

// Prints where and why, and ends the test.
[[noreturn]] void fail(const char* file, int line, const std::string& why);

// Ends a test that needs what this machine does not have.
[[noreturn]] void skip(const std::string& why);

// The value to compare and show: numbers widened, text as text, the absence of a fault as "none".
template <class T>
auto plain(const T& value) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    return static_cast<uint64_t>(value);
  } else {
    return std::string(value);
  }
}
inline std::string plain(const char* text) { return text == nullptr ? "none" : text; }

inline std::string show(uint64_t value) { return std::to_string(value); }
inline std::string show(const std::string& value) { return '"' + value + '"'; }

// The seed of this run's random choices: `--seed N`, or a fresh one. It is printed, so that a run can be reproduced.
uint64_t seed();

class Random {
 public:
  explicit Random(uint64_t stream) : state_(mix64(seed() + stream * 0x9e3779b97f4a7c15ULL)) {}
  uint64_t next() { return mix64(state_ += 0x9e3779b97f4a7c15ULL); }
  uint64_t below(uint64_t limit) { return next() % limit; }
  bool oneIn(uint64_t n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

// A folder for this test alone, removed at its end.
const std::string& scratchFolder();

#if defined(__SANITIZE_THREAD__)
constexpr uint64_t slowness = 8;
#elif defined(__SANITIZE_ADDRESS__)
constexpr uint64_t slowness = 3;
#else
constexpr uint64_t slowness = 1;
#endif

}  // namespace ringfence::test

#define RINGFENCE_JOIN_(a, b) a##b
#define RINGFENCE_JOIN(a, b) RINGFENCE_JOIN_(a, b)

#define TEST(promise)                                                                              \
  static void RINGFENCE_JOIN(test_, __LINE__)();                                                   \
  static const ::ringfence::test::Registration RINGFENCE_JOIN(registration_, __LINE__)(            \
      promise, &RINGFENCE_JOIN(test_, __LINE__));                                                  \
  static void RINGFENCE_JOIN(test_, __LINE__)()

// A test in which each process has a single thread: it takes the thread sanitizer minutes, and there is nothing in it for it
// to find. Compiled there, and not run.
#if defined(__SANITIZE_THREAD__)
#define TEST_OF_ONE_THREAD(promise) [[maybe_unused]] static void RINGFENCE_JOIN(test_, __LINE__)()
#else
#define TEST_OF_ONE_THREAD(promise) TEST(promise)
#endif

#define ACTOR(name)                                                                                \
  static int RINGFENCE_JOIN(actor_, __LINE__)(const std::vector<std::string>&);                    \
  static const ::ringfence::test::Registration RINGFENCE_JOIN(registration_, __LINE__)(            \
      name, &RINGFENCE_JOIN(actor_, __LINE__));                                                    \
  static int RINGFENCE_JOIN(actor_, __LINE__)(const std::vector<std::string>& arguments)

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) ::ringfence::test::fail(__FILE__, __LINE__, #condition);                     \
  } while (false)

#define CHECK_EQUAL(actual, expected)                                                              \
  do {                                                                                             \
    const auto actual_ = ::ringfence::test::plain(actual);                                         \
    const auto expected_ = ::ringfence::test::plain(expected);                                     \
    if (actual_ != expected_) {                                                                    \
      ::ringfence::test::fail(__FILE__, __LINE__,                                                  \
                              std::string(#actual " is ") + ::ringfence::test::show(actual_) +     \
                                  ", expected " + ::ringfence::test::show(expected_));             \
    }                                                                                              \
  } while (false)
