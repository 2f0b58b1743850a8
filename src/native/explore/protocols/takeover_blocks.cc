#include "takeover_blocks.h"

#include <cstring>

#include "attached.h"
#include "log_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t pause = 1'000'000;

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

// What its server knows of a restored topic has the topic's base.
void expectBase(const Region& region, uint64_t epoch, const TopicBase& base) {
  const TopicLine& topic = region.topicLine(epoch, 1);
  if (peek<&TopicLine::Adoption::generation>(topic.adoption) == 0) return;
  const uint64_t trim = peek<&TopicLine::Retention::trim>(topic.retention);
  const bool kept = trim == base.entries && peek<&TopicLine::Committed::entries>(topic.committed) == trim;
  expect(kept, "a restored topic has lost its base");
}

// In its last pass a server adopts a session and a restored topic, and frees the topic's place for another. Its successor has read that
// part of its block before, and is replaced ahead of a pass of its own, as is the next one; the epoch behind that has the
// first one's block.
void leftBehind() {
  const TopicBase restored{2, 3, 0};
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
      expectOk(restoreTopic(*client.region, "u", orderSession, 1, restored, topic), "restoring another topic");
      const Status status = declareTopic(*client.region, "v", orderSession, 1, topic, &wish);
      expect(std::strcmp(status.fault, "wished") == 0, "a place is free that a topic has");
    });
  });
  first.program.runs([servers] { servers->at(0)->step(); });
  second.program.runs([servers] { succeed(*servers->at(1), 1); });
  atEnd([=]() mutable {
    expectBase(*region, 2, restored);
    first.program.ahead([&] {
      for (int i = 0; i < 2; i += 1) servers->at(0)->endDead();
    });
    third.program.ahead([&] { succeed(*servers->at(2), 2); });
    fourth.program.ahead([&] { succeed(*servers->at(3), 3); });
    expectNothingLeft(*region, 4);
  });
}

template <class L>
void fill(L& line) {
  uint64_t words[sizeof(L) / sizeof(uint64_t)];
  for (uint64_t& word : words) word = 7;
  memory::copyIn(&RawLine::of(line), words, sizeof(words), {});
  memory::writeBack(&line, sizeof(line), {});
}

template <class L>
void expectEmpty(const Region& region, const L& line) {
  const typename L::Fields none{};
  const typename L::Fields local = region.publication().copy(line);
  expect(std::memcmp(&local, &none, sizeof(none)) == 0, "the block says what an earlier epoch left");
}

// The lines of a block that say what its epoch knows of a topic, a session and an identity, but for the counts of reports.
template <class Each>
void eachLine(const Region& region, uint64_t epoch, Each each) {
  TopicLine& topic = region.topicLine(epoch, 1);
  each(topic.committed), each(topic.committedSpare), each(topic.retention), each(topic.retentionSpare), each(topic.adoption);
  SessionLine& session = region.sessionLine(epoch, 0);
  each(session.acknowledged), each(session.acknowledgedSpare), each(session.adoption);
  for (uint64_t place = 0; place < region.layout().windowPlaces(); place += factsOfLine) each(region.factLine(epoch, 0, place));
  for (uint32_t i = 0; i < region.layout().identities(); i += 1) {
    IdentityLine& identity = region.identityLine(epoch, i);
    each(identity.standing), each(identity.standingSpare);
  }
}

// A successor's block has lines that an earlier epoch's last pass wrote, of which no server knows. The successor has looked at
// them before, and a client looks at them then.
void remains() {
  Geometry g = logGeometry(1, 1);
  g.topics = 2;
  g.epochBlocks = 3;
  const auto region = made(g);
  Attached standby(*region, "standby", false, false), first(*region, "first server", false, false);
  Attached client(*region, "client", false, false);
  const auto sequencer = make_shared<Sequencer>(standby.region, manual());
  atEnd([sequencer] {});
  first.program.ahead([&] {
    Sequencer serving(first.region, manual());
    TopicView topic;
    expectOk(serving.start(), "starting the first server");
    expectOk(declareTopic(*first.region, "t", orderSession, 1, topic), "declaring the topic");
    expect(serving.keepTopic(topic.place()), "the topic is not kept");
    serving.stop(true);
  });
  const auto looked = make_shared<bool>(false), filled = make_shared<bool>(false);
  standby.program.runs([=, at = standby.region] {
    eachLine(*at, 2, [&](auto& line) { static_cast<void>(at->publication().copy(line)); });
    *looked = true;
    while (!*filled) Scheduler::now().giveWay(pause);
    expectOk(sequencer->start(), "taking the log over");
  });
  first.program.runs([=, at = first.region] {
    while (!*looked) Scheduler::now().giveWay(pause);
    expect(at->tryLockBlock(2), "the block is not free");
    eachLine(*at, 2, [](auto& line) { fill(line); });
    at->unlockBlock();
    *filled = true;
  });
  client.program.runs([at = client.region] {
    EpochView view(*at);
    while (!view.look() || view.epoch() != 2) Scheduler::now().giveWay(pause);
    eachLine(*at, 2, [&](auto& line) { expectEmpty(*at, line); });
  });
}

}  // namespace

std::vector<Configuration> takeoverBlocks() {
  return {
    {"left behind", "an epoch has the block of one that adopted a session and a restored topic in its last pass", &leftBehind},
    {"remains", "an epoch's block has lines of an earlier one's last pass", &remains},
  };
}

}  // namespace ringfence::explore
