// The linker puts these functions in front of the C library's (--wrap, see the Makefile).
#include "device_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "region/backing.h"

namespace ringfence::test {

uint64_t& refusedCalls() {
  static uint64_t calls = 0;
  return calls;
}

namespace {

bool standsForDevice(const struct stat& file) {
  const DeviceTree& tree = deviceTree();
  return tree.file != 0 && file.st_dev == tree.fileDevice && file.st_ino == tree.file;
}

bool refused(int fd) {
  struct stat file{};
  if (fstat(fd, &file) != 0 || !standsForDevice(file)) return false;
  refusedCalls() += 1;
  return true;
}

bool refused(const char* path) {
  struct stat file{};
  if (stat(path, &file) != 0 || !standsForDevice(file)) return false;
  refusedCalls() += 1;
  return true;
}

int failed(int error) {
  errno = error;
  return -1;
}

}  // namespace

}  // namespace ringfence::test

using namespace ringfence::test;

extern "C" {

ssize_t __real_pread(int fd, void* to, size_t count, off_t at);
int __real_posix_fallocate(int fd, off_t offset, off_t bytes);
int __real_ftruncate(int fd, off_t bytes);
long __real_syscall(long number, ...);

ssize_t __wrap_pread(int fd, void* to, size_t count, off_t at) {
  return refused(fd) ? failed(EINVAL) : __real_pread(fd, to, count, at);
}

int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes) {
  return refused(fd) ? ENODEV : __real_posix_fallocate(fd, offset, bytes);
}

int __wrap_ftruncate(int fd, off_t bytes) { return refused(fd) ? failed(EINVAL) : __real_ftruncate(fd, bytes); }

long __wrap_syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long argument[6];
  for (long& one : argument) one = va_arg(rest, long);
  va_end(rest);
  const bool renames = number == SYS_renameat2;
  if (renames && (refused(reinterpret_cast<const char*>(argument[1])) || refused(reinterpret_cast<const char*>(argument[3])))) {
    return failed(EINVAL);
  }
  return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

}  // extern "C"
