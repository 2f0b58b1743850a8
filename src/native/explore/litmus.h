// The tests of the memory models themselves: each shows the outcomes that its model must allow, and none that it must
// forbid.
#pragma once

namespace ringfence::explore {

// False when one of them is not as it must be. Prints each.
bool litmus();

}  // namespace ringfence::explore
