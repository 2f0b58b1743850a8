#include "flush.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace ringfence::memory {

namespace {

constexpr uintptr_t flushedLineBytes = 64;

template <class Each>
void eachLine(const void* at, size_t bytes, Each each) {
  if (bytes == 0) return;
  const uintptr_t end = reinterpret_cast<uintptr_t>(at) + bytes;
  for (uintptr_t line = reinterpret_cast<uintptr_t>(at) & ~(flushedLineBytes - 1); line < end; line += flushedLineBytes) {
    each(reinterpret_cast<volatile char*>(line));
  }
}

}  // namespace

#if defined(__x86_64__)

namespace {

enum class Flush { none, clflush, clflushopt, clwb };

// CPUID leaf 1: EDX bit 19 CLFSH. Leaf 7: EBX bit 23 CLFLUSHOPT, bit 24 CLWB (Intel SDM volume 2, CPUID).
Flush available() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    if ((b & 1U << 24) != 0) return Flush::clwb;
    if ((b & 1U << 23) != 0) return Flush::clflushopt;
  }
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (d & 1U << 19) != 0 ? Flush::clflush : Flush::none;
}

const Flush flush = available();

// The byte strings of the instructions, so that no assembler and no compiler option is too old for them.
void clwb(volatile char* line) { asm volatile(".byte 0x66; xsaveopt %0" : "+m"(*line) : : "memory"); }
void clflushopt(volatile char* line) { asm volatile(".byte 0x66; clflush %0" : "+m"(*line) : : "memory"); }
void clflush(volatile char* line) { asm volatile("clflush %0" : "+m"(*line) : : "memory"); }

}  // namespace

// CLWB and CLFLUSHOPT are ordered by SFENCE and MFENCE, CLFLUSH by MFENCE and with stores to its line (SDM volume 2).
void writeBackLines(const void* at, size_t bytes) {
  switch (flush) {
    case Flush::clwb: return eachLine(at, bytes, clwb);
    case Flush::clflushopt: return eachLine(at, bytes, clflushopt);
    default: return eachLine(at, bytes, clflush);
  }
}

void dropLines(const void* at, size_t bytes) {
  if (flush == Flush::clwb || flush == Flush::clflushopt) return eachLine(at, bytes, clflushopt);
  eachLine(at, bytes, clflush);
}

void orderWriteBacks() { asm volatile("sfence" : : : "memory"); }

// SFENCE orders no loads, and LFENCE no invalidation by CLFLUSHOPT: only MFENCE serves ahead of a load. And behind one:
// CLFLUSHOPT is ordered with fences and with stores to its line, and not with earlier loads.
void orderAll() { asm volatile("mfence" : : : "memory"); }
void orderLoads() { orderAll(); }

const char* flushInstructions() {
  switch (flush) {
    case Flush::clwb: return "clwb, clflushopt";
    case Flush::clflushopt: return "clflushopt";
    case Flush::clflush: return "clflush";
    case Flush::none: return nullptr;
  }
  return nullptr;
}

#elif defined(__aarch64__)

// To the point of coherency, which all observers of memory share (Arm ARM, D7.5.9). Linux lets programs use both.
void writeBackLines(const void* at, size_t bytes) {
  eachLine(at, bytes, [](volatile char* line) { asm volatile("dc cvac, %0" : : "r"(line) : "memory"); });
}
void dropLines(const void* at, size_t bytes) {
  eachLine(at, bytes, [](volatile char* line) { asm volatile("dc civac, %0" : : "r"(line) : "memory"); });
}

// Cache maintenance is complete behind a DSB only. A DMB orders it behind the loads of other lines, which it may pass
// otherwise.
void orderWriteBacks() { asm volatile("dsb sy" : : : "memory"); }
void orderAll() { asm volatile("dsb sy" : : : "memory"); }
void orderLoads() { asm volatile("dmb sy" : : : "memory"); }

const char* flushInstructions() { return "dc cvac, dc civac"; }

#else

void writeBackLines(const void*, size_t) {}
void dropLines(const void*, size_t) {}
void orderWriteBacks() {}
void orderAll() {}
void orderLoads() {}
// A region of flushed memory is neither created nor attached to here.
const char* flushInstructions() { return nullptr; }

#endif

}  // namespace ringfence::memory
