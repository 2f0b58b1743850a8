// What the sequencer reports: its counters, the beginnings and ends of sessions, gaps that last, readers that hold room
// back, readers whose process is dead.
#pragma once

#include <string>
#include <vector>

#include "region/process_table.h"

namespace ringfence {

struct SequencerCounters {
  uint64_t epoch, passes, commits, batches, messages, duplicates, purged, held;
  bool paused, stopped;
};

struct SessionReport {
  uint32_t client;
  uint64_t generation, sessionId;
  std::string topic;
  uint32_t process;
  ProcessPid pid;
  uint32_t endReason;
  bool ended;
  uint64_t batches, messages, held, purged, gapSinceNanos;
};

struct GateReport {
  std::string topic;
  uint32_t reader;
  ProcessPid pid;
  std::string name;
  uint64_t behind, sinceNanos;
};

struct DeadReader {
  std::string topic;
  uint32_t reader;
  ProcessPid pid;
  std::string name;
};

}  // namespace ringfence

namespace ringfence::sequencing {

struct SequencerState;

// Batches that are held for all sessions.
uint64_t heldBatches(const SequencerState& order);

// Those that have ended since the last call, where their slots are others' by now; and the last one of each slot.
std::vector<SessionReport> reportSessions(SequencerState& order);

// The slot becomes another session's: one that has ended since the last report is reported all the same.
void giveSlot(SequencerState& order, uint32_t client);

}  // namespace ringfence::sequencing
