// The operating system itself, for the explorer's own needs: all other calls of it are simulated (system_calls.cc).
#pragma once

#include <sys/types.h>

#include <cstddef>

extern "C" {
void* __real_mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset);
}
