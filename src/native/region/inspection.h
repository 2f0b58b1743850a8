// Inspects a region's file without attaching, and removes a dead one: for the administration of a machine.
#pragma once

#include <cstdint>
#include <string>

#include "bell_fifo.h"
#include "layout.h"
#include "process_table.h"
#include "status.h"

namespace ringfence {

struct Inspection {
  bool region = false;      // the file is a region of this layout
  const char* fault = "";   // if it is not: the fault of an attachment to it
  std::string detail;       // what is wrong with it
  uint64_t bytes = 0;
  ProcessPid creator;
  uint64_t createdMillis = 0;
  bool served = false;
  bool recoverable = false;  // its log was served, has not ended in good order, and no process serves it
  ProcessPid server;         // that served it last, or is about to
  bool held = false;        // its creator lives, or another process keeps it in use
  uint32_t attached = 0;    // living processes
  BellFile bell = BellFile::none;  // a FIFO of a process slot, which is no region
  bool temporary = false;   // not published: it is being created, or its creator died
  Geometry geometry{};      // its sizes, if it is a region of this layout
};

Inspection inspect(const std::string& path);

// Removes a region whose creator, server and holders are all dead. Fails with the reason while one of them lives, and
// with `recoverable` where its log can be continued, unless that is to be discarded.
Status removeDead(const std::string& path, bool discard = false);

}  // namespace ringfence
