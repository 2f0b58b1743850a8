// The operating system of a schedule. The linker puts these functions in place of the C library's (--wrap, see the
// Makefile), so that the code under test is what production runs, down to its calls: files and their names, locks that
// die with their process, sleeping on a word, threads, mutexes, the clock.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

#include "address_space.h"
#include "coverage.h"
#include "line_names.h"
#include "memory.h"
#include "model.h"
#include "real_calls.h"
#include "sleepers.h"
#include "trace.h"

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

namespace ringfence::explore {

namespace {

constexpr dev_t deviceOfAll = 7;
constexpr ino_t pidNamespaceOfAll = 4;
constexpr const char* descriptorLinks = "/proc/self/fd/";

Process* process() { return Scheduler::now().currentProcess(); }

// A call that others may notice: the schedule may do something else first.
void enter(const char* name) {
  makeDelayedStores();
  Coverage::call(name);
  Scheduler::now().step({Step::call, true});
}

int failed(int error) {
  errno = error;
  return -1;
}

void describe(const File& file, struct stat* at) {
  *at = {};
  at->st_dev = deviceOfAll;
  at->st_ino = file.id + 1;
  at->st_mode = (file.isFifo ? S_IFIFO : S_IFREG) | 0600;
  at->st_uid = geteuid();
  at->st_nlink = file.name.empty() ? 0 : 1;
  at->st_gid = getegid();
  at->st_size = static_cast<off_t>(file.isFifo ? 0 : file.bytes);
}

int openFile(const char* path, int flags) {
  const std::string name(path);
  if (name == "/dev/urandom") return Files::open(nullptr).fd;
  if (name.rfind(descriptorLinks, 0) == 0) {
    Opened* opened = Files::opened(std::atoi(path + std::strlen(descriptorLinks)));
    return opened == nullptr ? failed(ENOENT) : Files::open(opened->file).fd;
  }
  if (name.rfind("/proc/", 0) == 0) return failed(ENOENT);
  enter("open");
  File* file = Files::named(name);
  if (file != nullptr && (flags & O_EXCL) != 0) return failed(EEXIST);
  if (file == nullptr && (flags & O_CREAT) == 0) return failed(ENOENT);
  if (file == nullptr) file = &Files::make(name);
  const int access = flags & O_ACCMODE;
  if (file->isFifo && process()->isElsewhere) return failed(ENOENT);
  if (file->isFifo && access == O_WRONLY && !Files::isRead(*file)) return failed(ENXIO);
  Trace::call("opens " + name);
  Opened& opened = Files::open(file);
  opened.reads = file->isFifo && access != O_WRONLY;
  return opened.fd;
}

// So few that a schedule meets a full one.
constexpr uint64_t fifoBytes = 2;

long writeFifo(Opened& opened) {
  enter("write");
  File& fifo = *opened.file;
  if (!Files::isRead(fifo)) return failed(EPIPE);
  Trace::call(fifo.bytes == fifoBytes ? "finds the FIFO full" : "writes to the FIFO " + fifo.name);
  if (fifo.bytes == fifoBytes) return failed(EAGAIN);
  Model::now().releaseOfSystem();
  fifo.bytes += 1;
  Sleepers::arrived(fifo);
  return 1;
}

long readFifo(Opened& opened) {
  enter("read");
  File& fifo = *opened.file;
  const uint64_t got = fifo.bytes;
  Trace::call("reads " + std::to_string(got) + " from the FIFO");
  fifo.bytes = 0;
  Model::now().acquireOfSystem(Model::now().time());
  return got == 0 ? failed(EAGAIN) : static_cast<long>(got);
}

int lock(Opened& opened, int command, struct flock* lock) {
  const int64_t byte = lock->l_start;
  Model& model = Model::now();
  File& file = *opened.file;
  if (command == F_OFD_GETLK) {
    enter("look at a lock");
    const bool held = Files::lockHeld(opened, byte);
    Trace::call(std::string(held ? "finds held " : "finds free ") + nameOfLock(byte));
    if (!held) {
      model.acquireOfSystem(Files::freedAt(file, byte));
      lock->l_type = F_UNLCK;
    }
    return 0;
  }
  if (lock->l_type == F_UNLCK) {
    enter("unlock");
    Trace::call("unlocks " + nameOfLock(byte));
    model.releaseOfSystem();
    Files::unlock(opened, byte);
    return 0;
  }
  enter("lock");
  const bool had = Files::tryLock(opened, byte, lock->l_type == F_RDLCK);
  Trace::call((had ? "locks " : "does not get ") + nameOfLock(byte));
  if (!had) return failed(EAGAIN);
  model.acquireOfSystem(Files::freedAt(file, byte));
  return 0;
}

long sleepOn(const uint32_t* at, uint32_t expected, const timespec* limit) {
  enter("sleep on a word");
  Scheduler& scheduler = Scheduler::now();
  Spot spot;
  if (!AddressSpace::find(at, spot)) return failed(EFAULT);
  Model::now().fenceOfSystem();
  const uint64_t shift = 8 * (spot.offset % 8);
  const Word word{spot.file, spot.offset & ~uint64_t{7}, uint64_t{0xffffffff} << shift};
  if (static_cast<uint32_t>(Model::now().peek(word) >> shift) != expected) return failed(EAGAIN);
  if (!scheduler.exploring()) return 0;
  Trace::call("sleeps on " + nameOf(spot));
  const uint64_t nanos = limit == nullptr ? never : static_cast<uint64_t>(limit->tv_sec) * 1'000'000'000U + static_cast<uint64_t>(limit->tv_nsec);
  const bool woken = Sleepers::sleep(spot, limit == nullptr ? never : scheduler.clock() + nanos);
  Trace::call(woken ? "wakes" : "wakes, as its time is over");
  Model::now().fenceOfSystem();
  return woken ? 0 : failed(ETIMEDOUT);
}

long wakeAt(const uint32_t* at) {
  enter("wake");
  Spot spot;
  if (!AddressSpace::find(at, spot)) return failed(EFAULT);
  Model::now().fenceOfSystem();
  const uint32_t count = Sleepers::wake(spot);
  Trace::call("wakes " + std::to_string(count) + " at " + nameOf(spot));
  return count;
}

long renameFile(const char* from, const char* to) {
  enter("rename");
  File* file = Files::named(from);
  if (file == nullptr) return failed(ENOENT);
  if (Files::named(to) != nullptr) return failed(EEXIST);
  Model::now().releaseOfSystem();
  file->name = to;
  Trace::call(std::string("names it ") + to);
  return 0;
}

uint64_t bytesRead(Opened& opened, void* to, uint64_t count, uint64_t at) {
  auto* bytes = static_cast<uint8_t*>(to);
  if (opened.file == nullptr) {  // of the random device: the same in each schedule
    for (uint64_t i = 0; i < count; i += 1) bytes[i] = static_cast<uint8_t>(17 + opened.fd * 31 + static_cast<int>(i) * 7);
    return count;
  }
  if (at >= opened.file->bytes) return 0;
  const uint64_t there = std::min(count, opened.file->bytes - at);
  for (uint64_t i = 0; i < there; i += 1) {
    const uint64_t shift = 8 * ((at + i) % 8);
    const Word word{opened.file, (at + i) & ~uint64_t{7}, uint64_t{0xff} << shift};
    bytes[i] = static_cast<uint8_t>(Model::now().known(word) >> shift);
  }
  return there;
}

struct Begun {
  void* (*run)(void*);
  void* data;
};

}  // namespace

}  // namespace ringfence::explore

