// A stack of its own, and the switch to it and back. The C library's own switch makes a system call each time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfence::explore {

class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Puts the fiber at the beginning of `run`, which must not return. What it did before is dropped, its stack with it.
  void begin(void (*run)(void*), void* data);
  // Goes on in this fiber, from the stack that `from` remembers.
  void enter(void*& from);
  // Goes back to where `to` was left, from within this fiber.
  void leave(void* to);

 private:
  static constexpr size_t stackBytes = 256 << 10;

  void* at_ = nullptr;
  uint8_t* stack_ = nullptr;  // kept for all schedules
};

}  // namespace ringfence::explore
