#include "defects.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>

#include "coverage.h"
#include "judging.h"
#include "model.h"

namespace ringfence::explore {

namespace {

// A defect of a protocol itself (region/planted.h).
struct Defect {
  const char* name;
  const char* protocol;
  const char* configuration;
  double effort = 1;  // times the seconds of the others: for one that takes several deviations
};

constexpr Defect allDefects[] = {
    {"rejoin after the end", "ring", "late reader"},
    {"room flag of a later writer", "ring", "late writer"},
    {"an attachment gives room back in silence", "ring", "attach"},
    {"a ring without a writer never ends", "ring", "open"},
    {"a position is stored in place ahead of its frames", "ring", "deliver"},
    {"a position is stored in place without a fence", "ring", "wake"},
    {"the writer looks for no sleeper behind a position that it stores", "ring", "wake"},
    {"a sleep word without its bit", "ring", "wake by FIFO"},
    {"a wait for cursors without its bit", "ring", "two wait"},
    {"a wait for cursors is announced behind its look", "ring", "two wait"},
    {"a ringer takes a waiter's bit back", "ring", "two wait"},
    {"the FIFO of a former process is rung", "bells", "remade"},
    {"a ring that no FIFO takes is kept quiet", "bells", "elsewhere"},
    {"a look that others do not see", "bells", "looking"},
    {"hold of a removed name", "region", "holding"},
    {"the slot of a living client is given on", "log", "woken"},
    {"a trim ahead of a reader", "log", "trim"},
    {"a release ahead of its trim", "log", "trim"},
    {"a share ahead of a sleep", "log", "stripes"},
    {"a copy is believed without a look", "log", "lapped"},
    {"a copy is believed without a look", "takeover", "lapped"},
    {"a copy is believed without a look", "takeover", "lapped by a rival"},
    {"a gap reaches to a frontier that is taken back", "log", "lapped beside a gate"},
    {"an old epoch is believed", "takeover", "suspicion"},
    {"a trim without its fact", "takeover", "gap"},
    {"a slot that an entry alone names", "takeover", "laps"},
    {"facts of the slot's former session", "takeover", "regained", 4},
    {"the base of a restored topic", "takeover", "left behind", 4},
    {"a place that is freed in a last pass", "takeover", "left behind", 4},
    {"a fact ahead of the prefix", "takeover", "wrapped"},
    {"entries behind the window", "takeover", "wrapped"},
    {"a torn frontier refuses a reader", "takeover", "watched", 4},
    {"a damaged session ends under its readers", "lanes", "damaged"},
    {"a claim is adopted ahead of its predecessor's end", "identity", "fence"},
    {"a release behind an end is believed", "identity", "outlived"},
    {"a session that its identity's line does not name", "identity", "adoption"},
    {"a trim ahead of the replicas", "replicas", "back"},
    {"what the server requires is not read", "replicas", "told"},
    {"a dead replica's torn line hides the others", "replicas", "copies"},
    {"a cursor goes back", "cursors", "heir"},
    {"a former holder commits", "cursors", "usurped"},
    {"a dead holder's write stays unfinished", "cursors", "half committed"},
};

// A fault at one site, named by what it means.
struct NamedFault {
  const char* name;
  const char* protocol;
  const char* configuration;
  const char* site;     // how the site's name begins
  Fault fault;
  const char* failure;  // how the schedule's failure begins
};

// Over flushed memory: one write-back or invalidation is left out.
constexpr NamedFault allOfLines[] = {
    {"a mark is published without its write-back", "log", "publish", "LaneWriter::publish, wrote Descriptor", Fault::dropped, ""},
    {"a batch is published without the write-back of its payload", "log", "brokers", "LaneWriter::seal, wrote lane payload", Fault::dropped, ""},
    {"a descriptor is looked at as it was fetched before", "log", "brokers", "descriptorReady, willRead Descriptor", Fault::dropped, ""},
    {"an index entry is not written back", "log", "gap", "commit, wrote IndexEntry", Fault::dropped, ""},
    {"an index entry is read as it was fetched before", "log", "room", "IndexReader::read, willRead IndexEntry", Fault::dropped, ""},
    {"a batch is read as it was fetched before", "log", "publish", "IndexReader::poll, willRead lane payload", Fault::dropped, ""},
    {"a copy is made of what was fetched before", "log", "lapped", "LappedReader::copyUnproven, willRead lane payload", Fault::dropped, ""},
};

constexpr const char* byAnother = "a store by another than the writer";
constexpr const char* falls = "what only rises falls";

// One for each role, and one for each kind of cursor or frontier.
constexpr NamedFault allOfStores[] = {
    {"a process that claims stores in the creator's line", "claims", "sessions", "ClaimLock::say, publish", Fault::astray, byAnother},
    {"a claimant does", "claims", "sessions", "claimClient (a lambda), publish ClientClaim", Fault::astray, byAnother},
    {"a giver of names does", "ring", "open", "giveName, publish", Fault::astray, byAnother},
    {"the sequencer does", "log", "publish", "commit, write IndexEntry", Fault::astray, byAnother},
    {"a broker does", "log", "reuse", "grantLanes, publish GrantLine", Fault::astray, byAnother},
    {"a publisher does", "log", "publish", "LaneWriter::seal, write Descriptor", Fault::astray, byAnother},
    {"a subscriber does", "log", "publish", "IndexReader::release, publish ReaderLine", Fault::astray, byAnother},
    {"a ring's writer does", "ring", "attach", "RingWriter::publish, publish RingLead", Fault::astray, byAnother},
    {"a ring's writer does, with a frame", "ring", "attach", "RingWriter::append, writeBytes ring data", Fault::astray, byAnother},
    {"a ring's reader does", "ring", "attach", "RingReader::writeLine, publish RingReaderLine", Fault::astray, byAnother},
    {"a frontier of the sequencer goes back", "log", "publish", "publishSealed, write", Fault::fallen, falls},
    {"a session's acknowledged prefix goes back", "log", "publish", "publishAcknowledged, write SessionLine::Acknowledged.batches", Fault::fallen, falls},
    {"a subscriber's cursor goes back", "log", "publish", "IndexReader::release, publish ReaderLine.cursor", Fault::fallen, falls},
    {"a ring's position goes back", "ring", "attach", "RingWriter::publish, publish RingLead.position", Fault::fallen, falls},
    {"a ring reader's cursor goes back", "ring", "attach", "RingReader::writeLine, publish RingReaderLine.released", Fault::fallen, falls},
};

const Protocol* protocolOf(const char* name) {
  for (const Protocol& protocol : protocols()) {
    if (std::strcmp(protocol.name, name) == 0) return &protocol;
  }
  return nullptr;
}

Tried onlyOf(const char* protocol, const char* configuration) {
  Tried tried;
  for (const Configuration& one : protocolOf(protocol)->configurations) {
    if (std::strcmp(one.name, configuration) == 0) tried.push_back(&one);
  }
  return tried;
}

bool foundByName(const NamedFault& named, const Limits& limits) {
  const Tried tried = onlyOf(named.protocol, named.configuration);
  Coverage::forget();
  search(*tried.at(0), {.deviations = 0, .seed = limits.seed});
  const std::vector<SiteSeen> sites = Coverage::sites();
  const auto site = std::find_if(sites.begin(), sites.end(), [&](const SiteSeen& one) { return one.name.starts_with(named.site); });
  Verdict verdict;
  if (site != sites.end()) {
    Coverage::plant(*site, named.fault);
    verdict = judge(tried, limits);
    Coverage::plantNone();
  }
  const bool found = verdict.found && verdict.failure.starts_with(named.failure);
  std::printf("%-8s %-60s %s %s \"%s\": %s\n", named.protocol, named.name,
              found ? "found" : verdict.found ? "FOUND OTHERWISE" : site != sites.end() ? "SURVIVES" : "HAS NO SITE",
              named.configuration, verdict.schedule.c_str(), verdict.failure.c_str());
  std::fflush(stdout);
  return found;
}

bool allFoundByName(std::span<const NamedFault> faults, const Limits& limits) {
  bool found = true;
  for (const NamedFault& named : faults) found = foundByName(named, limits) && found;
  return found;
}

}  // namespace

bool defects(const Limits& limits) {
  bool found = allFoundByName(allOfStores, limits);
  if (Model::now().hasLines()) return allFoundByName(allOfLines, limits) && found;
  for (const Defect& defect : allDefects) {
    Coverage::plantDefect(defect.name);
    Limits own = limits;
    own.seconds *= defect.effort;
    const Verdict verdict = judge(onlyOf(defect.protocol, defect.configuration), own);
    Coverage::plantDefect("");
    found = found && verdict.found;
    std::printf("%-8s %-42s %s %s \"%s\": %s\n", defect.protocol, defect.name, verdict.found ? "found" : "SURVIVES",
                verdict.configuration.c_str(), verdict.schedule.c_str(), verdict.failure.c_str());
    std::fflush(stdout);
  }
  return found;
}

}  // namespace ringfence::explore
