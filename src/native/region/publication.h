// Makes writes visible to the other processes of a region, and keeps reads from being stale.
//
// Every access to shared memory goes through one `Publication` value, chosen when the region is opened. With `coherent`
// memory (one host, /dev/shm) the verbs are loads, stores and fences. On `flushed` memory they also write lines back and
// invalidate them:
//
//   publish         settle earlier write-backs; store; write the line back
//   observe         fence; invalidate the line; full fence; load
//   fullFence       settles write-backs and invalidations before the loads behind it
//   settle          settles write-backs ahead of a call of the system
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>

#include "line.h"

#ifdef RINGFENCE_MEMORY
#include RINGFENCE_MEMORY  // the explorer's: the functions of `memory` below, over memory that it simulates
#else
#include <atomic>

#include "flush.h"

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

inline void writeBack(const void* at, size_t bytes, Site) { writeBackLines(at, bytes); }
inline void invalidate(const void* at, size_t bytes, Site) { dropLines(at, bytes); }
// Of coherent memory.
inline void storeFence(Site) { __atomic_thread_fence(__ATOMIC_RELEASE); }
inline void loadFence(Site) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
inline void fullFence(Site) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
// Of flushed memory: they order write-backs, invalidations behind loads, and all of these.
inline void writeBackFence(Site) { orderWriteBacks(); }
inline void invalidationFence(Site) { orderLoads(); }
inline void flushFence(Site) { orderAll(); }

template <class T>
T increment(T& word, Site) {
  return __atomic_add_fetch(&word, T{1}, __ATOMIC_SEQ_CST);
}

inline uint32_t take(uint32_t& bits, Site) { return __atomic_exchange_n(&bits, 0U, __ATOMIC_SEQ_CST); }
inline void raise(uint64_t& word, uint64_t bits, Site) { __atomic_or_fetch(&word, bits, __ATOMIC_SEQ_CST); }
inline void lower(uint64_t& word, uint64_t bits, Site) { __atomic_and_fetch(&word, ~bits, __ATOMIC_SEQ_CST); }

}  // namespace ringfence::memory
#endif

namespace ringfence {

using memory::Site;

// How the memory of a region makes writes visible to its other processes; the creator chooses, the header says it.
//   coherent  by itself: memory of one host
//   flushed   line by line, as the writer writes back and the reader invalidates
enum class Coherence : uint32_t { coherent = 0, flushed = 1 };

#ifdef RINGFENCE_STEPS
// In the native tests only: called before each store, so that a process can be killed or stopped between any two.
void aheadOfStore();
#else
inline void aheadOfStore() {}
#endif

// A change of one line, in steps. The line is written back when this ends, so that no change stays in a cache.
template <class L>
class Writing {
 public:
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  ~Writing();

  // Stores a field. Which process sees it is said by a publication of the line.
  template <auto Field>
    requires(FieldOf<Field, L> && !Covering<Field>)
  Writing& set(std::type_identity_t<ValueOf<Field>> value, Site site = {});
  // An array: a name, an id.
  template <auto Field, class Element, size_t count>
    requires(FieldOf<Field, L> && std::is_same_v<ValueOf<Field>, Element[count]>)
  Writing& copy(const Element (&value)[count], Site site = {});
  // Every field of a line whose token covers nothing else.
  Writing& all(const typename L::Fields& local, Site site = {})
    requires(!Covered<typename L::Fields>);
  // Every field but the token, which a publication stores behind them: the covering one, if there is one.
  template <auto Token>
    requires(FieldOf<Token, L> && Covered<typename L::Fields> == Covering<Token>)
  Writing& allBut(const typename L::Fields& local, Site site = {});
  // The same, with zero as the covering token: it covers nothing yet.
  template <auto Token>
    requires(FieldOf<Token, L> && Covering<Token>)
  Writing& allBefore(const typename L::Fields& local, Site site = {});

  // Stores the token: a process that observes this value sees everything that was written before.
  template <auto Field>
    requires(FieldOf<Field, L> && !Covering<Field>)
  Writing& publish(std::type_identity_t<ValueOf<Field>> value, Site site = {});
  // The same for a token that covers more than its own line.
  template <auto Field>
    requires(FieldOf<Field, L> && Covering<Field>)
  Writing& publish(std::type_identity_t<ValueOf<Field>> value, Written<CoverOf<Field>>&& before, Site site = {});

  // Takes a covering token back: there is nothing that it covers any more.
  template <auto Field>
    requires(FieldOf<Field, L> && Covering<Field>)
  Writing& withdraw(Site site = {});

  // Writes the line back: evidence for a token in another line that covers this one.
  Written<L> written() &&;

