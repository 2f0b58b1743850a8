// Every field of every structure that lies in a region, and what may follow when it is changed from outside. The tests
// walk this table; docs/guarantees.md shows it, and a test holds it to the headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ring_layout.h"

namespace ringfence::test {

// What the ends of a log or a ring come to know of a damage. Wrong data, a false acknowledgement or a silent end is
// none of them.
enum Outcome : unsigned {
  unharmed = 0,  // nobody reads it, or whoever does has a copy of its own, or it is written again at once
  told = 1,      // a typed error: LogCorrupt, RingCorrupt, ReaderEvicted, LogLost, the end of the session, a refusal
  delayed = 2,   // waits, with a deadline that names what is waited for, or until its owner writes it again
  misnamed = 4,  // a report or a message shows a wrong name or number
};

struct DamagedField {
  const char* structure;
  const char* name;
  size_t offset;
  size_t bytes;
  size_t structureBytes;
  unsigned may;
};

const std::vector<DamagedField>& logFields();
const std::vector<DamagedField>& ringFields();

// Values that a damage may leave in a word of that many bits.
std::vector<uint64_t> damagesOf(uint64_t value, unsigned bits, uint64_t random);

}  // namespace ringfence::test
