// The backing of a region: a file, a file of huge pages, or a DAX device.
//
//   file       on any file system that can be mapped: created under a temporary name, and renamed when it is whole
//   hugePages  a file on hugetlbfs: the same, in whole huge pages
//   device     /dev/dax*: holds one region. It is mapped in multiples of its alignment, and cannot be read, renamed,
//              allocated or removed: a region is created in place, and ends when its magic number is cleared.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "layout.h"
#include "publication.h"
#include "status.h"

namespace ringfence {

struct Backing {
  enum class Kind : uint32_t { file, hugePages, device };

  Kind kind = Kind::file;
  uint64_t unitBytes = pageBytes;   // offsets and lengths of mappings are multiples of it
  uint64_t freeBytes = UINT64_MAX;  // the size of a device, the free huge pages; unknown for other files

  // `fd` is the file, or the folder of a file that is to be created. `notRegion` for a device that is not memory.
  static Status of(int fd, Backing& backing);
  // The same for a path, which need not exist yet.
  static Status at(const std::string& path, Backing& backing);

  bool isDevice() const { return kind == Kind::device; }
  uint64_t mappedBytes(uint64_t bytes) const { return roundUp(bytes, unitBytes); }
  // `invalid` when a ring is not a multiple of the unit: it is mapped twice in a row, by itself.
  Status mapsRingsOf(const Geometry& geometry) const;
  // `noSpace` when a new region cannot fit. A file system decides only at the allocation.
  Status hasRoomFor(const Layout& layout) const;
};

// For the header of a region on a device: its lines may be another host's, and which coherence it has says the header.
Publication ofAnyRegion();

// Maps the header of a region on a device while this object lives.
class DeviceHeader {
 public:
  DeviceHeader(int fd, const Backing& backing);
  ~DeviceHeader();
  DeviceHeader(const DeviceHeader&) = delete;
  DeviceHeader& operator=(const DeviceHeader&) = delete;

  // Null when it cannot be mapped.
  Header* get() const { return header_; }

  // Clears the magic number: from here on no region lies on the device. Fences behind it, so that the caller may look at
  // locks and release them. Returns the number before.
  Shown<uint64_t, Whole> clear() const;

 private:
  Header* header_;
  uint64_t bytes_;
};

#ifdef RINGFENCE_STEPS
// For the native tests: a file that stands for a device, and the folder that describes it instead of /sys.
struct DeviceTree {
  std::string sys = "/sys";
  dev_t fileDevice = 0;
  ino_t file = 0;
  unsigned major = 0, minor = 0;
};
DeviceTree& deviceTree();
#endif

}  // namespace ringfence
