#include "bell_fifo.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "planted.h"
#include "region.h"
#include "region_file.h"
#include "token.h"

namespace ringfence {

namespace {

constexpr const char* bellMark = ".bell-";
constexpr size_t markDigits = 16;
constexpr size_t slotDigitsMax = 4;

// Neither waits for the other end nor follows a link that was planted under the name.
constexpr int safely = O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;

std::string fifoName(const std::string& path, uint64_t mark, uint32_t slot) {
  char rest[48];
  std::snprintf(rest, sizeof(rest), "%s%016llx-%u", bellMark, static_cast<unsigned long long>(mark), slot);
  return path + rest;
}

std::string nameOfSlot(const Region& region, uint32_t slot) { return fifoName(region.path(), region.mark(), slot); }

// Never 0.
uint64_t wordOf(const struct stat& file) {
  return mix64(static_cast<uint64_t>(file.st_ino) ^ mix64(static_cast<uint64_t>(file.st_dev))) | 1;
}

// Whether it is a FIFO of the region's owner: what another user has planted there would take the bytes. Its only name is this
// one: under a second name another slot's process would poll the same, and take them too.
bool isOfRegion(const Region& region, int fd, struct stat& fifo, struct stat& file) {
  return fstat(fd, &fifo) == 0 && S_ISFIFO(fifo.st_mode) && fifo.st_nlink == 1 && fstat(region.file(), &file) == 0 &&
         fifo.st_uid == file.st_uid && fifo.st_dev == file.st_dev;
}

// Where the region's file alone is mounted into a container, its folder there is another one: no process of elsewhere would
// find a FIFO in it, and none would remove it.
bool liesBeside(const std::string& name, const struct stat& file) {
  const std::string folder = name.substr(0, name.rfind('/') + 1);
  struct stat found{};
  return stat(folder.c_str(), &found) == 0 && found.st_dev == file.st_dev;
}

// A process that was killed between the making and this has left it narrower: so each owner looks again.
void permitAsRegion(int fd, const struct stat& fifo, const struct stat& file) {
  if (fifo.st_uid != geteuid()) return;
  if (fifo.st_gid != file.st_gid) static_cast<void>(!fchown(fd, static_cast<uid_t>(-1), file.st_gid));
  if ((fifo.st_mode & 0777) != (file.st_mode & 0660)) static_cast<void>(!fchmod(fd, file.st_mode & 0660));
}

// Only the region's owner makes one: the owner could not remove that of another user.
int openOrMake(const Region& region, const std::string& name) {
  const int fd = open(name.c_str(), O_RDWR | safely);
  if (fd >= 0 || errno != ENOENT) return fd;
  struct stat file{};
  if (fstat(region.file(), &file) != 0 || file.st_uid != geteuid() || !liesBeside(name, file)) return -1;
  if (mkfifo(name.c_str(), 0600) != 0 && errno != EEXIST) return -1;
  return open(name.c_str(), O_RDWR | safely);
}

// Writes a byte. A FIFO that is full wakes its poller without it. Without a reader the system raises a signal, whose
// disposition is the program's own: it is taken back here.
bool writeByte(int fd) {
  sigset_t broken;
  sigset_t before;
  sigemptyset(&broken);
  sigaddset(&broken, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken, &before);
  const char byte = 1;
  const bool written = write(fd, &byte, 1) == 1;
  const int error = errno;
  if (!written && error == EPIPE) {
    const timespec now{};
    sigtimedwait(&broken, nullptr, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return written || error == EAGAIN;
}

bool isHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

// Removes the FIFOs beside that path for whose mark `is` holds.
template <class Is>
void removeFifos(const std::string& path, Is is) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "./" : path.substr(0, slash + 1);
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return;
  std::vector<std::string> found;
  while (const dirent* entry = readdir(dir)) {
    std::string region;
    uint64_t mark = 0;
    const std::string name = slash == std::string::npos ? entry->d_name : folder + entry->d_name;
    if (isFifoName(name, region, mark) && region == path && is(mark)) found.push_back(name);
  }
  closedir(dir);
  for (const std::string& name : found) {
    struct stat file{};
    if (lstat(name.c_str(), &file) == 0 && S_ISFIFO(file.st_mode)) unlink(name.c_str());
  }
}

// Whether no region of that mark lies at the path. One that cannot be read may be.
bool isGone(const std::string& path, uint64_t mark) {
  const int fd = open(path.c_str(), O_RDONLY | safely);
  if (fd < 0) return errno == ENOENT;
  const bool gone = markAt(fd) != mark;
  close(fd);
  return gone;
}

}  // namespace

uint64_t markOf(const uint64_t id[2]) { return mix64(id[0] ^ mix64(id[1])); }

uint64_t markAt(int fd) {
  HeaderCopy header{};
  const auto bytes = static_cast<ssize_t>(sizeof(header.identity));
  if (pread(fd, &header.identity, sizeof(header.identity), 0) != bytes || header.identity.magic != regionMagic) return 0;
  return markOf(header.identity.regionId);
}

std::string fifoNameOf(const Region& region) { return nameOfSlot(region, region.slot()); }

// SYNC: the region's last owner removes its name, then the FIFOs; a process makes its FIFO, then looks for the name. So one
// of the two removes it.
int openOwnFifo(const Region& region, uint64_t& fifo) {
  if (!region.mayHaveFifos()) return -1;
  const std::string name = fifoNameOf(region);
  const int fd = openOrMake(region, name);
  if (fd < 0) return -1;
  struct stat made{};
  struct stat file{};
  const bool gone = region.replaced();
  if (gone) unlink(name.c_str());
  if (gone || !isOfRegion(region, fd, made, file)) {
    close(fd);
    return -1;
  }
  permitAsRegion(fd, made, file);
  fifo = wordOf(made);
  return fd;
}

// One that was refused is not tried again, unless what was lacking may be there the next time: a descriptor, a reader.
void RungFifos::reopen(const Region& region, uint32_t slot, uint64_t fifo, Known& known) {
  if (known.fd >= 0) ::close(known.fd);
  known.fd = open(nameOfSlot(region, slot).c_str(), O_WRONLY | safely);
  known.fifo = fifo;
  struct stat found{};
  struct stat file{};
  if (known.fd < 0) {
    if (errno != ENOENT && errno != EACCES && errno != ELOOP) known.fifo = 0;
  } else if (!isOfRegion(region, known.fd, found, file) || wordOf(found) != fifo) {
    ::close(known.fd);
    known.fd = -1;
  }
}

bool RungFifos::ring(const Region& region, uint32_t slot, uint64_t fifo) {
  if (fifo == 0 || !region.mayHaveFifos()) return false;
  const std::lock_guard<std::mutex> lock(ringing_);
  if (known_.size() <= slot) known_.resize(slot + 1);
  Known& known = known_[slot];
  if (known.fifo != fifo && !(known.fd >= 0 && planted("the FIFO of a former process is rung"))) reopen(region, slot, fifo, known);
  return known.fd >= 0 && writeByte(known.fd);
}

void RungFifos::forget(uint32_t slot) {
  const std::lock_guard<std::mutex> lock(ringing_);
  if (slot >= known_.size()) return;
  if (known_[slot].fd >= 0) ::close(known_[slot].fd);
  known_[slot] = {};
}

void RungFifos::close() {
  for (const Known& known : known_) {
    if (known.fd >= 0) ::close(known.fd);
  }
  known_.clear();
}

bool isFifoName(const std::string& path, std::string& region, uint64_t& mark) {
  const size_t at = path.rfind(bellMark);
  if (at == std::string::npos || at == 0) return false;
  const std::string rest = path.substr(at + std::string(bellMark).size());
  if (rest.size() < markDigits + 2 || rest.size() > markDigits + 1 + slotDigitsMax || rest[markDigits] != '-') return false;
  for (size_t i = 0; i < rest.size(); i += 1) {
    if (i != markDigits && !(i < markDigits ? isHex(rest[i]) : isDigit(rest[i]))) return false;
  }
  region = path.substr(0, at);
  mark = std::strtoull(rest.substr(0, markDigits).c_str(), nullptr, 16);
  return true;
}

BellFile bellFileAt(const std::string& path) {
  std::string region;
  uint64_t mark = 0;
  struct stat file{};
  if (!isFifoName(path, region, mark) || lstat(path.c_str(), &file) != 0 || !S_ISFIFO(file.st_mode)) return BellFile::none;
  return isGone(region, mark) ? BellFile::abandoned : BellFile::ofRegion;
}

void removeFifosOf(const std::string& path, uint64_t mark) {
  removeFifos(path, [mark](uint64_t of) { return of == mark; });
}

// A FIFO that is found was made behind its region's name: so a region whose mark is not there now is gone.
void removeAbandonedFifos(const std::string& path) {
  removeFifos(path, [&path](uint64_t of) { return isGone(path, of); });
}

}  // namespace ringfence
