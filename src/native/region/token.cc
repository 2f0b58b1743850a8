#include "token.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ringfence {

namespace {

constexpr std::array<uint32_t, 256> crcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; byte += 1) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit += 1) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[byte] = crc;
  }
  return table;
}();

uint32_t crcByTable(uint32_t crc, const uint8_t* at, size_t count) {
  for (size_t i = 0; i < count; i += 1) crc = (crc >> 8) ^ crcTable[(crc ^ at[i]) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crcByInstruction(uint32_t crc, const uint8_t* at, size_t count) {
  uint64_t wide = crc;
  for (; count >= 8; count -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    wide = _mm_crc32_u64(wide, word);
  }
  return crcByTable(static_cast<uint32_t>(wide), at, count);
}
#endif

uint32_t mixed(uint32_t hash, uint32_t word) {
  const uint32_t product = (hash ^ word) * 0xc2b2ae35U;
  return product ^ (product >> 15);
}

// Of a slot that its declarer names under that generation.
template <class Slot>
uint64_t slotSealOf(const Slot& slot, uint64_t generation) {
  Slot sealed = slot;
  sealed.generation = generation;
  sealed.seal = 0;
  return mix64(uint64_t{crc32c(&sealed, sizeof(sealed))} + 1);
}

// The checksums of both lines, each without its first word.
uint64_t entryCrcs(const IndexEntry& entry) {
  static_assert(offsetof(IndexEntry, token) == 0 && offsetof(IndexEntry, seal) == lineBytes);
  const auto* at = reinterpret_cast<const uint8_t*>(&entry);
  constexpr size_t rest = lineBytes - sizeof(uint64_t);
  const uint64_t first = crc32c(at + sizeof(uint64_t), rest);
  return first << 32 | crc32c(at + lineBytes + sizeof(uint64_t), rest);
}

}  // namespace

uint32_t crc32c(const void* bytes, size_t count) {
  const auto* at = static_cast<const uint8_t*>(bytes);
#if defined(__x86_64__)
  static const bool instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (instruction) return ~crcByInstruction(~0U, at, count);
#endif
  return ~crcByTable(~0U, at, count);
}

uint32_t descriptorCrc(const Descriptor& descriptor) {
  constexpr size_t from = offsetof(Descriptor, sessionKey);
  return crc32c(reinterpret_cast<const uint8_t*>(&descriptor) + from, offsetof(Descriptor, crc) - from);
}

uint64_t headerSealOf(const HeaderCopy& header) {
  constexpr size_t bytes = offsetof(HeaderCopy, birth) + offsetof(BirthLine, seal);
  return mix64(crc32c(&header, bytes));
}

uint64_t topicSealOf(const TopicSlot& topic, uint64_t generation) { return slotSealOf(topic, generation); }

uint64_t identitySealOf(const IdentitySlot& identity, uint64_t generation) { return slotSealOf(identity, generation); }

uint32_t nameSealOf(const RingName& name) {
  const uint32_t seal = crc32c(name.name, sizeof(name.name));
  return seal == 0 ? 1 : seal;
}

void sealEntry(IndexEntry& entry, uint64_t token) {
  entry.token = token;
  entry.seal = token ^ entryCrcs(entry);
}

bool entrySealed(const IndexEntry& entry, uint64_t token) {
  return entry.token == token && entry.seal == (token ^ entryCrcs(entry));
}

uint32_t frameChecksum(const FrameHeader& header, uint64_t position) {
  uint32_t words[sizeof(FrameHeader) / sizeof(uint32_t)];
  std::memcpy(words, &header, sizeof(header));
  uint32_t hash = mixed(0x9e3779b9U, static_cast<uint32_t>(position / 8));
  for (size_t i = 0; i < std::size(words); i += 1) {
    if (i != offsetof(FrameHeader, checksum) / sizeof(uint32_t)) hash = mixed(hash, words[i]);
  }
  return hash;
}

}  // namespace ringfence
