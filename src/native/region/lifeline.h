// The lifeline of a process that another one started: a pipe whose other end its owner holds. A thread of its own
// watches it, so that the process ends when its owner is gone, however busy or stuck its event loop is.
#pragma once

#include <string>

#include "status.h"

namespace ringfence {

// Reads the proof that this descriptor is the lifeline and not something else that has its number by now, and begins to
// watch it. `missing` when it is not the lifeline, `system` when there is no thread to watch it. `exitCode` is what this process ends with when its owner is gone.
Status holdLifeline(int fd, const std::string& proof, int exitCode);

}  // namespace ringfence