using namespace ringfence::explore;

extern "C" {

int __real_fcntl(int fd, int command, ...);
int __real_close(int fd);
int __real_fstat(int fd, struct stat* at);
int __real_clock_gettime(clockid_t clock, timespec* at);
long __real_syscall(long number, ...);
ssize_t __real_read(int fd, void* to, size_t count);
ssize_t __real_write(int fd, const void* from, size_t count);

int __wrap_open(const char* path, int flags, ...) { return openFile(path, flags); }

int __wrap_close(int fd) {
  Opened* opened = Files::opened(fd);
  if (opened == nullptr) return process() == nullptr ? __real_close(fd) : failed(EBADF);
  if (opened->file != nullptr) {
    enter("close");
    Model::now().releaseOfSystem();
    Trace::call("closes the file");
  }
  Files::close(*opened);
  return 0;
}

int __wrap_fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  Opened* opened = Files::opened(fd);
  if (opened == nullptr || opened->file == nullptr) return process() == nullptr ? __real_fcntl(fd, command, argument) : failed(EBADF);
  if (command != F_OFD_GETLK && command != F_OFD_SETLK) return 0;
  return lock(*opened, command, static_cast<struct flock*>(argument));
}

int __wrap_fstat(int fd, struct stat* at) {
  Opened* opened = Files::opened(fd);
  if (opened == nullptr || opened->file == nullptr) return process() == nullptr ? __real_fstat(fd, at) : failed(EBADF);
  enter("fstat");
  describe(*opened->file, at);
  return 0;
}

