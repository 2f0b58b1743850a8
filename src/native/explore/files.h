// The files of the simulated system: their contents, names, descriptors and locks, and the sleepers on their words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler.h"

namespace ringfence::explore {

struct Opened;

struct Lock {
  int64_t byte;
  bool shared;
  Opened* by;
};

// When a lock was released last, in the memory model's time.
struct Freed {
  int64_t byte;
  uint64_t time;
};

struct File {
  uint32_t id;
  uint64_t bytes = 0;
  void** lines = nullptr;  // the memory model's, a pointer for each line of 64 bytes
  std::string name;        // empty once it is unlinked
  bool isFifo = false;     // then `bytes` are those that wait to be read
  std::vector<Lock> locks;
  std::vector<Freed> freed;
};

struct Opened {
  int fd;
  File* file;  // null for a device
  Process* process;
  uint64_t at = 0;
  bool reads = false;  // of a FIFO
};

class Files {
 public:
  static void begin();
  static File& make(const std::string& name);
  static void resize(File& file, uint64_t bytes);
  static File* named(const std::string& name);
  static Opened& open(File* file);
  static Opened* opened(int fd);
  static void close(Opened& opened);
  static void closeAllOf(Process& process);
  // Whether a descriptor of the FIFO is open that may read it.
  static bool isRead(const File& fifo);

  static bool tryLock(Opened& opened, int64_t byte, bool shared);
  static void unlock(Opened& opened, int64_t byte);
  // Whether an open file other than this one holds the lock.
  static bool lockHeld(Opened& opened, int64_t byte);
  static uint64_t freedAt(const File& file, int64_t byte);
};

}  // namespace ringfence::explore
