// The cost of publishing to a ring, measured natively on an attachment of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ring/ring_writer.h"

namespace ringfence {

class PublishCost {
 public:
  // Attaches to the region at this path as the writer of these rings.
  static Status open(const std::string& path, const std::string& processName, const std::vector<std::string>& rings,
                     std::unique_ptr<PublishCost>& cost);
  ~PublishCost() { close(); }

  // Nanoseconds to write `publishes` messages of that size to one of the rings, each published on its own.
  uint64_t nanos(size_t ring, uint32_t publishes, uint64_t messageBytes);
  size_t rings() const { return writers_.size(); }
  void close();

 private:
  std::shared_ptr<Region> region_;
  std::vector<std::unique_ptr<RingWriter>> writers_;
};

}  // namespace ringfence
