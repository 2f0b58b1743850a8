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
  read, write, publish, observe, readBytes, writeBytes, wrote, willRead, storeFence, loadFence, fullFence, ring, take, raise, lower
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
  astray,   // stores to the geometry's line, which the region's creator alone writes
  fallen,   // stores one less than the value that stands there
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

// The function's name, without the rest of its signature.
std::string functionOf(const Place& place);

class Coverage {
 public:
  // Called by each verb, with its place. Returns the fault that is planted there.
  static Fault at(const Place& place, Verb verb);
  // Called next by a verb that concerns a word, with that word.
  static void meets(const Word& word);
  // Called by a publication that follows a store of its actor at once.
  static void followsStore();
  // Called by a verb that has something to do.
  static void acts();
  // Called by each simulated system call, with its name.
  static void call(const char* name);
  static void killed(const Process& process);
  static void stopped(const Process& process);
  // Called ahead of a step at which a schedule could kill the process, or stop it. True: no schedule has come to this point yet.
  static bool mortal(const Process& process);
  static bool stoppable(const Process& process);

  static void plant(const SiteSeen& site, Fault fault);
  static void plantNone();
  // Called by a load that could see a value that only the planted fault lets it see.
  static void seesMore();
  // Names those loads.
  static std::string whatSeesMore();
  static Fault planted();
  // Whether the planted verb has had something to do in a schedule.
  static bool plantedActs();
  // Whether it has let a load see more.
  static bool plantedSees();
  // Asks both anew, of the schedules from here on.
  static void plantedRests();
  // Whether the fault is planted in a verb at that place.
  static bool plantedIn(const Place& place);
  // Whether it takes an order of loads away, and nothing else.
  static bool plantedOrdersLoads();
  // Whether it leaves out a write-back.
  static bool plantedIsWriteBack();
  // Whether it leaves out a store.
  static bool plantedIsWrite();

  // One of the defects of region/planted.h, by name.
  static void plantDefect(const char* defect);

  static std::vector<SiteSeen> sites();
  // The number of pairs of process and site at which the process was killed, could have been killed, was stopped, could
  // have been stopped.
  static size_t kills();
  static size_t mortals();
  static size_t stops();
  static size_t stoppables();
  static void forget();
};

}  // namespace ringfence::explore