 private:
  friend class Publication;
  Writing(const Publication& publication, L& line, Site site);
  template <auto Field>
  void release(ValueOf<Field> value, Site site);

  L& line_;
  const bool flushed_;
  [[no_unique_address]] Site site_;
};

// Small enough to be copied: a function that keeps its own copy asks once which memory it is, and not at each verb.
class Publication {
 public:
  explicit Publication(Coherence coherence = Coherence::coherent) : flushed_(coherence == Coherence::flushed) {}

  Coherence coherence() const { return flushed_ ? Coherence::flushed : Coherence::coherent; }

  // --- Lines (line.h)

  // Changes a line: `p.on(role, line).set<&Fields::a>(1).publish<&Fields::token>(2)`.
  template <class L>
  Writing<L> on(typename L::Role, L& line, Site site = {}) const {
    return Writing<L>(*this, line, site);
  }

  // What the writer of a line wrote there itself.
  template <auto Field, class L>
    requires FieldOf<Field, L>
  ValueOf<Field> own(typename L::Role, const L& line, Site site = {}) const {
    return memory::load(line.shared_.*Field, site);
  }

  // All fields of such a line.
  template <class L>
  typename L::Fields own(typename L::Role, const L& line, Site site = {}) const {
    return words(line.shared_, site);
  }

  // Reads one field as it is now. Reads after this see everything that was written before that value was published.
  template <auto Field, class L>
    requires FieldOf<Field, L>
  ValueOf<Field> observe(const L& line, Site site = {}) const {
    refresh(&line, sizeof(line), site);
    return memory::loadAcquire(line.shared_.*Field, site);
  }

  // The same for several fields of one line, one after the other.
  template <auto... Fields, class L>
    requires(sizeof...(Fields) > 1 && (FieldOf<Fields, L> && ...))
  std::tuple<ValueOf<Fields>...> observe(const L& line, Site site = {}) const {
    refresh(&line, sizeof(line), site);
    return {memory::loadAcquire(line.shared_.*Fields, site)...};
  }

  // The same for a token that covers more than its own line.
  template <auto Field, class L>
    requires(FieldOf<Field, L> && Covering<Field>)
  Shown<ValueOf<Field>, CoverOf<Field>> observeCovering(const L& line, Site site = {}) const {
    return {observe<Field>(line, site), Seen<CoverOf<Field>>()};
  }

  // The same behind a full fence that this process made after a store of its own: of two processes that each store,
  // fence and observe the other's line, at least one sees the other's store.
  template <auto Field, class L>
    requires FieldOf<Field, L>
  ValueOf<Field> observeBehind(const Fenced&, const L& line, Site site = {}) const {
    refreshBehindFence(&line, sizeof(line), site);
    return memory::loadAcquire(line.shared_.*Field, site);
  }

  // Reads one field as it is after all loads so far: so a check after a copy covers the copy.
  template <auto Field, class L>
    requires FieldOf<Field, L>
  ValueOf<Field> observeAfterReads(const L& line, Site site = {}) const {
    if (!flushed_) [[likely]] memory::loadFence(site);
    return observe<Field>(line, site);
  }

  // Observes the token, then reads all fields, word by word: so checks and later uses see the same values. Fields other
  // than the token may be newer than it.
  template <auto Token, class L>
    requires FieldOf<Token, L>
  typename L::Fields snapshot(const L& line, Site site = {}) const {
    refresh(&line, sizeof(line), site);
    return loaded<Token>(line, site);
  }

  // The same behind a full fence that this process made after a store of its own.
  template <auto Token, class L>
    requires FieldOf<Token, L>
  typename L::Fields snapshotBehind(const Fenced&, const L& line, Site site = {}) const {
    refreshBehindFence(&line, sizeof(line), site);
    return loaded<Token>(line, site);
  }

  // The same for a token that covers more than its own line.
  template <auto Token, class L>
    requires(FieldOf<Token, L> && Covering<Token>)
  Shown<typename L::Fields, CoverOf<Token>> snapshotCovering(const L& line, Site site = {}) const {
    return {snapshot<Token>(line, site), Seen<CoverOf<Token>>()};
  }

  // All fields, each as it is now or as the token observed before says.
  template <class L>
  typename L::Fields copy(const L& line, Site site = {}) const {
    refresh(&line, sizeof(line), site);
    return words(line.shared_, site);
  }

  // --- Bytes that a token covers

  template <class Cover>
  Written<Cover> write(typename Cover::Role, Bytes<Cover> to, const void* from, Site site = {}) const {
    memory::copyIn(to.at_, from, to.count_, site);
    writeBack(to.at_, to.count_, site);
    return Written<Cover>(to.count_);
  }

