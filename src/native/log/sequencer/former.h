// What a successor reads of the former epoch's block, in the reverse order of its publication, and of the lines of clients,
// which belong to no epoch. So what it reads of a later part is explained by what it reads of the earlier ones, also while
// a deposed sequencer makes its last pass.
#pragma once

#include <optional>
#include <vector>

#include "sequencer_state.h"

namespace ringfence::sequencing {

struct FormerSlot {  // a slot of a lane that is not released
  Descriptor descriptor{};
  bool ready = false;  // its token is the lane's generation's
};

struct FormerLane {
  bool whole = false;
  LaneLine::Frontiers frontiers{};
  LaneLine::Counts counts{};
  std::vector<FormerSlot> slots{};  // from `released` on: those that were scanned, and those behind as far as they are ready
};

struct FormerEntry {
  IndexEntry entry{};
  std::optional<Seen<Payload>> payload{};  // none: the entry was damaged
};

struct FormerTopic {
  bool counted = false, retained = false, adopted = false;
  TopicLine::Committed committed{};
  TopicLine::Retention retention{};
  TopicLine::Adoption adoption{};
  bool known = false;  // its slot is as it was declared
  TopicView view{};
  uint64_t slotSeal = 0;
  uint64_t cursor = ~uint64_t{0};      // the least of the attached readers
  std::vector<FormerEntry> entries{};  // from `trim` on
  uint64_t trim = 0;
};

struct FormerSession {
  bool whole = false, adopted = false;
  SessionLine::Acknowledged acknowledged{};
  SessionLine::Pressure pressure{};
  SessionLine::Adoption adoption{};
  ClientClaim claim{};
  std::vector<uint64_t> facts{};
};

struct FormerIdentity {
  bool whole = false;
  IdentityLine::Standing standing{};
  uint64_t slotGeneration = 0;
};

struct Former {
  uint64_t epoch = 0;  // 0: there is none
  ServiceLine service{};
  std::vector<FormerLane> lanes{};
  std::vector<FormerTopic> topics{};
  std::vector<FormerSession> sessions{};
  std::vector<FormerIdentity> identities{};
  std::vector<uint64_t> readerEnds{};  // by topic and reader
};

// `order` is the successor's: its pulse counts meanwhile.
Former readFormer(SequencerState& order, uint64_t epoch);

}  // namespace ringfence::sequencing
