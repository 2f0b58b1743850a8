#pragma once

#include "sequencer_state.h"

namespace ringfence::sequencing {

bool adoptTopics(SequencerState& order);

// The topic is never freed from now on. False when it has been, or is none.
bool keepTopic(SequencerState& order, TopicPlace place);

bool answerWish(SequencerState& order);

}  // namespace ringfence::sequencing
