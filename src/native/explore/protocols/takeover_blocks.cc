#include "takeover_blocks.h"

#include <cstring>

#include "attached.h"
#include "log_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

SequencerOptions manual() {
  SequencerOptions options;
  options.manual = true;
  return options;
}

// Takes the log over from the server of that epoch, which is suspected.
void succeed(Sequencer& sequencer, uint64_t epoch) {
  expectOk(sequencer.start(epoch), "taking the log over from a server that is suspected");
}

template <class Lines>
bool saysNothing(const Lines& lines) {
  const auto* words = reinterpret_cast<const uint64_t*>(&lines);
  for (size_t i = 0; i < sizeof(lines) / sizeof(uint64_t); i += 1) {
    if (peek(words[i]) != 0) return false;
  }
  return true;
}

// What its server does not know of the former epoch is not there.
void expectNothingLeft(const Region& region, uint64_t epoch) {
  const bool topic = peek<&TopicLine::Adoption::generation>(region.topicLine(epoch - 1, 1).adoption) != 0;
  expect(topic || saysNothing(region.topicLine(epoch, 1)), "the block says what an earlier epoch left of a topic");
  const bool session = peek<&SessionLine::Acknowledged::generation>(region.sessionLine(epoch - 1, 0).acknowledged) != 0;
  expect(session || saysNothing(region.sessionLine(epoch, 0)), "the block says what an earlier epoch left of a session");
}

// In its last pass a server adopts a session and a restored topic, and frees the topic's place for another. Its successor has read that
// part of its block before, and is replaced ahead of a pass of its own, as is the next one; the epoch behind that has the
// first one's block.
void leftBehind() {
  Geometry g = logGeometry(1, 1);
  g.topics = 2;
  g.epochBlocks = 3;
  g.processes = 8;
  const auto region = made(g);
  Attached first(*region, "first server", false, false), client(*region, "client", false, false);
  Attached second(*region, "second server", false, false), third(*region, "third server", false, false);
  Attached fourth(*region, "fourth server", false, false);
  const auto servers = make_shared<std::vector<shared_ptr<Sequencer>>>();
  for (const Attached* place : {&first, &second, &third, &fourth}) servers->push_back(make_shared<Sequencer>(place->region, manual()));
  first.program.ahead([&] {
    TopicView kept;
    expectOk(servers->at(0)->start(), "starting the first server");
    expectOk(declareTopic(*first.region, "t", orderSession, 1, kept), "declaring the topic");
    expect(servers->at(0)->keepTopic(kept.place()), "the topic is not kept");
    client.program.ahead([&] {
      Claim claim;
      TopicView topic;
      TopicWish wish;
      expectOk(claimClient(*client.region, kept.place(), claim), "claiming a session");
      expectOk(restoreTopic(*client.region, "u", orderSession, 1, {2, 3, 0}, topic), "restoring another topic");
      const Status status = declareTopic(*client.region, "v", orderSession, 1, topic, &wish);
      expect(std::strcmp(status.fault, "wished") == 0, "a place is free that a topic has");
    });
  });
  first.program.runs([servers] { servers->at(0)->step(); });
  second.program.runs([servers] { succeed(*servers->at(1), 1); });
  atEnd([=]() mutable {
    first.program.ahead([&] {
      for (int i = 0; i < 2; i += 1) servers->at(0)->endDead();
    });
    third.program.ahead([&] { succeed(*servers->at(2), 2); });
    fourth.program.ahead([&] { succeed(*servers->at(3), 3); });
    expectNothingLeft(*region, 4);
  });
}

}  // namespace

std::vector<Configuration> takeoverBlocks() {
  return {{"left behind", "an epoch has the block of one that adopted a session and a restored topic in its last pass", &leftBehind}};
}

}  // namespace ringfence::explore
