#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <thread>  // yield
#include <vector>

#include "region/futex.h"
#include "region/layout.h"
#include "region/publication.h"
#include "region/thread.h"
#include "spin.h"

namespace ringfence {

namespace {

struct Writer {};
struct Reader {};

// The blocks of the copied ring.
struct Blocks {
  struct Maker {};
  using Role = Writer;
};

struct WrittenPosition {
  uint64_t position;
  uint64_t reserved[7];
};

struct ReadPosition {
  uint64_t position;
  uint64_t reserved[7];
};

struct RingLines {
  Line<WrittenPosition, Writer> written;
  Line<ReadPosition, Reader> read;
};

}  // namespace

template <>
struct Covers<WrittenPosition> : Token<&WrittenPosition::position, Blocks> {};

namespace {

constexpr auto written = &WrittenPosition::position;
constexpr auto read = &ReadPosition::position;

// How long the measurement of a cache line's round trip may take.
constexpr uint64_t probeNanos = 50'000'000;

// Far longer than a cache line takes to arrive: after so many spins the other thread probably waits for this core.
constexpr uint32_t spinsAtOnce = 256;

template <class Ready>
void spinUntil(Ready ready) {
  for (uint32_t spins = 1; !ready(); spins += 1) {
    relax();
    if (spins % spinsAtOnce == 0) std::this_thread::yield();
  }
}

void* mapShared(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

}  // namespace

uint64_t foldBytes(const void* bytes, size_t count) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  uint64_t sums[8] = {};
  for (; count >= 64; count -= 64, at += 64) {
    uint64_t words[8];
    std::memcpy(words, at, sizeof(words));
    for (int i = 0; i < 8; i += 1) sums[i] += words[i];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  while (count != 0) {
    uint64_t word = 0;
    const size_t part = count < sizeof(word) ? count : sizeof(word);
    std::memcpy(&word, at, part);
    sum += word;
    at += part;
    count -= part;
  }
  return sum;
}

FramesFold foldFrames(const uint8_t* bytes, size_t count, uint32_t first) {
  FramesFold found{};
  FrameHeader header;
  uint32_t number = 0;
  for (size_t at = 0; count - at >= sizeof(header) + sizeof(number);) {
    std::memcpy(&header, bytes + at, sizeof(header));
    if (header.length < sizeof(header) + sizeof(number) || header.length > count - at) break;
    std::memcpy(&number, bytes + at + sizeof(header), sizeof(number));
    found.inOrder += number == static_cast<uint32_t>(first + found.frames) ? 1 : 0;
    found.sum += foldBytes(bytes + at + sizeof(header), header.length - sizeof(header));
    found.frames += 1;
    at += frameBytesOf(header.length - sizeof(header));
    if (at > count) break;
  }
  return found;
}

namespace {

struct CopyRing {
  uint8_t* bytes;
  RingLines* lines;
  uint64_t ringBytes;
  uint64_t totalBytes;
  uint64_t publishEvery;
  Coherence coherence;

