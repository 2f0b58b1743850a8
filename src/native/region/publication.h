// Makes writes visible to the other processes of a region, and keeps reads from being stale.
//
// Every access to shared memory goes through one `Publication` value, chosen when the region is opened. A structure is
// written as: `write` its fields, `wrote` the lines, `publish` the token. It is read as: `observe` the token,
// `willRead` the lines, `read` the fields. With `coherent` memory (one host, /dev/shm) `wrote` and `willRead` cost
// nothing; on memory without hardware coherence they are the write-back and the invalidation, in the same places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef RINGFENCE_MEMORY
#include RINGFENCE_MEMORY  // the explorer's: the functions of `memory` below, over memory that it simulates
#else
#include <atomic>

namespace ringfence::memory {

// Where in the source a verb stands. Only the explorer asks.
struct Site {};

template <class T>
T load(const T& field, Site) {
  return __atomic_load_n(&field, __ATOMIC_RELAXED);
}

template <class T>
T loadAcquire(const T& field, Site) {
  return __atomic_load_n(&field, __ATOMIC_ACQUIRE);
}

template <class T>
void store(T& field, T value, Site) {
  __atomic_store_n(&field, value, __ATOMIC_RELAXED);
}

template <class T>
void storeRelease(T& field, T value, Site) {
  __atomic_store_n(&field, value, __ATOMIC_RELEASE);
}

inline void copyOut(void* to, const void* from, size_t bytes, Site) { std::memcpy(to, from, bytes); }
inline void copyIn(void* to, const void* from, size_t bytes, Site) { std::memcpy(to, from, bytes); }

inline void writeBack(const void*, size_t, Site) {}
inline void invalidate(const void*, size_t, Site) {}

inline void storeFence(Site) { __atomic_thread_fence(__ATOMIC_RELEASE); }
inline void loadFence(Site) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
inline void fullFence(Site) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

template <class T>
T increment(T& word, Site) {
  return __atomic_add_fetch(&word, T{1}, __ATOMIC_SEQ_CST);
}

inline void replace(uint64_t& word, uint64_t seen, uint64_t value, Site) {
  __atomic_compare_exchange_n(&word, &seen, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

inline uint32_t take(uint32_t& bits, Site) { return __atomic_exchange_n(&bits, 0U, __ATOMIC_SEQ_CST); }

}  // namespace ringfence::memory
#endif

namespace ringfence {

using memory::Site;

enum class Coherence : uint32_t { coherent = 0 };

#ifdef RINGFENCE_STEPS
// In the native tests only: called before each store, so that a process can be killed or stopped between any two.
void aheadOfStore();
#else
inline void aheadOfStore() {}
#endif

class Publication {
 public:
  explicit Publication(Coherence coherence = Coherence::coherent) : coherence_(coherence) {}

  Coherence coherence() const { return coherence_; }

  // Reads one field, unordered with its neighbours. A naturally aligned word is never torn.
  template <class T>
  T read(const T& field, Site site = {}) const {
    return memory::load(field, site);
  }

  template <class T>
  void write(T& field, T value, Site site = {}) const {
    aheadOfStore();
    memory::store(field, value, site);
  }

  // A process that observes `value` in `token` sees everything written before this.
  template <class T>
  void publish(T& token, T value, Site site = {}) const {
    aheadOfStore();
    memory::storeRelease(token, value, site);
  }

  // Reads after this see everything that was written before the observed value was published.
  template <class T>
  T observe(const T& token, Site site = {}) const {
    return memory::loadAcquire(token, site);
  }

  // Call after writing the lines of [at, at + bytes), before publishing their token.
  void wrote(const void* at, size_t bytes, Site site = {}) const { memory::writeBack(at, bytes, site); }

  // Call after observing their token, before reading the lines of [at, at + bytes).
  void willRead(const void* at, size_t bytes, Site site = {}) const { memory::invalidate(at, bytes, site); }

  // Bytes that a token covers: what a message carries. The caller says `wrote` and `willRead`.
  void writeBytes(void* to, const void* from, size_t bytes, Site site = {}) const {
    memory::copyIn(to, from, bytes, site);
  }
  void readBytes(void* to, const void* from, size_t bytes, Site site = {}) const {
    memory::copyOut(to, from, bytes, site);
  }

  // Copies a record out of shared memory once, word by word, so that checks and later uses see the same values.
  template <class Record>
  Record copyOut(const Record& shared, Site site = {}) const {
    static_assert(sizeof(Record) % sizeof(uint64_t) == 0);
    static_assert(alignof(Record) >= alignof(uint64_t));
    willRead(&shared, sizeof(Record), site);
    Record local;
    uint64_t words[sizeof(Record) / sizeof(uint64_t)];
    const auto* from = reinterpret_cast<const uint64_t*>(&shared);
    for (size_t i = 0; i < sizeof(Record) / sizeof(uint64_t); i += 1) words[i] = read(from[i], site);
    std::memcpy(static_cast<void*>(&local), words, sizeof(Record));
    return local;
  }

  // Writes a whole record word by word; the caller publishes the token in it separately, last.
  template <class Record>
  void copyIn(Record& shared, const Record& local, Site site = {}) const {
    static_assert(sizeof(Record) % sizeof(uint64_t) == 0);
    uint64_t words[sizeof(Record) / sizeof(uint64_t)];
    std::memcpy(words, static_cast<const void*>(&local), sizeof(Record));
    auto* to = reinterpret_cast<uint64_t*>(&shared);
    for (size_t i = 0; i < sizeof(Record) / sizeof(uint64_t); i += 1) write(to[i], words[i], site);
    wrote(&shared, sizeof(Record), site);
  }

  // Stores before it are visible before stores after it.
  void storeFence(Site site = {}) const { memory::storeFence(site); }

  // Loads before it are made before loads and stores after it: so a check after a copy covers the copy.
  void loadFence(Site site = {}) const { memory::loadFence(site); }

  // Stores before it are visible before loads after it are made: both sides of every sleep need it, and both sides of
  // every cursor against a frontier.
  void fullFence(Site site = {}) const { memory::fullFence(site); }

  // The functions below are for the few words that several processes write; each changes its word atomically.

  // Increments a doorbell or a count of changes.
  template <class Word>
  Word ring(Word& bell, Site site = {}) const {
    aheadOfStore();
    return memory::increment(bell, site);
  }

  // Replaces `seen` with `value`, unless another process has changed the word since.
  void replace(uint64_t& word, uint64_t seen, uint64_t value, Site site = {}) const {
    aheadOfStore();
    memory::replace(word, seen, value, site);
  }

  // Clears a word of bits and returns them. Of several processes that take at once, one gets them.
  uint32_t take(uint32_t& bits, Site site = {}) const {
    aheadOfStore();
    return memory::take(bits, site);
  }

 private:
  Coherence coherence_;
};

}  // namespace ringfence
