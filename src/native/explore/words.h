// Verbs over single words, for the tests of the memory models: what the verbs of Publication over lines are made of.
#pragma once

#include "region/publication.h"

namespace ringfence::explore {

using memory::Site;

class Words {
 public:
  explicit Words(Coherence coherence = Coherence::coherent) : fences_(coherence) {}

  template <class T>
  T read(const T& word, Site site = {}) const {
    return memory::load(word, site);
  }
  template <class T>
  void write(T& word, T value, Site site = {}) const {
    memory::store(word, value, site);
  }
  template <class T>
  void publish(T& word, T value, Site site = {}) const {
    settle(site);
    memory::storeRelease(word, value, site);
    wrote(&word, sizeof(word), site);
  }
  template <class T>
  T observe(const T& word, Site site = {}) const {
    willRead(&word, sizeof(word), site);
    return memory::loadAcquire(word, site);
  }
  void wrote(const void* at, size_t bytes, Site site = {}) const {
    if (flushed()) memory::writeBack(at, bytes, site);
  }
  void willRead(const void* at, size_t bytes, Site site = {}) const {
    if (flushed()) memory::invalidationFence(site);
    willReadUnordered(at, bytes, site);
  }
  // The invalidation may be made ahead of the loads before it.
  void willReadUnordered(const void* at, size_t bytes, Site site = {}) const {
    if (!flushed()) return;
    memory::invalidate(at, bytes, site);
    memory::flushFence(site);
  }
  template <class T>
  T ring(T& word, Site site = {}) const {
    settle(site);
    return memory::increment(word, site);
  }
  uint32_t take(uint32_t& bits, Site site = {}) const { return memory::take(bits, site); }

  void storeFence(Site site = {}) const { fences_.storeFence(site); }
  void loadFence(Site site = {}) const { fences_.loadFence(site); }
  void fullFence(Site site = {}) const { static_cast<void>(fences_.fullFence(site)); }

 private:
  bool flushed() const { return fences_.coherence() == Coherence::flushed; }
  void settle(Site site) const {
    if (flushed()) memory::writeBackFence(site);
  }

  Publication fences_;
};

}  // namespace ringfence::explore
