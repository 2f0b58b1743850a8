#include "file_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace ringfence {

namespace {

// What the holder has written. A killed one leaves its pid there, which the next one overwrites a moment after it has
// taken the lock.
int holderIn(int fd) {
  char text[24]{};
  const ssize_t count = pread(fd, text, sizeof(text) - 1, 0);
  const long pid = count > 0 ? std::strtol(text, nullptr, 10) : 0;
  if (pid <= 0 || pid > 0x7fffffff) return 0;
  const bool lives = kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
  return lives ? static_cast<int>(pid) : 0;
}

}  // namespace

int FileLock::take(const std::string& path, std::unique_ptr<FileLock>& lock, int& holder) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0) return errno;
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
    const int error = errno == EACCES ? EAGAIN : errno;
    if (error == EAGAIN) holder = holderIn(fd);
    close(fd);
    return error;
  }
  lock.reset(new FileLock(fd));
  // For people: the lock holds without it, also on a full disk.
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd, 0) == 0) static_cast<void>(!pwrite(fd, pid.data(), pid.size(), 0));
  return 0;
}

void FileLock::release() {
  if (fd_ < 0) return;
  static_cast<void>(!ftruncate(fd_, 0));
  close(fd_);
  fd_ = -1;
}

}  // namespace ringfence
