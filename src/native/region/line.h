// Shared memory by cache lines, so that a line cannot be published wrongly. What does not compile:
//   - an access that bypasses `Publication`: the fields of a line are private,
//   - a write by another role than the line's: the roles are passkeys (roles.h),
//   - a publication without the evidence that what it covers was written back,
//   - a read of covered bytes without the evidence that their token was observed.
// Types do not see stale evidence, nor what JavaScript itself stores and loads.
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

// Lines that the actor of one role writes, on one host.
template <class Fields_, class Role_>
class alignas(lineBytes) Line {
 public:
  using Fields = Fields_;
  using Role = Role_;
  static_assert(sizeof(Fields) % lineBytes == 0 && std::is_trivially_copyable_v<Fields>);

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

 private:
  friend class Publication;
  friend struct RawLine;
  Fields shared_;
};

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

// What lies outside a token's own line and may be read by whichever process observes the token. Specialised beside the
// declaration of the line, for instance `template <> struct Covers<&RingLead::position> { using Type = Frames; };`.
template <auto Field>
struct Covers {
  using Type = void;
};
template <auto Field>
using CoverOf = typename Covers<Field>::Type;
template <auto Field>
concept Covering = !std::is_void_v<CoverOf<Field>>;

// That a token which covers something of this kind was observed: the covered bytes may be read.
template <class Cover>
class Seen {
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
  void operator+=(Written&&) {}
  // What this process has seen was written back before: a token of its own may cover it too.
  static Written passedOn(const Seen<Cover>&) { return Written(); }

 private:
  friend class Publication;
  template <class L>
  friend class Writing;
  Written() = default;
};

// A token's value, with the right to read what the token covers.
template <class Value, class Cover>
struct Shown {
  Value value;
  Seen<Cover> seen;
};

// That a full fence was made behind a store: loads behind it see what was stored before the other side's fence.
class Fenced {
 private:
  friend class Publication;
  Fenced() = default;
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
