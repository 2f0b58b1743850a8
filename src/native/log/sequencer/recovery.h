// Recovers the order from what a former epoch left: what any process believed of that epoch is at most what is recovered.
//
//   counts, entries    as they were promised; entries above the count were promised to no process
//   trim               max(firm trim, min(trim, cursors of attached readers))
//   a session's prefix its line, on through kept entries, and under order `total` through facts without a gap
//   an identity        its line, or a later session's own word (identities.h)
//   a lane's slots     ordered by a kept entry; done below the prefix, by a fact, or as the session has ended; otherwise
//                      scanned again
#pragma once

#include "former.h"

namespace ringfence::sequencing {

// A function of what was read alone. `order` is empty, but for its epoch and its options.
void recover(SequencerState& order, const Former& former);

// Writes every line of every table of the block, so that nothing of the block's former epoch is left, and kept entries
// under the tokens of this epoch. No entry of a former epoch has such a token, so the other entries stay as they are.
void writeBlock(SequencerState& order, const Former& former, role::Broker broker);

}  // namespace ringfence::sequencing
