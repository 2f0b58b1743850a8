// Defects that the explorer plants, one at a time, to show that it finds them. Elsewhere there are none: the condition is
// a constant, and costs nothing.
#pragma once

namespace ringfence {

#ifdef RINGFENCE_MEMORY
bool planted(const char* defect);
#else
constexpr bool planted(const char*) { return false; }
#endif

}  // namespace ringfence
