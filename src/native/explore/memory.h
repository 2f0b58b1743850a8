// What the verbs of Publication are made of, over simulated memory: publication.h includes this in place of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "site.h"

namespace ringfence::memory {

// Each changes or reads `bytes` bytes within one word.
uint64_t loadWord(const void* at, uint32_t bytes, bool acquire, const Site& site);
void storeWord(void* at, uint32_t bytes, uint64_t value, bool release, const Site& site);
uint64_t incrementWord(void* at, uint32_t bytes, const Site& site);
void raise(uint64_t& word, uint64_t bits, const Site& site);
void lower(uint64_t& word, uint64_t bits, const Site& site);

void copyOut(void* to, const void* from, size_t bytes, const Site& site);
void copyIn(void* to, const void* from, size_t bytes, const Site& site);
void writeBack(const void* at, size_t bytes, const Site& site);
void invalidate(const void* at, size_t bytes, const Site& site);
void storeFence(const Site& site);
void loadFence(const Site& site);
void fullFence(const Site& site);
void writeBackFence(const Site& site);
void invalidationFence(const Site& site);
void flushFence(const Site& site);
uint32_t take(uint32_t& bits, const Site& site);

}  // namespace ringfence::memory

namespace ringfence::explore {

struct Actor;

// A mutant that swaps stores delays one of them. The actor's next verb or system call makes the delayed store, and so
// does the actor as it blocks or ends; each schedule begins without one.
void makeDelayedStores();
void makeDelayedStoresOf(const Actor& actor);
void forgetDelayed();

}  // namespace ringfence::explore

namespace ringfence::memory {

template <class T>
T narrowed(uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof(T));
  return value;
}

template <class T>
uint64_t widened(T value) {
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof(T));
  return word;
}

template <class T>
T load(const T& field, const Site& site) {
  return narrowed<T>(loadWord(&field, sizeof(T), false, site));
}

template <class T>
T loadAcquire(const T& field, const Site& site) {
  return narrowed<T>(loadWord(&field, sizeof(T), true, site));
}

template <class T>
void store(T& field, T value, const Site& site) {
  storeWord(&field, sizeof(T), widened(value), false, site);
}

template <class T>
void storeRelease(T& field, T value, const Site& site) {
  storeWord(&field, sizeof(T), widened(value), true, site);
}

template <class T>
T increment(T& word, const Site& site) {
  return narrowed<T>(incrementWord(&word, sizeof(T), site));
}

}  // namespace ringfence::memory
