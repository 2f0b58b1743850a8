#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

void publishRetention(SequencerState& order, uint32_t topic);
void publishCommitted(const SequencerState& order, uint32_t topic);
void publishLane(SequencerState& order, uint32_t lane);
// The acknowledgements, and what holds them up.
void publishSession(SequencerState& order, uint32_t client);
void publishAcknowledged(const SequencerState& order, uint32_t client);
// What a successor cannot take from the client's own lines.
void publishSessionAdoption(const SequencerState& order, uint32_t client);
void publishTopicAdoption(const SequencerState& order, uint32_t topic);
// Says that the batch is committed, while an earlier one of its session is missing.
void publishFact(const SequencerState& order, uint32_t client, uint64_t sequence, uint32_t messages);
// Of a session that begins: none of its batches is committed.
void clearFacts(const SequencerState& order, uint32_t client);
// Says that this process runs.
void publishPulse(SequencerState& order);
// The changed lines of sessions: what was emitted is committed.
void publishPrefixes(SequencerState& order);
// The same, unless an epoch is open.
void publishSessions(SequencerState& order);
// Publishes the answers to the wishes for a topic's place.
void publishAnswers(const SequencerState& order);
// Publishes how many replicas must have a durable record.
void publishCopies(const SequencerState& order);

// The counts of this epoch's passes, for reports.
void publishTotals(const SequencerState& order);

// Publishes all changed lines.
void publishAll(SequencerState& order);

// Publishes all lines that other processes rely on again, to repair damage from outside.
void publishAgain(SequencerState& order);

}  // namespace ringfence::sequencing
