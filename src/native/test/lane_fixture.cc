#include "lane_fixture.h"

#include <algorithm>

namespace ringfence::test {

int32_t LaneFollowing::take(uint32_t max, bool keep) {
  BatchView views[64];
  const int32_t count = reader_->poll(views, std::min(max, 64U));
  for (const BatchView& view : lent_) check(view, "a lent batch was overwritten");
  for (int32_t i = 0; i < count; i += 1) {
    const BatchView& view = views[i];
    if (view.index != count_ || view.position != position_) wrong = "it skips a number";
    check(view, "a batch is not what was published");
    const uint32_t broker = view.lane / region_->layout().geometry.clients;
    std::vector<uint64_t>& lane = taken_[{view.sessionId, broker}];
    if (!lane.empty() && view.batchSequence <= lane.back()) wrong = "a lane is out of order";
    lane.push_back(view.batchSequence);
    lent_.push_back(view);
    count_ += 1;
    position_ += view.messages;
  }
  if (count >= 0 && !keep) giveBack();
  return count;
}

void LaneFollowing::check(const BatchView& view, const char* what) {
  const BatchContents contents = contentsOf(view.sessionId, view.batchSequence, 64);
  const uint8_t* at = region_->laneBytes(view.lane) + view.payloadOffset;
  const bool same = view.messages == contents.messages && view.payloadBytes == contents.payloadBytes &&
                    view.uniformBytes == contents.uniformBytes && view.firstMessage == firstMessageOf(view.batchSequence) &&
                    std::equal(contents.bytes.begin(), contents.bytes.end(), at);
  if (!same) wrong = what;
}

}  // namespace ringfence::test
