// The sequencer's reports: its counters, the beginnings and ends of sessions, lasting gaps, readers that hold room, and
// readers whose process is dead.
#pragma once

#include <string>
#include <vector>

#include "region/process_table.h"

namespace ringfence {

struct SequencerCounters {
  uint64_t epoch, passes, commits, batches, messages, duplicates, purged, held;
  bool paused, stopped, deposed;
};

// What a sequencer found when it started.
struct RecoveryReport {
  uint64_t epoch = 0;  // whose order it continues; 0 none
  ProcessPid pid;
  std::string name;
  uint64_t batches = 0;   // kept in the order
  uint64_t messages = 0;  // in the order, kept or trimmed
  uint64_t sessions = 0;  // that go on
  uint64_t micros = 0;
};

struct SessionReport {
  uint32_t client;
  uint64_t generation, sessionId;
  std::string topic;
  uint32_t order;  // of the topic
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

// The number of held batches, of all sessions.
uint64_t heldBatches(const SequencerState& order);

// The last session of each slot, and the sessions that have ended since the last call but already lost their slots.
std::vector<SessionReport> reportSessions(SequencerState& order);

// The readers that hold room.
std::vector<GateReport> reportGates(const SequencerState& order);

// Call it before a slot goes to another session: keeps the report of one that has ended since the last call.
void giveSlot(SequencerState& order, uint32_t client);

}  // namespace ringfence::sequencing
