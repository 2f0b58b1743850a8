// Readiness tokens and checksums: a slot is ready when its token names its absolute index and its owner's generation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ring_layout.h"

namespace ringfence {

// Finaliser of SplitMix64 (Steele, Lea, Flood, 2014): a bijection, so distinct inputs give distinct tokens.
inline uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// `owner` is the lane's generation or the index's epoch. Never zero, so zeroed memory is never ready. `region` tells the
// token from the same one of a device's former region (Region::mark): a line of a process that was killed in it may be
// written back over the next region. The frames of a ring need no mark: none is read that its writer's position, or the
// position that it announced, does not cover.
inline uint64_t readyToken(uint64_t region, uint64_t index, uint64_t owner) {
  const uint64_t token = mix64(index + 1) ^ mix64(owner + 0x9e3779b97f4a7c15ULL) ^ region;
  return token == 0 ? 1 : token;
}

// The mark of a writer that has closed its ring. A damaged number almost never equals it, so no reader sees a false
// end.
inline uint64_t closedMarkOf(uint64_t generation) { return mix64(generation ^ 0x636c6f7365640000ULL); }

// The sequencer's marks of a topic whose place it has freed, or checks in order to free it. A damaged number almost
// never equals either. 0 for generation 0.
inline uint64_t freedMarkOf(uint64_t topicGeneration) {
  return topicGeneration == 0 ? 0 : mix64(topicGeneration ^ 0x6672656564000000ULL);
}
inline uint64_t freeingMarkOf(uint64_t topicGeneration) { return mix64(topicGeneration ^ 0x66726565696e6700ULL); }

// In the place of an identity's seal: the slot of that generation is free or being named anew. 0 for generation 0.
inline uint64_t unnamedMarkOf(uint64_t generation) {
  return generation == 0 ? 0 : mix64(generation ^ 0x756e6e616d656400ULL);
}

// Says of a batch that it is committed, and how many messages it has. Never zero, which says nothing: a batch has messages.
inline uint64_t factOf(uint64_t sequence, uint32_t messages) { return sequence << 32 | messages; }
inline bool factNames(uint64_t fact, uint64_t sequence) { return fact != 0 && fact >> 32 == (sequence & 0xffffffff); }
inline uint32_t messagesOf(uint64_t fact) { return static_cast<uint32_t>(fact); }

// Seals who a ring's writer is: the ring's generation, and the process that writes it.
inline uint64_t writerSealOf(uint64_t generation, uint32_t process, uint64_t processGeneration) {
  return mix64(mix64(generation) ^ mix64(processGeneration + 0x9e3779b97f4a7c15ULL) ^ process);
}

// Seals what a replica's reader says of its disk: so that neither a half-written line nor one that was damaged from
// outside makes a record durable. Never zero, which a subscriber has.
inline uint64_t syncedSealOf(const ReaderLine& line, uint64_t generation) {
  const uint64_t replica = mix64(line.replicaKey ^ 0x7265706c69636100ULL) ^ line.replicasRequired;
  const uint64_t seal = mix64(mix64(line.cursor + 1) ^ mix64(replica) ^ mix64(generation + 0x9e3779b97f4a7c15ULL));
  return seal == 0 ? 1 : seal;
}

// CRC-32C (Castagnoli), with the processor's instruction if it has one.
uint32_t crc32c(const void* bytes, size_t count);

uint32_t descriptorCrc(const Descriptor& descriptor);

// What an attaching process reads of a header.
struct HeaderCopy {
  Identity identity;
  Geometry geometry;
  BirthLine birth;
};
static_assert(offsetof(HeaderCopy, geometry) == offsetof(Header, geometry));
static_assert(offsetof(HeaderCopy, birth) == offsetof(Header, birth));

// Seals what the creator writes into a header.
uint64_t headerSealOf(const HeaderCopy& header);

// Seal a topic or an identity declared under that generation, and a ring's name. Never zero, which means that there is none.
uint64_t topicSealOf(const TopicSlot& topic, uint64_t generation);
uint64_t identitySealOf(const IdentitySlot& identity, uint64_t generation);
uint32_t nameSealOf(const RingName& name);

// The seal of an index entry is its token, mixed with a checksum of each of its lines, so that it exposes a change of
// any field.
void sealEntry(IndexEntry& entry, uint64_t token);
bool entrySealed(const IndexEntry& entry, uint64_t token);

// Checksum of a frame's header and position, as in src/layers/ring/FrameCodec.ts: it exposes a frame of an earlier lap.
// It is cheap in JavaScript, which reads the frames. A change of one word always changes it: each step is a bijection
// of the word, and of the hash so far.
uint32_t frameChecksum(const FrameHeader& header, uint64_t position);

}  // namespace ringfence
