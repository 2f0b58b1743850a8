// Checks every store to a region, of any protocol: the storing process is the writer of the line, and a value that only
// rises does not fall. The types say who writes a line (region/line.h); here the process must also hold what makes it
// that writer: a lock, or a claim that names it.
#pragma once

#include "model.h"

namespace ringfence::explore {

class StoreChecks {
 public:
  static void begin();
  // Called ahead of each store of a schedule, which fails where a rule is broken. `value`: as it lies in the word.
  static void look(const Word& word, uint64_t value, bool publishes, bool atomic);
  // The same for bytes, which are checked for their writer alone.
  static void lookAtBytes(const Word& word);
};

}  // namespace ringfence::explore
