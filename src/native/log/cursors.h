// Named cursors: each says how far a topic was read and handled, has one holder at a time, and outlives it.
//
//   any process, under the slot's lock   looks at the cursor │ spare │ line
//   a new name                           under the names lock first
//
// The process that writes a cursor holds its slot's lock, which the system frees when a process dies: so a holder that was stopped
// and has lost the cursor meanwhile finds that out ahead of its first store, and a death at any store leaves the line or
// its spare whole. No server takes part. Docs: protocols.md, "Cursors".
#pragma once

#include <string>
#include <vector>

#include "claims.h"
#include "region/region.h"

namespace ringfence {

// A holder's right to a cursor. `holding` never comes back in its slot: who took the cursor later has a greater one.
struct CursorHold {
  uint32_t index = 0;
  uint32_t holding = 0;
};

struct CursorRequest {
  std::string name;
  uint64_t expiresMillis = 0;
  uint64_t nowMillis = 0;  // wall clock
  bool takeOver = false;   // also from a living process
};

struct CursorView {
  uint32_t index = 0;
  TopicPlace topic{};
  std::string name;
  uint32_t holding = 0;
  uint32_t changes = 0;
  bool committed = false;
  uint64_t position = 0;  // the records below are handled, if any were committed
  uint64_t touchedMillis = 0;
  uint64_t expiresMillis = 0;
  uint64_t wantedMicros = 0;  // a holder waits until a look that began later is stored
  bool held = false;          // by a living process:
  std::string process;
  ProcessPid pid{};

  bool expired(uint64_t nowMillis) const { return !held && nowMillis > touchedMillis + expiresMillis; }
};

// The cursors of all topics that are not over, expired ones too. Counts the slots that were damaged, of which it has none.
std::vector<CursorView> cursorsOf(const Region& region, uint32_t* damaged = nullptr);

// The same, and the monotonic clock ahead of the look: what was committed by then is seen.
struct CursorLook {
  uint64_t micros = 0;
  std::vector<CursorView> cursors{};
  uint32_t damaged = 0;
};
CursorLook lookAtCursors(const Region& region);

// Takes the cursor of that name, an existing or a new one. Fails with `held`, naming the process, while another holder lives
// that is not to be taken over; `full` with the numbers when every slot has a cursor that has not expired; `corrupt` where a
// slot was damaged; `gone` when the topic has been freed; `busy` and `recovering`: try again soon.
Status holdCursor(Region& region, TopicPlace topic, const CursorRequest& request, CursorHold& hold, CursorView& view);

struct CursorCommit {
  uint64_t position = 0;
  uint64_t nowMillis = 0;
  bool wanted = false;  // the holder waits until it is on disks
};
// `fenced` when another has the cursor, or none; `gone` and `busy` as above. `micros`: monotonic, behind the commit.
Status commitCursor(Region& region, const CursorHold& hold, const CursorCommit& commit, uint64_t& micros);
// Says that the holder is still there, so that the cursor does not expire as soon as it dies.
Status touchCursor(Region& region, const CursorHold& hold, uint64_t nowMillis);
Status leaveCursor(Region& region, const CursorHold& hold, uint64_t nowMillis);
// Names a cursor without a holder. `invalid` when the topic has it already.
Status restoreCursor(Region& region, TopicPlace topic, const CursorRequest& request, uint64_t position, uint64_t touchedMillis);

// Whether the files of the required replicas have what the topic's cursors said until that moment.
bool cursorsStored(const Region& region, uint32_t topic, uint64_t micros);

}  // namespace ringfence
