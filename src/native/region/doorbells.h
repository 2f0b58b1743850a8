// Doorbells: each sleeper has one, and a process that has published what it waits for rings it.
#pragma once

namespace ringfence {

// What became of a look at a sleeper: it need not be rung, it was rung and woke, or it was rung and nothing woke, because
// it was awake already or is dead.
enum class Rung { notAsleep, woke, unheard };

}  // namespace ringfence
