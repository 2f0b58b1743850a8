// The writers of shared lines, as passkeys: the actor alone that is named here can make the key of its role, and without
// the key no line of that role can be written. A role is given on to the functions that write for that actor.
#pragma once

namespace ringfence {

class Region;
class RingReader;
class RingWriter;

namespace role {

// Makes a region.
class Creator {
  friend class ringfence::Region;
  Creator() {}
};

// The process of a slot of the process table.
class Process {
  friend class ringfence::Region;
  Process() {}
};

class RingWriter {
  friend class ringfence::RingWriter;
  RingWriter() {}
};

class RingReader {
  friend class ringfence::RingReader;
  RingReader() {}
};

}  // namespace role

}  // namespace ringfence
