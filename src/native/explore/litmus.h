// Tests of the memory models themselves: each must show the outcomes that the model allows, and no others.
#pragma once

namespace ringfence::explore {

// Prints each test. False when one of them shows other outcomes than it must.
bool litmus();

}  // namespace ringfence::explore
