// A stack, and the switch to it and back. The C library's switch would make a system call each time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfence::explore {

class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes the fiber begin with `run`, which must not return. What it did before is abandoned.
  void begin(void (*run)(void*), void* data);
  // Switches to this fiber, and saves the caller's stack in `from`.
  void enter(void*& from);
  // Switches from this fiber back to the stack `to`.
  void leave(void* to);

 private:
  static constexpr size_t stackBytes = 256 << 10;

  void* at_ = nullptr;
  uint8_t* stack_ = nullptr;  // kept for all schedules
};

}  // namespace ringfence::explore
