// Numbers in the texts of errors: these lists are those of test/programs/quantities.test.ts.
#include "region/quantities.h"
#include "testing.h"

namespace ringfence::test {

namespace {

TEST("sizes and counts in errors are written as the TypeScript texts write them") {
  constexpr uint64_t mebibyte = uint64_t{1} << 20;
  constexpr uint64_t gibibyte = 1024 * mebibyte;
  const struct {
    uint64_t bytes;
    const char* written;
  } sizes[] = {
      {0, "0 bytes"},
      {1, "1 byte"},
      {1023, "1,023 bytes"},
      {1024, "1 KiB"},
      {65536, "64 KiB"},
      {3 * mebibyte / 2, "1.5 MiB"},
      {gibibyte - 1, "1024.0 MiB"},
      {gibibyte, "1 GiB"},
      {2560 * gibibyte, "2.50 TiB"},
  };
  for (const auto& size : sizes) CHECK_EQUAL(formatBytes(size.bytes), size.written);
  CHECK_EQUAL(formatCount(0), "0");
  CHECK_EQUAL(formatCount(1), "1");
  CHECK_EQUAL(formatCount(1000), "1,000");
  CHECK_EQUAL(formatCount(1234567), "1,234,567");
}

}  // namespace

}  // namespace ringfence::test
