// Numbers in texts, in the one format that services/text/quantities.ts gives them: `1,023 bytes`, `64 KiB`, `1.5 MiB`.
// What names one thing, as a pid or the number of a slot does, is no quantity and stays as it is.
#pragma once

#include <cstdint>
#include <string>

namespace ringfence {

std::string formatBytes(uint64_t bytes);
std::string formatCount(uint64_t count);

}  // namespace ringfence
