#include "address_space.h"

#include <signal.h>
#include <sys/mman.h>


#include "real_calls.h"
#include <cstdio>
#include <cstdlib>
#include <string>

#include "line_names.h"
#include "scheduler.h"

namespace ringfence::explore {

namespace {

constexpr uint64_t slotBytes = uint64_t{64} << 20;
constexpr uint64_t slots = 512;
constexpr size_t partsMax = 4;

struct Part {
  uint8_t* at;
  uint64_t bytes;
  File* file;
  uint64_t offset;
};

struct Slot {
  size_t parts;
  Part part[partsMax];  // the latest last
};

uint8_t* base = nullptr;
uint64_t used = 0;
Slot table[slots];

void onRawAccess(int, siginfo_t* info, void*) {
  if (!AddressSpace::has(info->si_addr)) {
    signal(SIGSEGV, SIG_DFL);
    return;
  }
  Spot spot;
  const bool mapped = AddressSpace::find(info->si_addr, spot);
  Scheduler& scheduler = Scheduler::now();
  const std::string what = mapped ? nameOf(spot) : "memory that is not mapped";
  scheduler.fail("raw access to " + what + ", without a verb");
}

}  // namespace

void AddressSpace::guard() {
  static uint8_t stack[64 << 10];
  const stack_t own{stack, 0, sizeof(stack)};
  sigaltstack(&own, nullptr);
  struct sigaction action{};
  action.sa_sigaction = &onRawAccess;
  // The handler leaves by a switch to another stack, so a signal that it blocked would stay blocked.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
}

void AddressSpace::begin() {
  if (base == nullptr) {
    void* reserved = __real_mmap(nullptr, slots * slotBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) std::abort();
    base = static_cast<uint8_t*>(reserved);
  }
  for (uint64_t i = 0; i < used; i += 1) table[i].parts = 0;
  used = 0;
}

uint8_t* AddressSpace::reserve(uint64_t bytes) {
  if (bytes > slotBytes || used == slots) Scheduler::now().fail("there are no addresses left");
  return base + slotBytes * used++;
}

bool AddressSpace::has(const void* at) {
  const auto* byte = static_cast<const uint8_t*>(at);
  return base != nullptr && byte >= base && byte < base + slots * slotBytes;
}

void AddressSpace::map(uint8_t* at, uint64_t bytes, File* file, uint64_t offset) {
  Slot& slot = table[static_cast<uint64_t>(at - base) / slotBytes];
  if (slot.parts == partsMax) Scheduler::now().fail("there are too many mappings in one place");
  slot.part[slot.parts++] = {at, bytes, file, offset};
}

bool AddressSpace::find(const void* address, Spot& spot) {
  if (!has(address)) return false;
  const auto* at = static_cast<const uint8_t*>(address);
  const Slot& slot = table[static_cast<uint64_t>(at - base) / slotBytes];
  for (size_t i = slot.parts; i > 0; i -= 1) {
    const Part& part = slot.part[i - 1];
    if (at < part.at || at >= part.at + part.bytes) continue;
    if (part.file == nullptr) return false;
    spot = {part.file, part.offset + static_cast<uint64_t>(at - part.at)};
    return true;
  }
  return false;
}

}  // namespace ringfence::explore
