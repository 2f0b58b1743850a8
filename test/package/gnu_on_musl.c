// What Debian's libstdc++ and libgcc_s ask of glibc and musl does not have, so that a runtime built for musl, which
// needs both, runs beside the glibc of the machine that tests. Only the test of the package loads it.
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded = 0;

// libgcc's table of what the processor can: all zero claims nothing.
struct {
  unsigned vendor, type, subtype, features[1];
} __cpu_model;

int __cpu_indicator_init(void) { return 0; }

// Destructors of a thread's variables do not run: the processes of this test end whole.
int __cxa_thread_atexit_impl(void (*destructor)(void*), void* object, void* library) {
  (void)destructor, (void)object, (void)library;
  return 0;
}

size_t __strftime_l(char* to, size_t bytes, const char* format, const struct tm* time, locale_t locale) {
  (void)locale;
  return strftime(to, bytes, format, time);
}

uint32_t arc4random(void) {
  uint32_t value = 0;
  getrandom(&value, sizeof value, 0);
  return value;
}

unsigned long __getauxval(unsigned long type) { return getauxval(type); }

// glibc's dl_find_object(3), by which libgcc finds the unwind table of an address.
struct object {
  unsigned long long flags;
  void *start, *end;
  struct link_map* map;
  void* unwind_table;
  unsigned long long reserved[7];
};

struct search {
  uintptr_t address;
  struct object* object;
  int found;
};

static int holds(struct dl_phdr_info* info, size_t bytes, void* data) {
  struct search* search = data;
  uintptr_t start = UINTPTR_MAX, end = 0, table = 0;
  (void)bytes;
  for (int i = 0; i < info->dlpi_phnum; i += 1) {
    const ElfW(Phdr)* segment = &info->dlpi_phdr[i];
    const uintptr_t at = info->dlpi_addr + segment->p_vaddr;
    if (segment->p_type == PT_GNU_EH_FRAME) table = at;
    if (segment->p_type != PT_LOAD) continue;
    if (at < start) start = at;
    if (at + segment->p_memsz > end) end = at + segment->p_memsz;
  }
  if (search->address < start || search->address >= end) return 0;
  memset(search->object, 0, sizeof *search->object);
  search->object->start = (void*)start;
  search->object->end = (void*)end;
  search->object->unwind_table = (void*)table;
  search->found = table != 0;
  return 1;
}

int _dl_find_object(void* address, struct object* object) {
  struct search search = {(uintptr_t)address, object, 0};
  dl_iterate_phdr(holds, &search);
  return search.found ? 0 : -1;
}
