// The FIFO by which a process's event loop is rung: one for each process slot, beside the region's file.
//
//   <path of the region>.bell-<mark of the region, 16 digits>-<slot>
//
// It belongs to the slot and not to a process: made by the first process of the slot that needs it, reused by the next,
// removed with the region's name. A word beside the sleep word says which FIFO the slot's process polls (device and
// inode, mixed), 0 none; a process that rings opens it once, and writes only where it has opened that very one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace ringfence {

class Region;

// The name of this process's FIFO.
std::string fifoNameOf(const Region& region);

// Opens the FIFO of this process's slot to poll and read it, and makes it if it is missing. -1 when there is none to be
// had: anonymous memory, a device, huge pages, a folder that may not be written, a name that is taken by something else.
int openOwnFifo(const Region& region, uint64_t& fifo);

// The FIFOs that this attachment rings: at most one for each slot, opened at the first ring.
class RungFifos {
 public:
  ~RungFifos() { close(); }

  // True once a byte stands in that FIFO, this one's or another's: its poller is woken. `fifo` is the word of the slot.
  bool ring(const Region& region, uint32_t slot, uint64_t fifo);
  // Closes the one of that slot, whose process is gone.
  void forget(uint32_t slot);
  void close();

 private:
  struct Known {
    uint64_t fifo = 0;  // the one that was opened, or was refused
    int fd = -1;
  };
  void reopen(const Region& region, uint32_t slot, uint64_t fifo, Known& known);

  std::mutex ringing_;  // the event loop and the sequencer's thread ring
  std::vector<Known> known_;
};

// Whether the path has the form of a FIFO's name: then the path of its region, and the region's mark.
bool isFifoName(const std::string& path, std::string& region, uint64_t& mark);

// Whether the path is that of a bell's FIFO, and whether its region is gone.
enum class BellFile { none, ofRegion, abandoned };
BellFile bellFileAt(const std::string& path);

// Removes the FIFOs of the region with that mark, whose name the caller has removed.
void removeFifosOf(const std::string& path, uint64_t mark);
// Removes those that other regions of this path have left.
void removeAbandonedFifos(const std::string& path);

// The mark of the region whose id that is, and of the region that lies at the path; 0 none.
uint64_t markOf(const uint64_t id[2]);
uint64_t markAt(int fd);

}  // namespace ringfence
