// The file of a region: its temporary names, its opening, and the check of its header before it is mapped.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "backing.h"
#include "status.h"
#include "token.h"

namespace ringfence {

// The failed operation, and the system's text for `errno`.
std::string systemError(const char* what);

// The absolute path, which stays valid when the working directory changes.
std::string absolute(const std::string& path);

// A region that is being created: `<path>.creating-` and eight digits. No other name may count as one, because
// leftovers under such names are removed.
constexpr const char* temporaryMark = ".creating-";

bool isTemporary(const std::string& path);

// Removes the temporary files of creators that died before they published.
void removeAbandoned(const std::string& path);

// Why a region's file cannot be opened, from `errno`.
Status openFailed(const std::string& path);

// Negative when it cannot be opened. Does not follow a symbolic link.
int openRegionFile(const std::string& path);

// The caller closes `fd` if it is not negative, even after a failure.
Status openExisting(const std::string& path, bool allowForeign, int& fd, struct stat& file);

// Reads the header without mapping the file: a mapped short file would end the process with SIGBUS. A device cannot be
// read, and is as long as the system says: its header is mapped.
Status readHeader(int fd, uint64_t fileBytes, const Backing& backing, HeaderCopy& header);

// Identifies this run of the host's system; zeros where the system does not tell.
void bootId(uint64_t id[2]);

// A processor without instructions for flushed memory.
Status cannotFlush();

// `otherHost` when the region was made on another host, or before this one was started: its locks, doorbells and clocks
// mean nothing here.
Status ofThisHost(const HeaderCopy& header);

}  // namespace ringfence
