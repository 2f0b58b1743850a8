// Lines whose last word is a checksum of the others, because other processes rely on them. If the two disagree, the
// line is being written or was damaged, and its reader keeps the values that it read before. The sequencer rewrites its
// lines ten times a second, so that damage does not last.
//
// A line that a successor of the sequencer reads exists twice. Its spare is written first: so a process that has seen any
// word of a new value, and not only the value under its seal, has seen what the spare holds, and a sequencer that is
// killed between two stores leaves one of the two whole.
#pragma once

#include <cstring>

#include "publication.h"
#include "token.h"

namespace ringfence {

template <class Line>
uint64_t sealOf(const Line& line) {
  static_assert(offsetof(Line, seal) == sizeof(Line) - sizeof(uint64_t));
  // Zero seals a line of zeros: a line that was never written is valid and empty.
  static const Line nothing{};
  static const uint64_t none = crc32c(&nothing, offsetof(Line, seal));
  return (crc32c(&line, offsetof(Line, seal)) ^ none) * 0x9e3779b97f4a7c15ULL;
}

// Fields with their seal: made once, though a line is written twice.
template <class Fields>
class Sealed {
 public:
  explicit Sealed(const Fields& fields) : fields_(fields) { fields_.seal = sealOf(fields_); }
  const Fields& fields() const { return fields_; }

 private:
  Fields fields_;
};

// SYNC: observes the seal before the fields that were published with it. False when they disagree.
template <class Fields, class Role>
bool readSealed(const Publication& p, const Line<Fields, Role>& shared, Fields& local) {
  local = p.template snapshot<&Fields::seal>(shared);
  return sealOf(local) == local.seal;
}

// The same behind the fence that this process made after a publication of its own.
template <class Fields, class Role>
bool readSealed(const Publication& p, const Fenced& fenced, const Line<Fields, Role>& shared, Fields& local) {
  local = p.template snapshotBehind<&Fields::seal>(fenced, shared);
  return sealOf(local) == local.seal;
}

// SYNC: writes the fields, and publishes the seal last; pairs with the observe in readSealed.
template <class Fields, class Role>
void publishSealed(const Publication& p, Role role, Line<Fields, Role>& shared, const Sealed<Fields>& sealed) {
  const Fields& fields = sealed.fields();
  p.on(role, shared).template allBut<&Fields::seal>(fields).template publish<&Fields::seal>(fields.seal);
}

// Writes the spare. The caller writes the line itself next, which other processes read.
// SYNC: fences ahead of the spare and behind it, so that the two are never torn at once; pairs with readEither.
template <class Fields, class Role>
void publishSpare(const Publication& p, Role role, Line<Fields, Role>& spare, const Sealed<Fields>& sealed) {
  static_cast<void>(p.storeFence());
  publishSealed(p, role, spare, sealed);
  static_cast<void>(p.storeFence());
}

template <class Fields, class Role>
void publishTwice(const Publication& p, Role role, Line<Fields, Role>& shared, Line<Fields, Role>& spare,
                  const Sealed<Fields>& sealed) {
  publishSpare(p, role, spare, sealed);
  publishSealed(p, role, shared, sealed);
}

// What the line says, or its spare where the line is torn. Both may be torn where the writer has overtaken this look: it has
// written the line to its end by then, and its spare anew. So both were damaged if two looks in a row find them torn, and
// the same. `readLine` and `readSpare` read one each, and tell whether it is whole.
// SYNC: fences between two looks: the second one sees what was written ahead of each word that the first has read.
template <class Fields, class ReadLine, class ReadSpare>
bool eitherWhole(const Publication& p, Fields& local, ReadLine readLine, ReadSpare readSpare) {
  constexpr int looks = 64;  // at lines that change with each look
  Fields line{}, spare{};
  for (int look = 0; look < looks; look += 1) {
    if (readLine(local)) return true;
    const bool sameLine = look != 0 && std::memcmp(&line, &local, sizeof(local)) == 0;
    line = local;
    if (readSpare(local)) return true;
    if (sameLine && std::memcmp(&spare, &local, sizeof(local)) == 0) return false;
    spare = local;
    p.loadFence();
  }
  return false;
}

template <class Fields, class Role>
bool readEither(const Publication& p, const Line<Fields, Role>& shared, const Line<Fields, Role>& spare, Fields& local) {
  return eitherWhole(
      p, local, [&](Fields& to) { return readSealed(p, shared, to); }, [&](Fields& to) { return readSealed(p, spare, to); });
}

// The same behind the fence that this process made after a publication of its own.
template <class Fields, class Role>
bool readEither(const Publication& p, const Fenced& fenced, const Line<Fields, Role>& shared, const Line<Fields, Role>& spare,
                Fields& local) {
  return eitherWhole(
      p, local, [&](Fields& to) { return readSealed(p, fenced, shared, to); },
      [&](Fields& to) { return readSealed(p, spare, to); });
}

}  // namespace ringfence
