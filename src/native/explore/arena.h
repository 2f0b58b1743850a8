// Memory of one schedule: taken while it runs, and given back all at once when it is over. So what a killed actor had on
// its stack and in its objects is just dropped.
#pragma once

#include <cstddef>

namespace ringfence::explore {

class Arena {
 public:
  // From here on `new` takes from the arena, and `delete` leaves what lies there alone.
  static void open();
  // Everything that was taken is gone.
  static void reset();
};

// While it lives, `new` is the ordinary one: for what outlives the schedule.
class OutsideArena {
 public:
  OutsideArena();
  ~OutsideArena();
  OutsideArena(const OutsideArena&) = delete;
  OutsideArena& operator=(const OutsideArena&) = delete;

 private:
  bool before_;
};

}  // namespace ringfence::explore
