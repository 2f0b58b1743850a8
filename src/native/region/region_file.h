// The file of a region: its temporary names, its opening, and the judgement of its header before anything is mapped.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "layout.h"
#include "status.h"

namespace ringfence {

// What the operation was, and what the system says of it.
std::string systemError(const char* what);

// The name outlives a change of the working directory.
std::string absolute(const std::string& path);

// A region that is being made: `<path>.creating-` and eight digits of its own. Nothing else is taken for one, as it would
// be removed when no process holds it.
constexpr const char* temporaryMark = ".creating-";

bool isTemporary(const std::string& path);

// Removes the temporary files of creators that died before they published.
void removeAbandoned(const std::string& path);

// Why a file that is looked at as a region cannot be opened: as `errno` has it.
Status openFailed(const std::string& path);

// Negative when it cannot be opened. A symbolic link is not followed.
int openRegionFile(const std::string& path);

// `fd` is the caller's to close once it is not negative, however this ends.
Status openExisting(const std::string& path, bool allowForeign, int& fd, struct stat& file);

// Reads the first page without mapping anything, so that a short file cannot hurt.
Status readHeader(int fd, uint64_t fileBytes, Header& header);

}  // namespace ringfence
