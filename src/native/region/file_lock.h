// An exclusive lock of a whole file, of the open file description: the system frees it when the process ends, from any
// cause, and two holders in one process exclude each other.
#pragma once

#include <memory>
#include <string>

namespace ringfence {

class FileLock {
 public:
  // Creates the file for its owner alone if it is missing; it is never removed, because another process may just be locking
  // it. Returns an errno, 0 when the lock is taken, EAGAIN when another has it: then `holder` is its pid, 0 if unknown.
  static int take(const std::string& path, std::unique_ptr<FileLock>& lock, int& holder);

  ~FileLock() { release(); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  void release();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace ringfence
