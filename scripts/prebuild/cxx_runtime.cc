// The parts of the C++ runtime that the native module needs, so that a prebuilt module contains neither libstdc++ nor
// its requirements of the C library (its archive requires glibc 2.36, and Debian has none for musl). The module is
// built without exceptions: code that would throw ends the process, as it would with the whole runtime.
#include <sched.h>
#include <sys/auxv.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

namespace {

[[noreturn]] void endProcess(const char* why) {
  std::fprintf(stderr, "ringfence: the native memory module ends this process: %s\n", why);
  std::abort();
}

void* allocate(std::size_t bytes) {
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  endProcess("out of memory");
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes == 0 ? 1 : bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes == 0 ? 1 : bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const std::size_t unit = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit)) return memory;
  endProcess("out of memory");
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

#if defined(__aarch64__) && !defined(__GLIBC__)
// libgcc calls it to find the processor's atomic instructions; musl has only the public name.
extern "C" unsigned long __getauxval(unsigned long type) { return getauxval(type); }
#endif

extern "C" [[noreturn]] void __cxa_pure_virtual() { endProcess("a pure virtual function was called"); }

// Guards a static inside a function: the first thread initializes it, the others wait. The ABI's first byte says that
// it is initialized; the second byte, that it is being initialized.
namespace {
constexpr uint8_t made = 1;
std::atomic_ref<uint8_t> guardByte(uint64_t* guard, int byte) {
  return std::atomic_ref<uint8_t>(reinterpret_cast<uint8_t*>(guard)[byte]);
}
}  // namespace

extern "C" int __cxa_guard_acquire(uint64_t* guard) {
  while (guardByte(guard, 0).load(std::memory_order_acquire) != made) {
    if (guardByte(guard, 1).exchange(1, std::memory_order_acquire) == 0) {
      // Another thread may have initialized it between the two loads.
      if (guardByte(guard, 0).load(std::memory_order_acquire) != made) return 1;
      guardByte(guard, 1).store(0, std::memory_order_release);
      return 0;
    }
    sched_yield();
  }
  return 0;
}
// SYNC: pairs with the first load in __cxa_guard_acquire.
extern "C" void __cxa_guard_release(uint64_t* guard) {
  guardByte(guard, 0).store(made, std::memory_order_release);
  guardByte(guard, 1).store(0, std::memory_order_release);
}
extern "C" void __cxa_guard_abort(uint64_t* guard) { guardByte(guard, 1).store(0, std::memory_order_release); }

namespace std {

// As in libstdc++ without run-time type information.
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept { return false; }

[[noreturn]] void __throw_bad_alloc() { endProcess("out of memory"); }
[[noreturn]] void __throw_bad_array_new_length() { endProcess("an array of negative or enormous length"); }
[[noreturn]] void __throw_bad_function_call() { endProcess("an empty function was called"); }
[[noreturn]] void __throw_length_error(const char* what) { endProcess(what); }
[[noreturn]] void __throw_logic_error(const char* what) { endProcess(what); }
[[noreturn]] void __throw_out_of_range(const char* what) { endProcess(what); }
[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...) { endProcess(what); }
[[noreturn]] void __throw_system_error(int) { endProcess("a mutex or a thread failed"); }

}  // namespace std