  // The same in two pieces, one behind the other.
  template <class Cover>
  Written<Cover> write(typename Cover::Role, Bytes<Cover> to, const void* head, uint64_t headBytes, const void* rest,
                       Site site = {}) const {
    memory::copyIn(to.at_, head, headBytes, site);
    if (to.count_ != headBytes) memory::copyIn(to.at_ + headBytes, rest, to.count_ - headBytes, site);
    writeBack(to.at_, to.count_, site);
    return Written<Cover>(to.count_);
  }

  // JavaScript has written them.
  template <class Cover>
  Written<Cover> wrote(typename Cover::Role, Bytes<Cover> bytes, Site site = {}) const {
    writeBack(bytes.at_, bytes.count_, site);
    return Written<Cover>(bytes.count_);
  }

  template <class Cover>
  void read(void* to, Bytes<Cover> from, const Seen<Cover>&, Site site = {}) const {
    refresh(from.at_, from.count_, site);
    memory::copyOut(to, from.at_, from.count_, site);
  }

  // What the writer of the bytes wrote there itself.
  template <class Cover>
  void own(typename Cover::Role, void* to, Bytes<Cover> from, Site site = {}) const {
    memory::copyOut(to, from.at_, from.count_, site);
  }

  // For JavaScript, which loads from them itself.
  template <class Cover>
  const uint8_t* lend(Bytes<Cover> bytes, const Seen<Cover>&, Site site = {}) const {
    refresh(bytes.at_, bytes.count_, site);
    return bytes.at_;
  }

  // Where JavaScript may write, before it says `wrote`.
  template <class Cover>
  uint8_t* room(typename Cover::Role, Bytes<Cover> bytes) const {
    return bytes.at_;
  }

  // Where JavaScript looks at fields of a line between two calls, from that one on. On flushed memory the line is as this
  // host fetched it last, and what is seen justifies no read and no write. On coherent memory JavaScript may do there by
  // `Atomics` what an observation and a publication do: their loads are acquiring ones, and behind each of their stores
  // lies a full fence.
  template <auto Field, class L>
    requires FieldOf<Field, L>
  uint8_t* window(L& line) const {
    return reinterpret_cast<uint8_t*>(&(line.shared_.*Field));
  }
  template <auto Field>
  uint8_t* window(HostLine<FieldsOf<Field>>& line) const {
    return reinterpret_cast<uint8_t*>(&(line.shared_.*Field));
  }

  // --- Words of the host (HostLine)

  template <auto Field>
  ValueOf<Field> observe(const HostLine<FieldsOf<Field>>& line, Site site = {}) const {
    return memory::loadAcquire(line.shared_.*Field, site);
  }
  template <auto Field>
  ValueOf<Field> observeBehind(const Fenced&, const HostLine<FieldsOf<Field>>& line, Site site = {}) const {
    return observe<Field>(line, site);
  }
  // A plain store, of a word that only its owner sets.
  template <auto Field>
  void set(typename OwnerOf<FieldsOf<Field>>::Role, HostLine<FieldsOf<Field>>& line, std::type_identity_t<ValueOf<Field>> value,
           Site site = {}) const {
    aheadOfStore();
    memory::store(line.shared_.*Field, value, site);
  }
  // Increments a doorbell or a count of changes.
  template <auto Field>
  ValueOf<Field> ring(HostLine<FieldsOf<Field>>& line, Site site = {}) const {
    settleWriteBacks(site);
    aheadOfStore();
    return memory::increment(line.shared_.*Field, site);
  }
  // Clears a word of bits and returns them. Of several processes that take at once, one gets them.
  template <auto Field>
  uint32_t take(HostLine<FieldsOf<Field>>& line, Site site = {}) const {
    aheadOfStore();
    return memory::take(line.shared_.*Field, site);
  }
  // Sets bits of a word, or clears them, and leaves its other bits as other processes set them meanwhile. A word says which
  // process has which bits.
  template <auto Field>
  void raise(typename OwnerOf<FieldsOf<Field>>::Role, HostLine<FieldsOf<Field>>& line, uint64_t bits, Site site = {}) const {
    aheadOfStore();
    memory::raise(line.shared_.*Field, bits, site);
  }
  template <auto Field>
  void lower(typename OwnerOf<FieldsOf<Field>>::Role, HostLine<FieldsOf<Field>>& line, uint64_t bits, Site site = {}) const {
    aheadOfStore();
    memory::lower(line.shared_.*Field, bits, site);
  }
  // For the system, which sleeps on it and wakes its sleepers.
  template <auto Field>
  static const uint32_t* futexWord(const HostLine<FieldsOf<Field>>& line) {
    return &(line.shared_.*Field);
  }

  // --- Fences

