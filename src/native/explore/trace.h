// A schedule as people read it: who did what, to which line, with which value, and where in the source.
#pragma once

#include <string>

#include "coverage.h"
#include "model.h"

namespace ringfence::explore {

class Trace {
 public:
  // Prints all steps from here on, or none.
  static void show(bool shown);
  static void verb(Verb verb, const Word& word, uint64_t value, const memory::Site& site);
  static void verb(Verb verb, const memory::Site& site);
  static void call(const std::string& text);
  static void note(const std::string& text);
  // Prints what an actor says of itself: "has read frame 3".
  static void say(const std::string& text);
};

}  // namespace ringfence::explore
