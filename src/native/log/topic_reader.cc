#include "topic_reader.h"

#include "index_reader.h"
#include "lane_reader.h"
#include "lapped_reader.h"

namespace ringfence {

// It does not pause on a torn line: its thread runs the event loop. The caller retries.
std::unique_ptr<TopicReader> readerOf(std::shared_ptr<Region> region, TopicPlace topic, Claim claim, const ReaderKind& kind) {
  if (claim.unordered) return std::make_unique<LaneReader>(std::move(region), topic.index, claim, 0);
  if (kind.lapped) return std::make_unique<LappedReader>(std::move(region), topic.index, claim, 0, kind);
  return std::make_unique<IndexReader>(std::move(region), topic.index, claim, 0, kind);
}

}  // namespace ringfence
