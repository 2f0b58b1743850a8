// Rings of one page, and both of their ends with contents that can be checked: its number determines the contents of a
// frame.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "log_fixture.h"
#include "ring/ring_reader.h"
#include "ring/ring_writer.h"

namespace ringfence::test {

constexpr uint64_t ringBytes = 4096;

// Two rings of one page with three readers each.
Geometry ringGeometry();
// Another process of the same anonymous memory.
std::shared_ptr<Region> attachedAgain(const Region& region, const char* name = "again");

std::unique_ptr<RingWriter> writerOf(const std::shared_ptr<Region>& region, const std::string& name = "ring");
// Pass the writer's memory to give both ends the same addresses, by which the thread sanitizer finds races.
std::unique_ptr<RingReader> readerOf(const std::shared_ptr<Region>& region, const std::string& name = "ring",
                                     std::shared_ptr<RingMemory> memory = nullptr);

// The byte at a position, as JavaScript's buffer has it.
inline uint8_t* byteAt(const RingMemory& memory, uint64_t position) {
  return memory.base() + (position & (memory.bytes() - 1));
}

// Payload bytes of a frame: 4 to 303, all residues of the alignment.
uint32_t payloadBytesOf(uint64_t number);
void fillPayload(uint64_t number, uint8_t* payload);
// Appends the frame of that number; false when there is no room.
bool append(RingWriter& writer, uint64_t number);
uint64_t fill(RingWriter& writer, uint64_t number);

// Reads as JavaScript does, with the same checks: whole frames, one after the other.
class RingFollowing {
 public:
  explicit RingFollowing(RingReader& reader, uint64_t first = 0)
      : next(first), reader_(reader), at_(reader.cursors().read) {}

  // Takes all frames, checks their contents, and releases them unless `keep`. Returns their number.
  uint64_t take(bool keep = false);
  // The same without a check of the contents; false at an invalid frame.
  bool walk();
  void giveBack() { reader_.advance({at_, at_, at_, at_}); }

  uint64_t next;  // number of the next frame

 private:
  bool frame(uint64_t limit, FrameHeader& header, const uint8_t*& payload) const;

  RingReader& reader_;
  uint64_t at_;
};

}  // namespace ringfence::test
