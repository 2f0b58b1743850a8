// What holds of every store in a region, whichever protocol makes it: it lies in a line whose writer the storing process
// is, and what only rises does not fall. The types say who writes a line (region/line.h); here the process must also have
// what makes it that writer: a lock, or a claim that names it.
#pragma once

#include "model.h"

namespace ringfence::explore {

class StoreChecks {
 public:
  static void begin();
  // Ahead of each store of a schedule; ends the schedule where one does not hold. `value`: as it lies in the word.
  static void look(const Word& word, uint64_t value, bool atomic);
  // The same for bytes, which have no order.
  static void lookAtBytes(const Word& word);
};

}  // namespace ringfence::explore
