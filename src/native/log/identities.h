// The table of identities: names that publishers give themselves in a topic. Their sessions and what these committed stand
// in the sequencer's block (sequencer/identities.h).
//
//   declarer, under the names lock
//   ┌ generation − 1 │ unnamed mark │ fence │ fields │ seal │ generation
//   └ a slot that was never used, or whose topic is over
//
// A slot is used again under its next generation, so index and generation identify an identity for ever.
#pragma once

#include <string>
#include <vector>

#include "topics.h"

namespace ringfence {

struct IdentityView {
  uint32_t index;
  uint64_t generation;
  TopicPlace topic;
  std::string name;
  uint64_t base = 0;  // records that were committed before it was named here
};

// What a slot says, and not whether its topic is over. `damaged` when it differs from what was declared, so that its name
// is unknown. The `generation` of an unnamed slot is that of the next identity declared there.
enum class IdentityState { unnamed, declared, damaged };
IdentityState identityAt(const Region& region, uint32_t index, IdentityView& identity);

// The identities of all topics that are not over.
std::vector<IdentityView> identitiesOf(const Region& region);

// `full` when every slot has the identity of a topic that is not over; `gone` when the topic has been freed; `busy`, naming
// the process, while another process gives a new name, and `recovering` while no process serves the log: try again soon.
Status declareIdentity(Region& region, TopicPlace topic, const std::string& name, IdentityView& identity);
// Names an identity of which so many records were committed before. `invalid` when the topic has it already.
Status restoreIdentity(Region& region, TopicPlace topic, const std::string& name, uint64_t base, IdentityView& identity);

}  // namespace ringfence
