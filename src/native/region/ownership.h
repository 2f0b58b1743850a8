// Tells from the locks on a region's file which processes use it, and removes it.
#pragma once

#include <string>

#include "backing.h"

namespace ringfence {

// Whether a process other than the holder of `fd` is attached to the region, serves the log in it or keeps it in use.
bool inUse(int fd);

// Whether a process other than the holder of `fd` serves the log, or takes it over.
bool serves(int fd);

// Removes the file's name and the FIFOs beside it, or clears the magic number of a region on a device.
void removeRegion(int fd, const Backing& backing, const std::string& path);

}  // namespace ringfence
