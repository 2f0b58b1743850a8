// Memory of one schedule: allocated while it runs, and freed all at once when it is over. So the objects of a killed
// actor need no destructor.
#pragma once

#include <cstddef>

namespace ringfence::explore {

class Arena {
 public:
  // From here on `new` allocates in the arena, and `delete` ignores what lies there.
  static void open();
  // Frees everything in the arena.
  static void reset();
};

// While it exists, `new` is the ordinary one: for objects that outlive the schedule.
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
