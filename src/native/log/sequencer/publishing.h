#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

void publishRetention(SequencerState& order, uint32_t topic);
void publishCommitted(const SequencerState& order, uint32_t topic);
void publishLane(SequencerState& order, uint32_t lane);
// The acknowledgements, and what holds them up.
void publishSession(SequencerState& order, uint32_t client);
void publishAcknowledged(const SequencerState& order, uint32_t client);
// Publishes the answers to the wishes for a topic's place.
void publishAnswers(const SequencerState& order);

// Publishes all changed lines.
void publishAll(SequencerState& order);

// Publishes all lines that other processes rely on again, to repair damage from outside.
void publishAgain(SequencerState& order);

}  // namespace ringfence::sequencing
