#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

void publishRetention(const SequencerState& order, uint32_t topic);
void publishCommitted(const SequencerState& order, uint32_t topic);
void publishLane(SequencerState& order, uint32_t lane);
void publishSession(SequencerState& order, uint32_t client);
void sealSession(const SequencerState& order, uint32_t client);
// To the wishes for a topic's place.
void publishAnswers(const SequencerState& order);

// What has changed.
void publishAll(SequencerState& order);

// All that others decide by, once more: what was changed from outside becomes right again.
void publishAgain(SequencerState& order);

}  // namespace ringfence::sequencing
