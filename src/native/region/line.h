// Shared memory by cache lines, so that a line cannot be published wrongly. What does not compile:
//   - an access that bypasses `Publication`: the fields of a line are private,
//   - a write by another role than the line's: the roles are passkeys (roles.h),
//   - a publication without the evidence that what it covers was written back,
//   - a store of a covering token as one of all fields of its line,
//   - a read of covered bytes without the evidence that their token was observed,
//   - a copy of a line, a key or evidence made of bytes (std::bit_cast).
// Types do not see stale evidence, nor what JavaScript itself stores and loads. That evidence is used once, and is of
// some bytes, is checked while tests and the explorer run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace ringfence {

constexpr size_t lineBytes = 64;

class Publication;
template <class L>
class Writing;
struct RawLine;  // for tests, which damage lines on purpose

// Keys and evidence. They are not trivially copyable, so that none is made of bytes.
class Unforged {
 public:
  Unforged(const Unforged&) = default;
  Unforged& operator=(const Unforged&) { return *this; }

 protected:
  Unforged() = default;
};

#if defined(RINGFENCE_STEPS) || defined(RINGFENCE_MEMORY)
// In tests and the explorer: the run fails.
[[noreturn]] void evidenceFails(const char* why);

// How many bytes it is evidence of, until it is used.
class Spendable {
 public:
  explicit Spendable(uint64_t bytes) : bytes_(bytes) {}
  Spendable(Spendable&& from) noexcept : bytes_(std::exchange(from.bytes_, 0)) {}
  Spendable& operator=(Spendable&& from) noexcept {
    bytes_ = std::exchange(from.bytes_, 0);
    return *this;
  }
  void add(Spendable& more) { bytes_ += std::exchange(more.bytes_, 0); }
  void spend() {
    if (std::exchange(bytes_, 0) == 0) evidenceFails("evidence of nothing, or used before");
  }

 private:
  uint64_t bytes_;
};
#else
class Spendable {
 public:
  explicit Spendable(uint64_t) {}
  Spendable(Spendable&&) noexcept {}
  Spendable& operator=(Spendable&&) noexcept { return *this; }
  void add(Spendable&) {}
  void spend() {}
};
#endif

// Lines that the actor of one role writes, on one host.
template <class Fields_, class Role_>
class alignas(lineBytes) Line {
 public:
  using Fields = Fields_;
  using Role = Role_;
  static_assert(sizeof(Fields) % lineBytes == 0 && std::is_trivially_copyable_v<Fields>);
  Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

 private:
  friend class Publication;
  friend class Writing<Line>;
  friend struct RawLine;
  Fields shared_;
};

// A line of the host's own, coherent on every memory: words that several processes change, each in one atomic step.
template <class Fields_>
class alignas(lineBytes) HostLine {
 public:
  using Fields = Fields_;
  static_assert(sizeof(Fields) % lineBytes == 0 && std::is_trivially_copyable_v<Fields>);
  HostLine() = default;
  HostLine(const HostLine&) = delete;
  HostLine& operator=(const HostLine&) = delete;

 private:
  friend class Publication;
  friend struct RawLine;
  Fields shared_;
};

// Of a line of the host with a word that one process sets by a plain store: who that is. Specialised beside the line.
template <class Fields>
struct OwnerOf;

namespace line {

template <class Field>
struct Member;
template <class Fields_, class Value_>
struct Member<Value_ Fields_::*> {
  using Fields = Fields_;
  using Value = Value_;
};

}  // namespace line

// Of a pointer to a member: the structure, and the type of the field.
template <auto Field>
using FieldsOf = typename line::Member<decltype(Field)>::Fields;
template <auto Field>
using ValueOf = typename line::Member<decltype(Field)>::Value;

template <auto Field, class L>
concept FieldOf = requires { typename L::Role; } && std::is_same_v<FieldsOf<Field>, typename L::Fields>;

// Which field of a line is a token that covers what lies outside the line, and what that is: a process that observes the
// token may read it. Specialised beside the declaration of the fields, for instance
// `template <> struct Covers<RingLead> : Token<&RingLead::position, Frames> {};`.
template <auto Field, class Cover>
struct Token {
  static constexpr auto field = Field;
  using Type = Cover;
};
struct NoToken {};
template <class Fields>
struct Covers : NoToken {};

template <class Fields>
concept Covered = !std::is_base_of_v<NoToken, Covers<Fields>>;

namespace line {

template <auto Field>
constexpr bool isToken() {
  if constexpr (Covered<FieldsOf<Field>>) {
    using Declared = std::remove_cv_t<decltype(Covers<FieldsOf<Field>>::field)>;
    if constexpr (std::is_same_v<Declared, std::remove_cv_t<decltype(Field)>>) return Covers<FieldsOf<Field>>::field == Field;
  }
  return false;
}

}  // namespace line

template <auto Field>
concept Covering = line::isToken<Field>();
template <auto Field>
  requires Covering<Field>
using CoverOf = typename Covers<FieldsOf<Field>>::Type;

// That a token which covers something of this kind was observed: the covered bytes may be read.
template <class Cover>
class Seen : Unforged {
 private:
  friend class Publication;
  Seen() = default;
};

// That something of this kind was written, and written back where the memory needs it: a token that covers it may be
// published. Evidence of several writes is added up.
template <class Cover>
class [[nodiscard]] Written {
 public:
  Written(Written&&) = default;
  Written& operator=(Written&&) = default;
  void operator+=(Written&& more) { bytes_.add(more.bytes_); }
  // What this process has seen was written back before: a token of its own may cover it too. Only of what is passed on.
  template <class C = Cover>
  static Written passedOn(typename C::Passer, const Seen<C>&) requires(std::is_same_v<C, Cover>)
  {
    return Written(1);
  }

 private:
  friend class Publication;
  template <class L>
  friend class Writing;
  explicit Written(uint64_t bytes) : bytes_(bytes) {}
  [[no_unique_address]] Spendable bytes_;
};

// A token's value, with the right to read what the token covers.
template <class Value, class Cover>
struct Shown {
  Value value;
  Seen<Cover> seen;
};

// That a full fence was made behind a store: loads behind it see what was stored before the other side's fence.
class Fenced : Unforged {
 private:
  friend class Publication;
  Fenced() = default;
};

// That the write-backs of this thread are complete. A call of the system orders none: one that shows other processes what
// this thread stored (a lock that is released, a file that gets its name) comes behind them.
class Settled : Unforged {
 private:
  friend class Publication;
  Settled() = default;
};

// Bytes that a token covers: frames of a ring, payload of a lane. They may share a line with bytes written before.
template <class Cover>
class Bytes {
 public:
  // For those that map the memory: RingMemory and Region.
  template <class Maker>
  static Bytes of(const Maker&, uint8_t* at, uint64_t count) requires(std::is_same_v<typename Cover::Maker, Maker>)
  {
    return Bytes(at, count);
  }
  // Bytes [from, from + count) of these.
  Bytes part(uint64_t from, uint64_t count) const { return Bytes(at_ + from, count); }
  uint64_t count() const { return count_; }

 private:
  friend class Publication;
  friend struct RawLine;
  Bytes(uint8_t* at, uint64_t count) : at_(at), count_(count) {}
  uint8_t* at_;
  uint64_t count_;
};

}  // namespace ringfence