int __wrap_stat(const char* path, struct stat* at) {
  if (std::strcmp(path, "/proc/self/ns/pid") == 0) {
    *at = {};
    at->st_ino = pidNamespaceOfAll;
    return 0;
  }
  enter("stat");
  const std::string name(path);
  if (name.back() == '/') {
    *at = {};
    at->st_dev = deviceOfAll;
    at->st_mode = S_IFDIR | 0700;
    return 0;
  }
  const File* file = Files::named(name);
  if (file == nullptr) return failed(ENOENT);
  describe(*file, at);
  return 0;
}

int __wrap_access(const char* path, int) {
  enter("access");
  return Files::named(path) == nullptr ? failed(ENOENT) : 0;
}

int __wrap_unlink(const char* path) {
  enter("unlink");
  File* file = Files::named(path);
  if (file == nullptr) return failed(ENOENT);
  Trace::call(std::string("removes the name ") + path);
  file->name.clear();
  return 0;
}

int __wrap_mkfifo(const char* path, mode_t) {
  enter("mkfifo");
  if (Files::named(path) != nullptr) return failed(EEXIST);
  Files::make(path).isFifo = true;
  Trace::call(std::string("makes the FIFO ") + path);
  return 0;
}

ssize_t __wrap_write(int fd, const void* from, size_t count) {
  Opened* opened = Files::opened(fd);
  if (opened == nullptr) return process() == nullptr ? __real_write(fd, from, count) : failed(EBADF);
  return opened->file->isFifo ? writeFifo(*opened) : failed(ENOSYS);
}

int __wrap_poll(pollfd* polled, nfds_t, int millis) {
  enter("poll");
  Opened* opened = Files::opened(polled->fd);
  if (opened == nullptr) return failed(EBADF);
  Scheduler& scheduler = Scheduler::now();
  Model::now().fenceOfSystem();
  const bool arrived = Sleepers::poll(*opened->file, scheduler.clock() + static_cast<uint64_t>(millis) * 1'000'000U);
  Trace::call(arrived ? "finds bytes in its FIFO" : "finds its FIFO empty");
  Model::now().fenceOfSystem();
  return arrived ? 1 : 0;
}

DIR* __wrap_opendir(const char*) { return nullptr; }

void* __wrap_mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (process() == nullptr) return __real_mmap(at, bytes, protection, flags, fd, offset);
  const bool fixed = (flags & MAP_FIXED) != 0;
  uint8_t* place = fixed ? static_cast<uint8_t*>(at) : AddressSpace::reserve(bytes);
  File* file = nullptr;
  if (fd >= 0) {
    Opened* opened = Files::opened(fd);
    if (opened == nullptr || opened->file == nullptr) return failed(EBADF), MAP_FAILED;
    file = opened->file;
  } else if (protection != PROT_NONE) {
    file = &Files::make("");
    Files::resize(*file, bytes);
  }
  if (file != nullptr) AddressSpace::map(place, bytes, file, static_cast<uint64_t>(offset));
  return place;
}