  // Stores before it, and their write-backs, are visible before stores after it.
  Settled storeFence(Site site = {}) const {
    if (flushed_) [[unlikely]] {
      memory::writeBackFence(site);
    } else {
      memory::storeFence(site);
    }
    return Settled();
  }

  // Completes the write-backs, ahead of a call of the system that lets other processes see what was stored. On coherent
  // memory there are none.
  [[nodiscard]] Settled settle(Site site = {}) const {
    settleWriteBacks(site);
    return Settled();
  }

  // Loads before it are made before loads and stores after it.
  void loadFence(Site site = {}) const {
    if (flushed_) [[unlikely]] {
      memory::flushFence(site);
    } else {
      memory::loadFence(site);
    }
  }

  // Stores before it are visible before loads after it are made: both sides of every sleep need it, and both sides of
  // every cursor against a frontier.
  [[nodiscard]] Fenced fullFence(Site site = {}) const {
    if (flushed_) [[unlikely]] {
      memory::flushFence(site);
    } else {
      memory::fullFence(site);
    }
    return Fenced();
  }

 private:
  template <class L>
  friend class Writing;

  void writeBack(const void* at, size_t bytes, Site site) const {
    if (flushed_) [[unlikely]] memory::writeBack(at, bytes, site);
  }
  // So that what was written back before a token is in memory before the token is.
  void settleWriteBacks(Site site) const {
    if (flushed_) [[unlikely]] memory::writeBackFence(site);
  }
  // Drops lines that this host may have fetched before they were written: the next loads fetch them again. Only the fence
  // ahead of it keeps the invalidation behind earlier loads. If it were made ahead of the load of a token, the processor
  // could fetch the covered line again as it was before the token, and keep it.
  void refresh(const void* at, size_t bytes, Site site) const {
    if (!flushed_) [[likely]] return;
    memory::invalidationFence(site);
    memory::invalidate(at, bytes, site);
    memory::flushFence(site);
  }
  // The same where no load since the caller's fence justifies what is read.
  void refreshBehindFence(const void* at, size_t bytes, Site site) const {
    if (!flushed_) [[likely]] return;
    memory::invalidate(at, bytes, site);
    memory::flushFence(site);
  }

  // The token, then the other fields.
  template <auto Token, class L>
  static typename L::Fields loaded(const L& line, Site site) {
    const ValueOf<Token> token = memory::loadAcquire(line.shared_.*Token, site);
    // Read the token only once: a newer one would cover fields not yet synchronized with. A narrow one shares its word.
    const size_t but = sizeof(token) == sizeof(uint64_t) ? wordOf<Token>(line.shared_) : sizeof(line);
    typename L::Fields local = words(line.shared_, site, but);
    local.*Token = token;
    return local;
  }

  // Which word of the structure the field is.
  template <auto Field>
  static size_t wordOf(const FieldsOf<Field>& fields) {
    const auto* first = reinterpret_cast<const uint64_t*>(&fields);
    return static_cast<size_t>(reinterpret_cast<const uint64_t*>(&(fields.*Field)) - first);
  }

  template <class Record>
  static Record words(const Record& shared, Site site, size_t but = sizeof(Record)) {
    static_assert(sizeof(Record) % sizeof(uint64_t) == 0);
    static_assert(alignof(Record) >= alignof(uint64_t));
    const auto* from = reinterpret_cast<const uint64_t*>(&shared);
    Record local;
    // One statement a word, as in `store`: a loop would copy the words twice.
    const auto each = [&]<size_t... word>(std::index_sequence<word...>) {
      const uint64_t copied[] = {(word == but ? 0 : memory::load(from[word], site))...};
      std::memcpy(static_cast<void*>(&local), copied, sizeof(Record));
    };
    each(std::make_index_sequence<sizeof(Record) / sizeof(uint64_t)>());
    return local;
  }

  template <class Record>
  static void store(Record& shared, const Record& local, Site site, size_t but = sizeof(Record)) {
    static_assert(sizeof(Record) % sizeof(uint64_t) == 0);
    uint64_t copied[sizeof(Record) / sizeof(uint64_t)];
    std::memcpy(copied, static_cast<const void*>(&local), sizeof(Record));
    auto* to = reinterpret_cast<uint64_t*>(&shared);
    // One statement a word, which the compiler would not make of a loop with a condition.
    const auto each = [&]<size_t... word>(std::index_sequence<word...>) {
      ((word == but ? void() : (aheadOfStore(), memory::store(to[word], copied[word], site))), ...);
    };
    each(std::make_index_sequence<sizeof(Record) / sizeof(uint64_t)>());
  }

  bool flushed_;
};

}  // namespace ringfence

#include "writing.h"
