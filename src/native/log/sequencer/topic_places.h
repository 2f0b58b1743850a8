#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool adoptTopics(SequencerState& order);

// Exempts the topic from being freed. False when it has been freed or does not exist.
bool keepTopic(SequencerState& order, TopicPlace place);

bool answerWish(SequencerState& order);

}  // namespace ringfence::sequencing
