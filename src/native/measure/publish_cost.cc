#include "publish_cost.h"

#include <algorithm>

#include "region/futex.h"

namespace ringfence {

namespace {

constexpr uint16_t messageKind = 16;

}  // namespace

Status PublishCost::open(const std::string& path, const std::string& processName, const std::vector<std::string>& rings,
                         std::unique_ptr<PublishCost>& cost) {
  auto made = std::make_unique<PublishCost>();
  AttachOptions options;
  options.path = path;
  options.processName = processName;
  Status status = Region::attach(options, made->region_);
  for (const std::string& name : rings) {
    RingRole role;
    if (status.ok()) status = claimRing(*made->region_, name, role);
    if (!status.ok()) return status;
    auto memory = made->region_->mapRing(role.ring);
    if (memory == nullptr) return Status::failed("system", "the ring cannot be mapped");
    made->writers_.push_back(std::make_unique<RingWriter>(made->region_, std::move(memory), role));
  }
  if (status.ok()) cost = std::move(made);
  return status;
}

uint64_t PublishCost::nanos(size_t ring, uint32_t publishes, uint64_t messageBytes) {
  RingWriter& writer = *writers_[ring];
  const std::vector<uint8_t> payload(std::min<uint64_t>(messageBytes, writer.payloadBytesMax()));
  const Frame frame{messageKind, 0, 0, 0, 0, 0, payload.data(), static_cast<uint32_t>(payload.size())};
  const uint64_t started = monotonicNanos();
  for (uint32_t left = publishes; left > 0; left -= 1) {
    writer.append(frame);
    writer.publish(false);
  }
  return monotonicNanos() - started;
}

void PublishCost::close() {
  writers_.clear();
  if (region_ != nullptr) region_->close();
}

}  // namespace ringfence