int __wrap_munmap(void*, size_t) { return 0; }
int __wrap_madvise(void*, size_t, int) { return 0; }

int __wrap_memfd_create(const char*, unsigned) { return Files::open(&Files::make("")).fd; }

int __wrap_posix_fallocate(int fd, off_t offset, off_t bytes) {
  Opened* opened = Files::opened(fd);
  if (opened == nullptr) return EBADF;
  // The file gets all memory up to its new end at once.
  Files::resize(*opened->file, static_cast<uint64_t>(offset + bytes));
  return 0;
}

int __wrap_fstatvfs(int, struct statvfs*) { return failed(ENOSYS); }
int __wrap_fchmod(int, mode_t) { return 0; }
int __wrap_fchown(int, uid_t, gid_t) { return 0; }

ssize_t __wrap_read(int fd, void* to, size_t count) {
  Opened* opened = Files::opened(fd);
  if (opened == nullptr) return process() == nullptr ? __real_read(fd, to, count) : failed(EBADF);
  if (opened->file != nullptr && opened->file->isFifo) return readFifo(*opened);
  const uint64_t got = bytesRead(*opened, to, count, opened->at);
  opened->at += got;
  return static_cast<ssize_t>(got);
}

ssize_t __wrap_pread(int fd, void* to, size_t count, off_t at) {
  Opened* opened = Files::opened(fd);
  if (opened == nullptr) return failed(EBADF);
  enter("pread");
  return static_cast<ssize_t>(bytesRead(*opened, to, count, static_cast<uint64_t>(at)));
}

pid_t __wrap_getpid() { return process() == nullptr ? 1 : static_cast<pid_t>(100 + process()->id); }

int __wrap_clock_gettime(clockid_t clock, timespec* at) {
  if (process() == nullptr) return __real_clock_gettime(clock, at);
  const uint64_t nanos = Scheduler::now().clock();
  *at = {static_cast<time_t>(nanos / 1'000'000'000), static_cast<long>(nanos % 1'000'000'000)};
  return 0;
}

std::chrono::steady_clock::time_point __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(Scheduler::now().clock()));
}

int __wrap_usleep(useconds_t micros) {
  Scheduler::now().giveWay(uint64_t{micros} * 1000);
  return 0;
}

long __wrap_syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long argument[6];
  for (long& one : argument) one = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_futex) {
    const auto* word = reinterpret_cast<const uint32_t*>(argument[0]);
    if (argument[1] != FUTEX_WAIT) return wakeAt(word);
    return sleepOn(word, static_cast<uint32_t>(argument[2]), reinterpret_cast<const timespec*>(argument[3]));
  }
  if (number == SYS_renameat2) {
    return renameFile(reinterpret_cast<const char*>(argument[1]), reinterpret_cast<const char*>(argument[3]));
  }
  return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

int __wrap_pthread_create(pthread_t* id, const pthread_attr_t*, void* (*run)(void*), void* data) {
  Scheduler& scheduler = Scheduler::now();
  const Begun begun{run, data};
  Actor& actor = scheduler.actor(*process(), process()->name + "'s thread", [begun] { begun.run(begun.data); }, true);
  if (scheduler.exploring()) Model::now().begun(actor);
  *id = static_cast<pthread_t>(actor.id + 1);
  return 0;
}

int __wrap_pthread_join(pthread_t id, void**) {
  Sleepers::awaitEnd(*Scheduler::now().actors()[id - 1]);
  return 0;
}

int __wrap_pthread_detach(pthread_t) { return 0; }

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  Sleepers::lockMutex(mutex);
  Model::now().acquireOfSystem(Model::now().time());
  return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  makeDelayedStores();
  Model::now().releaseOfSystem();
  Sleepers::unlockMutex(mutex);
  return 0;
}

}  // extern "C"
