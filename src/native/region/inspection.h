// What a region's file says of itself, without attaching, and its removal: for people who look after a machine.
#pragma once

#include <cstdint>
#include <string>

#include "layout.h"
#include "process_table.h"
#include "status.h"

namespace ringfence {

struct Inspection {
  bool region = false;      // it is one of ours, of this layout
  const char* fault = "";   // why not: as the status of an attachment to it
  std::string detail;       // what is wrong with it
  uint64_t bytes = 0;
  ProcessPid creator;
  uint64_t createdMillis = 0;
  bool served = false;
  bool held = false;        // its creator lives, or another process that keeps it in use
  uint32_t attached = 0;    // living processes
  bool temporary = false;   // was never published: its creator died
  Geometry geometry{};      // its sizes, where it is one of ours
};

Inspection inspect(const std::string& path);

// Removes a region that only dead processes hold. Fails with the reason while one of them lives.
Status removeDead(const std::string& path);

}  // namespace ringfence