  Bytes<Blocks> at(uint64_t position, uint64_t count) const {
    return Bytes<Blocks>::of(Blocks::Maker{}, bytes + position % ringBytes, count);
  }
};

// The two loops define the limit, so neither may touch lines that the other thread writes, besides the ring and its two
// positions: each gets the ring by value and returns its sum at the end. A sum on the copying thread's stack halves the
// measured rate.
//
// SYNC: `written` is published after the blocks are written and observed before they are read; `read` is published
// after they are read and observed before they are overwritten.
__attribute__((noinline)) uint64_t foldRing(const CopyRing ring) {
  const Publication p(ring.coherence);
  uint64_t fold = 0;
  for (uint64_t at = 0; at < ring.totalBytes;) {
    spinUntil([&] { return p.observe<written>(ring.lines->written) != at; });
    const auto end = p.observeCovering<written>(ring.lines->written);
    for (; at < end.value; at += ring.publishEvery) {
      fold += foldBytes(p.lend(ring.at(at, ring.publishEvery), end.seen), ring.publishEvery);
    }
    p.on(Reader(), ring.lines->read).publish<read>(at);
  }
  return fold;
}

__attribute__((noinline)) void fillRing(const CopyRing ring, const uint8_t* block, uint32_t blockBytes) {
  const Publication p(ring.coherence);
  for (uint64_t at = 0; at < ring.totalBytes;) {
    spinUntil([&] { return at + ring.publishEvery - p.observe<read>(ring.lines->read) <= ring.ringBytes; });
    uint8_t* to = p.room(Writer(), ring.at(at, ring.publishEvery));
    for (uint64_t done = 0; done < ring.publishEvery; done += blockBytes) std::memcpy(to + done, block, blockBytes);
    Written<Blocks> blocks = p.wrote(Writer(), ring.at(at, ring.publishEvery));
    at += ring.publishEvery;
    p.on(Writer(), ring.lines->written).publish<written>(at, std::move(blocks));
  }
}

}  // namespace

Status copyLimit(const Copying& copying, CopyLimit& found) {
  const auto [totalBytes, ringBytes, blockBytes, publishEvery, coherence] = copying;
  found = {};
  const Status invalid = Status::failed("invalid", "the block must divide the bytes per publication, and those the ring");
  if (blockBytes == 0 || publishEvery < blockBytes || publishEvery % blockBytes != 0) return invalid;
  if (ringBytes == 0 || ringBytes % publishEvery != 0) return invalid;
  auto* bytes = static_cast<uint8_t*>(mapShared(ringBytes));
  auto* lines = static_cast<RingLines*>(mapShared(sizeof(RingLines)));
  if (bytes == nullptr || lines == nullptr) return Status::failed("noSpace", "no memory for the ring");
  std::vector<uint8_t> block(blockBytes);
  for (size_t i = 0; i < block.size(); i += 1) block[i] = static_cast<uint8_t>(i * 131 + 7);
  const uint64_t total = totalBytes / publishEvery * publishEvery;
  const CopyRing ring{bytes, lines, ringBytes, total, publishEvery, coherence};

  uint64_t readerFold = 0;
  const uint64_t started = monotonicNanos();
  Thread reader;
  const Status status = reader.start("rf-reader", [ring, &readerFold] { readerFold = foldRing(ring); });
  if (status.ok()) fillRing(ring, block.data(), blockBytes);
  reader.join();
  const double seconds = static_cast<double>(monotonicNanos() - started) / 1e9;
  munmap(bytes, ringBytes);
  munmap(lines, sizeof(RingLines));
  if (status.ok()) found = {seconds, total, foldBytes(block.data(), blockBytes) * (total / blockBytes), readerFold};
  return status;
}

Status lineRoundTripMicros(double& found) {
  constexpr uint64_t trips = 200;
  constexpr size_t roundsMin = 7;
  constexpr size_t roundsMax = 700;
  constexpr uint64_t over = ~uint64_t{0};
  const Publication p;
  auto* lines = static_cast<RingLines*>(mapShared(sizeof(RingLines)));
  if (lines == nullptr) return Status::failed("noSpace", "no memory for two lines");
  const auto line = Bytes<Blocks>::of(Blocks::Maker{}, reinterpret_cast<uint8_t*>(lines), lineBytes);
  Thread echo;
  const Status status = echo.start("rf-echo", [&] {
    for (uint64_t heard = 0; heard != over;) {
      spinUntil([&] { return p.observe<written>(lines->written) != heard; });
      heard = p.observe<written>(lines->written);
      p.on(Reader(), lines->read).publish<read>(heard);
    }
  });
  if (!status.ok()) {
    munmap(lines, sizeof(RingLines));
    return status;
  }
  std::vector<double> micros;
  uint64_t i = 0;
  const uint64_t began = monotonicNanos();
  // On a busy machine the two threads may share a core; settle for fewer rounds then.
  while (micros.size() < roundsMin || (micros.size() < roundsMax && monotonicNanos() - began < probeNanos)) {
    const uint64_t started = monotonicNanos();
    for (uint64_t trip = 0; trip < trips; trip += 1) {
      i += 1;
      p.on(Writer(), lines->written).publish<written>(i, p.wrote(Writer(), line));
      spinUntil([&] { return p.observe<read>(lines->read) >= i; });
    }
    micros.push_back(static_cast<double>(monotonicNanos() - started) / 1000.0 / static_cast<double>(trips));
  }
  p.on(Writer(), lines->written).publish<written>(over, p.wrote(Writer(), line));
  echo.join();
  munmap(lines, sizeof(RingLines));
  std::sort(micros.begin(), micros.end());
  found = micros[micros.size() / 2];
  return Status::fine();
}

}  // namespace ringfence
