// How much of a durable topic is on disks: what the readers that write its replicas have released.
//
//   replica's reader   writes and syncs its file │ cursor │ seal of cursor, generation and replica
//   anyone             claim's generation │ seal, cursor │ claim's generation again
//
// A seal that holds is a promise that nothing takes back, so it need not be read together with anything else. Docs:
// protocols.md, "Durable".
#pragma once

#include <optional>

#include "region/epochs.h"
#include "region/region.h"

namespace ringfence {

// What a reader is that writes a replica.
struct ReplicaRole {
  uint64_t key = 0;       // which replica: the same for all readers that write its files one after the other
  uint64_t required = 0;  // by its server; 0: it is a subscriber
};

struct Synced {
  uint64_t generation = 0;  // of the reader
  ReplicaRole replica{};
  uint64_t entries = 0;  // the entries below are on the replica's disk
};

// `torn`: its reader is just writing, or was stopped or killed there; `synced` has its generation alone then.
enum class SyncedState { none, torn, whole };
SyncedState syncedAt(const Region& region, uint32_t topic, uint32_t reader, Synced& synced);

// How many replicas must have a durable record, by the server of the epoch that `view` looks at: 0 leaves it to what replicas
// say. None when both words were damaged: the sequencer writes them again.
std::optional<uint32_t> copiesOf(const Region& region, const EpochView& view);
std::optional<uint32_t> copiesIn(const ServiceLine& line);
uint64_t copiesWordOf(uint32_t copies);

struct Durability {
  uint64_t required = 1;
  std::optional<uint64_t> entries{};  // the entries below are on the disks of the required replicas
};

// What the attached replicas say together. Readers of one replica count once: its former writer may be dead, and still attached.
Durability durabilityOf(const Region& region, uint32_t topic);

}  // namespace ringfence
