// Gives identities to sessions, one at a time: a newer claim fences the session that has the identity, unless its client has
// closed it, and is adopted once that one has ended.
//
//   idle ── claim ──► held by session p ── newer claim ──► fenced ── ended at its committed prefix ──► idle, base + its records
//                            └── closed, died, corrupt, outlived ──────────────────────────────────────┘
//
// Published in this order, so that a successor finds each step explained by those before it:
//
//   adoption   identity's line { p + 1, base, this session } │ session's adoption, with the same │ session's line │ lanes
//   end        session's line, with the end │ identity's line { p, base + its records, no session }
#pragma once

#include "former.h"
#include "sequencer_state.h"

namespace ringfence::sequencing {

// What becomes of a claim. `waits`: its predecessor is fenced, and has not ended yet. `late`: a newer session had the
// identity than the one that the claim continues. `damaged`: what the identity committed is not known.
enum class IdentityClaimed { none, given, waits, late, damaged };
IdentityClaimed claimIdentity(SequencerState& order, const ClientClaim& claim);

// Gives the claimed identity to a session that begins. The caller publishes the session next.
void beginIncarnation(SequencerState& order, uint32_t client, const ClientClaim& claim);
// Takes it from a session whose end is published.
void endIncarnation(SequencerState& order, uint32_t client);

void publishIdentity(const SequencerState& order, uint32_t identity);

// Which session has which identity, once topics and sessions are recovered.
void recoverIdentities(SequencerState& order, const Former& former);
// Writes the line of every identity in the block.
void writeIdentities(const SequencerState& order);

}  // namespace ringfence::sequencing
