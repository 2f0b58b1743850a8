// Which sites were executed, where processes were killed and stopped, and the one fault that is planted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "site.h"

namespace ringfence::explore {

struct Process;
struct Word;

enum class Verb : uint8_t {
  read, write, publish, observe, readBytes, writeBytes, wrote, willRead, storeFence, loadFence, fullFence, ring, replace, take
};
const char* nameOf(Verb verb);

// What a mutant does at its site.
enum class Fault : uint8_t {
  none,
  dropped,  // the verb does nothing
  plain,    // what is published is merely written, what is observed merely read
  swapped,  // it is published ahead of the write before it
  torn,     // an atomic change is made as a load and a store, between which another actor may run
  // Of the checks of stores themselves (store_checks.h):
  astray,   // it goes to the geometry's line, which its creator alone writes
  fallen,   // it stores less by one than what stands there
};
const char* nameOf(Fault fault);

struct SiteSeen {
  Place place;
  Verb verb;
  uint64_t times;
  bool followsStore;  // a publication that follows a store of its actor at once
  bool acts;          // a fence, a write-back or an invalidation that has something to do
  std::string name;   // "RingWriter::publish, publish RingLead.position"
};

// The function alone, of all that the compiler says of it.
std::string functionOf(const Place& place);

class Coverage {
 public:
  // Each verb says where it stands. Returns the fault that is planted there.
  static Fault at(const Place& place, Verb verb);
  // And, where it means a word, which one.
  static void meets(const Word& word);
  // And that it publishes right behind a store of its actor.
  static void followsStore();
  // And that it has something to do.
  static void acts();
  // A call of the operating system, named.
  static void call(const char* name);
  static void killed(const Process& process);
  static void stopped(const Process& process);
  // The next step may be one where a process could be killed.
  static void mortal(const Process& process);

  static void plant(const SiteSeen& site, Fault fault);
  static void plantNone();
  // The load of this step could see what it could not see without the planted fault. And which loads could.
  static void seesMore();
  static std::string whatSeesMore();
  static Fault planted();
  // Whether what it leaves out had something to do in a schedule.
  static bool plantedActs();
  // Whether it is planted in a verb there.
  static bool plantedIn(const Place& place);

  // One of the defects of region/planted.h, by name.
  static void plantDefect(const char* defect);

  static std::vector<SiteSeen> sites();
  // (process, site) at which it was killed, stopped; and could have been.
  static size_t kills();
  static size_t stops();
  static size_t mortals();
  static void forget();
};

}  // namespace ringfence::explore
