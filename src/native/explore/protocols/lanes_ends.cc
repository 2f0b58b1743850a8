#include "lanes_ends.h"

#include "explore/trace.h"
#include "region/token.h"

namespace ringfence::explore {

namespace {

bool deaths() { return Scheduler::now().deaths(); }

bool isPublished(const Region& region, uint64_t index, uint64_t generation) {
  return peek<&Descriptor::token>(region.descriptor(0, index)) == readyToken(region.mark(), index, generation);
}

}  // namespace

bool Taking::attach(From from) {
  const Status status = reader_.attach(from, 0);
  if (!status.ok()) Trace::say(std::string("is not attached: ") + status.fault);
  return status.ok();
}

// Loads what it was lent behind the pause: what its host has loaded once, it does not see overwritten.
void Taking::take(uint64_t pause) {
  BatchView views[16];
  const int32_t filled = reader_.poll(views, 16);
  expect(filled >= 0, "what is read contradicts itself");
  if (pause != 0 && filled != 0) Scheduler::now().giveWay(pause);
  for (int32_t i = 0; i < filled; i += 1) check(views[i]);
  reader_.release(reader_.next());
}

void Taking::receive(uint64_t batches, Sleeper& sleeper) {
  while (count_ < batches && !deaths()) {
    const auto look = [&] { return reader_.committed() > reader_.next() || deaths(); };
    sleeper.until(sleepsForData, "a batch", look, [&] { return moreIsThere(); });
    take();
  }
  for (int i = 0; count_ < batches && i < 10; i += 1) {
    Scheduler::now().giveWay(pauseNanos);
    take();
  }
}

// Whether the descriptor behind those that it took is published, in the lane of the present generation.
bool Taking::moreIsThere() const {
  const uint64_t generation = peek<&ClientClaim::generation>(region_->client(0).claim);
  for (uint64_t session = 1; session <= generation; session += 1) {
    if (isPublished(*region_, count_, session)) return true;
  }
  return false;
}

void Taking::check(const BatchView& view) {
  checkContents(*region_, view);
  const uint64_t clients = region_->layout().geometry.clients;
  const uint64_t generation = (view.sessionId - 1) / clients + 1;
  const auto [last, first] = last_.try_emplace({generation, view.lane}, view.batchSequence);
  const uint64_t step = region_->layout().geometry.brokers;
  expect(first || view.batchSequence == last->second + step, "a lane's batches are not in order");
  last->second = view.batchSequence;
  taken_[generation].push_back(view.batchSequence);
  count_ += 1;
}

std::shared_ptr<Taking> taker(Served& log, Attached& place, bool attached) {
  std::shared_ptr<Taking> taking;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, log.topic, "reader", claim), "claiming a reader's place");
    taking = std::make_shared<Taking>(place.region, claim);
    if (attached) expect(taking->attach(From::start), "the reader is not attached");
  });
  return taking;
}

std::shared_ptr<Taking> takerOf(TopicPlace topic, Attached& place) {
  std::shared_ptr<Taking> taking;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, topic, "reader", claim), "claiming a reader's place");
    taking = std::make_shared<Taking>(place.region, claim, topic.index);
    expect(taking->attach(From::start), "the reader is not attached");
  });
  return taking;
}

uint64_t publishedBy(const Region& region, uint64_t generations) {
  uint64_t index = 0;
  for (uint64_t generation = 1; generation <= generations; generation += 1) {
    while (isPublished(region, index, generation)) index += 1;
  }
  return index;
}

}  // namespace ringfence::explore
