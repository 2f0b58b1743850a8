// The lifeline of a child process: a pipe whose other end its owner holds. A thread of its own watches it, so that the
// process ends when its owner is gone, however busy or stuck its event loop is.
#pragma once

#include <string>

#include "status.h"

namespace ringfence {

// Reads the proof that this descriptor is the lifeline, and not another file that has got its number, and begins to
// watch it. Once the owner is gone, this process ends with `exitCode`. `missing` when it is not the lifeline, `system`
// when no thread can be started to watch it.
Status holdLifeline(int fd, const std::string& proof, int exitCode);

}  // namespace ringfence
