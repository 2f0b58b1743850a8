// A subscriber's reading end that holds nothing back: memory reuses what it has not read, and it tells that it was
// overtaken.
//
//   reader      copies entries and payload │ fence │ looks at the firm frontier, in the block of the present epoch
//   sequencer   firm frontier │ release │ (a publisher that believes the release) │ payload
//
// A copy that holds anything of a later batch was made behind that publisher's store. Its frontier, and the announcement of
// its epoch, came ahead of the store, so the look behind the copy sees both. Docs: protocols.md, "Lagging".
#pragma once

#include "index_reader.h"

namespace ringfence {

class LappedReader final : public IndexReader {
 public:
  using IndexReader::IndexReader;

  // Holds back what lies behind its place until it has found that, and nothing from its return on.
  Status attach(From from, uint64_t position) override;

  int32_t copy(BatchView* views, uint32_t max, uint8_t* to, uint64_t room) override;
  // For reports alone.
  void release(uint64_t released) override;
  bool resume(uint64_t index, uint64_t position) override;
  uint64_t position() const override { return nextPosition_; }

 private:
  // Batches that were copied and may have been overwritten since.
  struct Unproven {
    uint32_t filled = 0;
    bool refused = false;  // the entry behind them is not whole
  };
  Unproven copyUnproven(BatchView* views, uint32_t max, uint8_t* to, uint64_t room) const;
  bool lookAtKept(TopicLine::Retention& kept) const;
  void goOnAtOldest(const TopicLine::Retention& kept);
  void letGo();
};

}  // namespace ringfence
