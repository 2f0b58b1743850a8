// The explorer uses tables of the native tests, but not their runner: a failure ends it here.
#include <cstdio>
#include <cstdlib>

#include "test/testing.h"

namespace ringfence::test {

void fail(const char* file, int line, const std::string& why) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, why.c_str());
  std::abort();
}

}  // namespace ringfence::test
