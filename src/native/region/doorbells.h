// Doorbells: each sleeper has one, which a process rings after publishing what the sleeper waits for.
#pragma once

#include <cstdint>

#include "layout.h"
#include "publication.h"

namespace ringfence {

// The outcome of a look at a sleeper: no need to ring; rung and woken; or rung without waking a thread, because the
// process was awake already or is dead.
enum class Rung { notAsleep, woke, unheard };

// Rings without a look at the sleeper. Returns how many threads it woke.
uint32_t ringBell(const Publication& publication, HostLine<BellLine>& bell);

}  // namespace ringfence
