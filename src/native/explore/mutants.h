// Plants one fault at a time, at each site of the protocols, and checks whether a schedule finds it.
#pragma once

#include <cstdint>
#include <string>

#include "search.h"

namespace ringfence::explore {

// Of those that docs/memory-model.md lists, and those that it does not.
enum class Which : uint8_t { all, open, listed };

struct Mutants {
  std::string protocol;       // sites that its configurations execute; all where it is empty
  std::string configuration;  // it alone looks for them; all that execute the site where it is empty
  std::string site;           // sites whose place (file and line) or name has this text, or one of several with `|` between them
  uint32_t every = 1;         // tries one mutant in this many
  Which which = Which::all;
  uint32_t jobs = 1;          // judgements at a time
  Limits limits;
};

// Prints the table of mutants and verdicts. False when a mutant is not found that docs/memory-model.md does not list,
// when one that it lists is found, or when no schedule executes a site.
bool mutants(const Mutants& wanted);

// Whether schedules execute every site in the protocols that docs/memory-model.md does not list as unreachable. Prints
// the others.
bool executesAll(uint64_t seed);

}  // namespace ringfence::explore
