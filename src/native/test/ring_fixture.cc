#include "ring_fixture.h"

#include <cstring>

#include "region/token.h"

namespace ringfence::test {

namespace {

uint8_t byteOf(uint64_t number, uint64_t i) { return static_cast<uint8_t>(number * 31 + i * 7); }

std::shared_ptr<RingMemory> memoryOf(Region& region, uint32_t ring) {
  auto memory = region.mapRing(ring);
  CHECK(memory != nullptr);
  return memory;
}

}  // namespace

Geometry ringGeometry() {
  Geometry g = tinyGeometry();
  g.rings = 2;
  g.ringReaders = 3;
  g.ringBytes = ringBytes;
  return g;
}

std::shared_ptr<Region> attachedAgain(const Region& region, const char* name) {
  std::shared_ptr<Region> attached;
  CHECK_EQUAL(Region::reattach(region, name, attached).fault, "none");
  return attached;
}

std::unique_ptr<RingWriter> writerOf(const std::shared_ptr<Region>& region, const std::string& name) {
  RingRole role;
  CHECK_EQUAL(claimRing(*region, name, role).fault, "none");
  return std::make_unique<RingWriter>(region, memoryOf(*region, role.ring), role);
}

std::unique_ptr<RingReader> readerOf(const std::shared_ptr<Region>& region, const std::string& name,
                                     std::shared_ptr<RingMemory> memory) {
  ReaderRole role;
  CHECK_EQUAL(claimRingReader(*region, name, "reader", role).fault, "none");
  if (memory == nullptr) memory = memoryOf(*region, role.ring);
  return std::make_unique<RingReader>(region, std::move(memory), role);
}

uint32_t payloadBytesOf(uint64_t number) { return static_cast<uint32_t>(4 + number * 131 % 300); }

void fillPayload(uint64_t number, uint8_t* payload) {
  for (uint32_t i = 0; i < payloadBytesOf(number); i += 1) payload[i] = byteOf(number, i);
}

bool append(RingWriter& writer, uint64_t number) {
  uint8_t payload[304];
  const uint32_t bytes = payloadBytesOf(number);
  fillPayload(number, payload);
  const Frame frame{16, 0, static_cast<uint32_t>(number), 1, 2, static_cast<double>(number), payload, bytes};
  return writer.append(frame) >= 0;
}

uint64_t fill(RingWriter& writer, uint64_t number) {
  while (append(writer, number)) number += 1;
  return number;
}

bool RingFollowing::frame(uint64_t limit, FrameHeader& header, const uint8_t*& payload) const {
  const uint8_t* at = byteAt(*reader_.memory(), at_);
  std::memcpy(&header, at, sizeof(header));
  if (header.length < sizeof(header) || header.length > reader_.memory()->bytes() / 4) return false;
  if (header.checksum != frameChecksum(header, at_)) return false;
  payload = at + sizeof(header);
  return at_ + frameBytesOf(header.length - sizeof(header)) <= limit;
}

uint64_t RingFollowing::take(bool keep) {
  const uint64_t limit = reader_.available();
  uint64_t taken = 0;
  for (; at_ < limit; taken += 1) {
    FrameHeader header;
    const uint8_t* payload = nullptr;
    CHECK(frame(limit, header, payload));
    CHECK_EQUAL(header.type, static_cast<uint32_t>(next));
    CHECK_EQUAL(header.length, sizeof(header) + payloadBytesOf(next));
    for (uint32_t i = 0; i < payloadBytesOf(next); i += 1) CHECK(payload[i] == byteOf(next, i));
    at_ += frameBytesOf(payloadBytesOf(next));
    next += 1;
  }
  if (!keep) giveBack();
  return taken;
}

bool RingFollowing::walk() {
  const uint64_t limit = reader_.available();
  while (at_ < limit) {
    FrameHeader header;
    const uint8_t* payload = nullptr;
    if (!frame(limit, header, payload)) return false;
    volatile uint64_t sum = 0;
    for (uint32_t i = 0; i < header.length - sizeof(header); i += 1) sum = sum + payload[i];
    at_ += frameBytesOf(header.length - sizeof(header));
  }
  giveBack();
  return true;
}

}  // namespace ringfence::test
