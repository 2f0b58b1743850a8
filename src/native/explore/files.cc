#include "files.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "model.h"

namespace ringfence::explore {

namespace {

constexpr int firstFd = 1000;  // far above those of this process

std::vector<File*> files;
std::vector<Opened*> opens;

// Releases the locks for which `is` holds.
template <class Is>
void free(File& file, Is is) {
  for (const Lock& lock : file.locks) {
    if (!is(lock)) continue;
    std::erase_if(file.freed, [&](const Freed& freed) { return freed.byte == lock.byte; });
    file.freed.push_back({lock.byte, Model::now().time()});
  }
  std::erase_if(file.locks, is);
}

}  // namespace

void Files::begin() {
  // Never destroyed: their contents lay in the arena, which was reset.
  new (&files) std::vector<File*>();
  new (&opens) std::vector<Opened*>();
}

File& Files::make(const std::string& name) {
  auto* file = new File{static_cast<uint32_t>(files.size()), 0, nullptr, name, false, {}, {}};
  files.push_back(file);
  return *file;
}

void Files::resize(File& file, uint64_t bytes) {
  if (bytes <= file.bytes) return;
  const uint64_t before = file.bytes / 64;
  const uint64_t count = (bytes + 63) / 64;
  auto** lines = static_cast<void**>(operator new(count * sizeof(void*)));
  std::memset(lines, 0, count * sizeof(void*));
  if (before != 0) std::memcpy(lines, file.lines, before * sizeof(void*));
  file.lines = lines;
  file.bytes = bytes;
}

File* Files::named(const std::string& name) {
  for (File* file : files) {
    if (!name.empty() && file->name == name) return file;
  }
  return nullptr;
}

Opened& Files::open(File* file) {
  const int fd = firstFd + static_cast<int>(opens.size());
  opens.push_back(new Opened{fd, file, Scheduler::now().currentProcess()});
  return *opens.back();
}

Opened* Files::opened(int fd) {
  const int at = fd - firstFd;
  return at < 0 || at >= static_cast<int>(opens.size()) ? nullptr : opens[static_cast<size_t>(at)];
}

void Files::close(Opened& opened) {
  if (opened.file != nullptr) {
    free(*opened.file, [&](const Lock& lock) { return lock.by == &opened; });
  }
  opens[static_cast<size_t>(opened.fd - firstFd)] = nullptr;
  if (opened.file == nullptr || !opened.file->isFifo) return;
  const bool isOpen = std::any_of(opens.begin(), opens.end(), [&](const Opened* one) { return one != nullptr && one->file == opened.file; });
  if (!isOpen) opened.file->bytes = 0;
}

bool Files::isRead(const File& fifo) {
  return std::any_of(opens.begin(), opens.end(), [&](const Opened* one) { return one != nullptr && one->file == &fifo && one->reads; });
}

void Files::closeAllOf(Process& process) {
  for (Opened* opened : opens) {
    if (opened != nullptr && opened->process == &process) close(*opened);
  }
}

bool Files::lockHeld(Opened& opened, int64_t byte) {
  for (const Lock& lock : opened.file->locks) {
    if (lock.byte == byte && lock.by != &opened) return true;
  }
  return false;
}

uint64_t Files::freedAt(const File& file, int64_t byte) {
  for (const Freed& freed : file.freed) {
    if (freed.byte == byte) return freed.time;
  }
  return 0;
}

bool Files::tryLock(Opened& opened, int64_t byte, bool shared) {
  for (const Lock& lock : opened.file->locks) {
    if (lock.byte == byte && lock.by != &opened && !(shared && lock.shared)) return false;
  }
  unlock(opened, byte);
  opened.file->locks.push_back({byte, shared, &opened});
  return true;
}

void Files::unlock(Opened& opened, int64_t byte) {
  free(*opened.file, [&](const Lock& lock) { return lock.by == &opened && lock.byte == byte; });
}

}  // namespace ringfence::explore
