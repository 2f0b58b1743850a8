#include "region_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "byte_lock.h"
#include "flush.h"
#include "publication.h"
#include "quantities.h"
#include "token.h"

namespace ringfence {

namespace {

std::string folderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::string baseOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

constexpr size_t temporaryDigits = 8;

bool isTemporaryOf(const std::string& name, const std::string& prefix) {
  return name.size() == prefix.size() + temporaryDigits && name.compare(0, prefix.size(), prefix) == 0 &&
         name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

// A foreign region is only as trustworthy as its writers: its owner, and the group that the owner admits.
Status ownerAllowed(const struct stat& file, bool allowForeign) {
  if (file.st_uid == geteuid()) return Status::fine();
  const std::string owner = "it belongs to user " + std::to_string(file.st_uid);
  if ((file.st_mode & S_IWOTH) != 0) return Status::failed("notPermitted", owner + ", and every user may write to it");
  if (allowForeign) return Status::fine();
  if ((file.st_mode & S_IWGRP) == 0) return Status::failed("foreignOwner", owner);
  return Status::failed("foreignOwner", owner + ", who shares it with group " + std::to_string(file.st_gid));
}

}  // namespace

std::string systemError(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

std::string absolute(const std::string& path) {
  char folder[4096];
  if (path.empty() || path[0] == '/' || getcwd(folder, sizeof(folder)) == nullptr) return path;
  return std::string(folder) + "/" + path;
}

bool isTemporary(const std::string& path) {
  const size_t mark = path.rfind(temporaryMark);
  return mark != std::string::npos && isTemporaryOf(path, path.substr(0, mark) + temporaryMark);
}

// The lock of a dead creator's temporary file is free. Take it before removing the file, so that a creator that has
// made its file but not locked it yet notices.
void removeAbandoned(const std::string& path) {
  const std::string folder = folderOf(path);
  const std::string prefix = baseOf(path) + temporaryMark;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return;
  while (const dirent* found = readdir(dir)) {
    if (!isTemporaryOf(found->d_name, prefix)) continue;
    const std::string file = folder + found->d_name;
    const int fd = open(file.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    if (tryLock(fd, processLocks)) unlink(file.c_str());
    close(fd);
  }
  closedir(dir);
}

Status openFailed(const std::string& path) {
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR) return Status::failed("missing", "there is no such region");
  if (error == ELOOP) {
    char target[256];
    const ssize_t count = readlink(path.c_str(), target, sizeof(target));
    const std::string to = count > 0 ? " to " + std::string(target, static_cast<size_t>(count)) : "";
    return Status::failed("notRegion", "it is a symbolic link" + to + ", which is not followed");
  }
  if (error == EISDIR) return Status::failed("notRegion", "it is a folder");
  if (error == ENXIO || error == ENODEV) return Status::failed("notRegion", "it is not a file");
  struct stat file{};
  if (error == EACCES) {
    const bool known = stat(path.c_str(), &file) == 0;
    const std::string owner = known ? "it belongs to user " + std::to_string(file.st_uid) + ", and " : "";
    return Status::failed("notPermitted", owner + "its permissions do not let this user in");
  }
  errno = error;
  return Status::failed("system", systemError("it cannot be opened"));
}

int openRegionFile(const std::string& path) {
  // Neither wait for the other end of a pipe nor acquire a controlling terminal.
  return open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

Status openExisting(const std::string& path, bool allowForeign, int& fd, struct stat& file) {
  fd = openRegionFile(path);
  if (fd < 0) return openFailed(path);
  if (fstat(fd, &file) != 0) return Status::failed("system", systemError("reading the region's size"));
  if (!S_ISREG(file.st_mode) && !S_ISCHR(file.st_mode)) return Status::failed("notRegion", "it is not a file");
  return ownerAllowed(file, allowForeign);
}

void bootId(uint64_t id[2]) {
  id[0] = id[1] = 0;
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[40] = {};
  const ssize_t count = read(fd, text, sizeof(text) - 1);
  close(fd);
  int digits = 0;
  for (ssize_t i = 0; i < count && digits < 32; i += 1) {
    const char c = text[i];
    int value;
    if (c >= '0' && c <= '9') {
      value = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      value = c - 'a' + 10;
    } else {
      continue;
    }
    id[digits / 16] = (id[digits / 16] << 4) | static_cast<uint64_t>(value);
    digits += 1;
  }
}

Status ofThisHost(const HeaderCopy& header) {
  uint64_t now[2];
  bootId(now);
  const uint64_t* then = header.identity.bootId;
  const bool known = (now[0] | now[1]) != 0 && (then[0] | then[1]) != 0;
  if (!known || (now[0] == then[0] && now[1] == then[1])) return Status::fine();
  return Status::failed("otherHost", "it was made on another host, or before this one was started again");
}

namespace {

Status copyHeader(int fd, uint64_t fileBytes, HeaderCopy& header) {
  uint64_t magic = 0;
  if (pread(fd, &magic, sizeof(magic), 0) != static_cast<ssize_t>(sizeof(magic)) || magic != regionMagic) {
    return Status::failed("notRegion", "it is not a ringfence region");
  }
  if (fileBytes < sizeof(Header)) {
    return Status::failed("truncated", "it has " + formatBytes(fileBytes) + ", less than a header");
  }
  if (pread(fd, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) {
    return Status::failed("system", systemError("reading the header"));
  }
  return Status::fine();
}

// SYNC: the magic number is observed before the rest, which its creator wrote before it (Region::writeIdentity).
Status copyMappedHeader(int fd, const Backing& backing, HeaderCopy& header) {
  const DeviceHeader mapped(fd, backing);
  if (mapped.get() == nullptr) return Status::failed("system", systemError("mapping the header"));
  const Publication p = ofAnyRegion();
  const Header& there = *mapped.get();
  header.identity = p.snapshot<&Identity::magic>(there.identity);
  if (header.identity.magic != regionMagic) return Status::failed("notRegion", "it is not a ringfence region");
  header.geometry = p.copy(there.geometry);
  header.birth = p.copy(there.birth);
  return Status::fine();
}

// A call of the system invalidates nothing: of flushed memory it may copy lines that this host fetched before they were
// written. Only the header itself says whether the memory is that.
Status copyFreshHeader(int fd, uint64_t fileBytes, const Backing& backing, HeaderCopy& header) {
  if (backing.isDevice()) return copyMappedHeader(fd, backing, header);
  const Status status = copyHeader(fd, fileBytes, header);
  const bool flushed = status.ok() && header.birth.coherence == static_cast<uint32_t>(Coherence::flushed);
  return flushed && memory::flushInstructions() != nullptr ? copyMappedHeader(fd, backing, header) : status;
}

}  // namespace

Status cannotFlush() {
  return Status::failed("unsupported", "this processor cannot write cache lines back by instruction, as flushed memory needs");
}

Status readHeader(int fd, uint64_t fileBytes, const Backing& backing, HeaderCopy& header) {
  const Status copied = copyFreshHeader(fd, fileBytes, backing, header);
  if (!copied.ok()) return copied;
  if (header.identity.version != layoutVersion || header.identity.layoutHash != layoutHash()) {
    char text[160];
    std::snprintf(text, sizeof(text), "it has layout version %u (%016llx), this program knows version %u (%016llx)",
                  header.identity.version, static_cast<unsigned long long>(header.identity.layoutHash),
                  layoutVersion, static_cast<unsigned long long>(layoutHash()));
    return Status::failed("versionMismatch", text);
  }
  if (header.birth.coherence > static_cast<uint32_t>(Coherence::flushed)) {
    return Status::failed("versionMismatch", "it uses a publication discipline that this program does not know: " +
                                                 std::to_string(header.birth.coherence));
  }
  if (header.birth.coherence == static_cast<uint32_t>(Coherence::flushed) && memory::flushInstructions() == nullptr) {
    return cannotFlush();
  }
  if (!geometryValid(header.geometry)) return Status::failed("corrupt", "its geometry is not valid");
  const uint64_t wanted = layoutOf(header.geometry).regionBytes;
  if (header.identity.regionBytes != wanted) return Status::failed("corrupt", "its sizes contradict each other");
  const uint64_t bytes = backing.isDevice() ? backing.freeBytes : fileBytes;
  if (bytes < wanted) {
    // Not how much is there: a file that lacks one byte would seem to be whole.
    return Status::failed("truncated", "it lacks " + formatBytes(wanted - bytes) + " of " + formatBytes(wanted));
  }
  // Different sizes can add up to the same total, and would put this process's arrays at other offsets.
  if (header.birth.seal != headerSealOf(header)) {
    return Status::failed("corrupt", "its header was damaged from outside");
  }
  return Status::fine();
}

}  // namespace ringfence
