// Every field of every structure that lies in a region, and what may follow when it is changed from outside. The tests
// walk this table; docs/guarantees.md shows it, and a test holds it to the headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "region/ring_layout.h"

namespace ringfence::test {

// What the ends of a log or a ring come to know of a damage. Wrong data, a false acknowledgement or a silent end is
// none of them.
enum Outcome : unsigned {
  unharmed = 0,  // no process reads it, or the one that does has a copy of its own, or it is written again at once
  told = 1,      // a typed error: LogCorrupt, RingCorrupt, ReaderEvicted, RegionLost, the end of the session, a refusal
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

// What the creator writes, and an attachment goes by; then the log's lines, and the rings'.
const std::vector<DamagedField>& headerFields();
const std::vector<DamagedField>& logFields();
const std::vector<DamagedField>& ringFields();

// What followed one damage: the outcomes, and what must never follow.
struct Seen {
  unsigned outcome = unharmed;
  std::string wrong;
};

// What followed all damages of a table, held to what it lists: nothing else, and a field whose damage is to be told is
// told at least once, where all values were tried.
class Findings {
 public:
  void add(const DamagedField& field, const Seen& seen, uint64_t before, uint64_t value);
  // Fails the test where something was found.
  void finish(const std::vector<DamagedField>& fields) const;

 private:
  std::map<std::string, unsigned> seen_;         // by field
  std::map<std::string, std::string> problems_;  // each with the first value that showed it
};

// Values that a damage may leave in a word of that many bits; under a sanitizer some of them, others each time.
std::vector<uint64_t> damagesOf(uint64_t value, unsigned bits, uint64_t random);

}  // namespace ringfence::test
