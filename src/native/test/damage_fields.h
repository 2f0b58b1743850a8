// Every field of every structure in a region, and the allowed outcomes when it is changed from outside. The tests walk
// this table; docs/guarantees.md shows it, and a test compares it with the headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "region/ring_layout.h"

namespace ringfence::test {

// The outcomes of a damage at the ends of a log or a ring. Wrong data, a false acknowledgement and a silent end are
// never allowed.
enum Outcome : unsigned {
  unharmed = 0,  // no process reads it, its reader has a copy of its own, or its writer rewrites it at once
  told = 1,      // a typed error: LogCorrupt, RingCorrupt, ReaderEvicted, RegionLost, the end of the session, a refusal
  delayed = 2,   // a wait, until a deadline that names what it waits for, or until the field's owner rewrites it
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

// The fields that the creator writes and an attachment relies on; then those of the log, those that it has only for
// topics of order `none`, those of named cursors, and those of the rings.
const std::vector<DamagedField>& headerFields();
const std::vector<DamagedField>& logFields();
const std::vector<DamagedField>& laneFields();
const std::vector<DamagedField>& cursorFields();
const std::vector<DamagedField>& ringFields();

// The outcomes of one damage, and a forbidden one if it occurred.
struct Seen {
  unsigned outcome = unharmed;
  std::string wrong;
};

// A word of a structure, changed from outside.
struct Damage {
  size_t offset;
  unsigned bytes;
  uint64_t before;
  uint64_t value;

  void make(uint8_t* structure) const { std::memcpy(structure + offset, &value, bytes); }
  void undo(uint8_t* structure) const { std::memcpy(structure + offset, &before, bytes); }
};

// The outcomes of all damages of a table, compared with the table: no other outcome occurs, and if all values were
// tried, a field listed as told is told at least once.
class Findings {
 public:
  void add(const DamagedField& field, const Seen& seen, const Damage& damage);
  // Fails the test if there are findings.
  void finish(const std::vector<DamagedField>& fields) const;

 private:
  std::map<std::string, unsigned> seen_;         // by field
  std::map<std::string, std::string> problems_;  // by field, with the first value that showed the problem
};

// Values that a damage may leave in a word of that many bits; under a sanitizer a random few of them.
std::vector<uint64_t> damagesOf(uint64_t value, unsigned bits, uint64_t random);

// All damages of a field that are tried, word by word, of the structure as it stands there.
template <class Random>
std::vector<Damage> damagesIn(const DamagedField& field, const uint8_t* structure, Random& random) {
  std::vector<Damage> all;
  const unsigned bytes = static_cast<unsigned>(field.bytes < 8 ? field.bytes : 8);
  for (size_t at = 0; at < field.bytes; at += bytes) {
    uint64_t before = 0;
    std::memcpy(&before, structure + field.offset + at, bytes);
    for (const uint64_t value : damagesOf(before, 8 * bytes, random.next())) {
      all.push_back({field.offset + at, bytes, before, value});
    }
  }
  return all;
}

}  // namespace ringfence::test
