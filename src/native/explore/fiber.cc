#include "fiber.h"

#include <sys/mman.h>


#include "real_calls.h"
#include <cstdio>
#include <cstdlib>

// Saves the registers that a call must preserve and the stack pointer, then restores those saved at `to`.
extern "C" void ringfenceSwitch(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
.text
.globl ringfenceSwitch
.type ringfenceSwitch, @function
ringfenceSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ringfenceSwitch, .-ringfenceSwitch

.globl ringfenceBegin
.type ringfenceBegin, @function
ringfenceBegin:
  movq %r12, %rdi
  callq *%rbx
  ud2
.size ringfenceBegin, .-ringfenceBegin
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl ringfenceSwitch
.type ringfenceSwitch, %function
ringfenceSwitch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size ringfenceSwitch, .-ringfenceSwitch

.globl ringfenceBegin
.type ringfenceBegin, %function
ringfenceBegin:
  mov x0, x20
  blr x19
  brk #0
.size ringfenceBegin, .-ringfenceBegin
)");
#else
#error "the explorer's fibers know x86-64 and arm64"
#endif

extern "C" void ringfenceBegin();

namespace ringfence::explore {

void Fiber::begin(void (*run)(void*), void* data) {
  if (stack_ == nullptr) {
    constexpr size_t guardBytes = 4096;
    void* reserved = __real_mmap(nullptr, stackBytes + guardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED || mprotect(reserved, guardBytes, PROT_NONE) != 0) {
      std::perror("no memory for a stack");
      std::abort();
    }
    stack_ = static_cast<uint8_t*>(reserved) + guardBytes;
  }
  auto* top = reinterpret_cast<uint64_t*>(stack_ + stackBytes);
#if defined(__x86_64__)
  top -= 2;
  *--top = reinterpret_cast<uint64_t>(&ringfenceBegin);  // where the switch returns to
  *--top = 0;                                            // rbp
  *--top = reinterpret_cast<uint64_t>(run);              // rbx
  *--top = reinterpret_cast<uint64_t>(data);             // r12
  for (int i = 0; i < 3; i += 1) *--top = 0;             // r13 to r15
#else
  top -= 20;
  for (int i = 0; i < 20; i += 1) top[i] = 0;
  top[0] = reinterpret_cast<uint64_t>(run);               // x19
  top[1] = reinterpret_cast<uint64_t>(data);              // x20
  top[11] = reinterpret_cast<uint64_t>(&ringfenceBegin);  // x30
#endif
  at_ = top;
}

void Fiber::enter(void*& from) { ringfenceSwitch(&from, at_); }

void Fiber::leave(void* to) { ringfenceSwitch(&at_, to); }

}  // namespace ringfence::explore
