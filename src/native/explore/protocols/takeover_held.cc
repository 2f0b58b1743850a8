#include "takeover_held.h"

#include <algorithm>

#include "region/sealed_line.h"
#include "takeover_log.h"

namespace ringfence::explore {

namespace {

using namespace takeover;

// A server is held up in its last pass, behind its look at the heads, until its successor has read what it had published. What
// another process believes then its successor has recovered. The head that each look begins with is the successor's.
void believed() {
  Log log(false, orderSession);
  log.goesOnAhead();
  log.publishes(1);
  Attached believer(*log.region, "believer", false, false), standby(*log.region, "standby", false, false);
  const auto& spare = log.first.region->topicLine(2, 0).committedSpare;
  Scheduler::now().holdUp(Scheduler::Held::ahead, log.first.program.process(), &RawLine::of(spare).entries);
  log.first.program.runs([serving = log.serving] { serving->step(); });
  const auto entries = make_shared<uint64_t>(0);
  believer.program.runs([=, at = believer.region] {
    for (int i = 0; i < 2; i += 1) {
      EpochView view(*at);
      TopicLine::Committed line;
      if (!view.look()) return;
      const TopicLine& topic = at->topicLine(view.epoch(), 0);
      const bool whole = readEither(at->publication(), topic.committed, topic.committedSpare, line);
      if (view.believes() && whole) *entries = std::max(*entries, line.entries);
    }
  });
  const auto next = make_shared<Sequencer>(standby.region, manual());
  standby.program.runs([next] {
    expectOk(next->start(2), "taking the log over from a server that is suspected");
    Scheduler::now().letAllGo();
  });
  atEnd([=, at = log.region, kept = next] {
    const uint64_t recovered = peek<&TopicLine::Committed::entries>(at->topicLine(newestSeen(*at).number, 0).committed);
    expect(*entries <= recovered, "T1: more is believed than is recovered");
  });
}

// The same server trims, and is held up behind the frontier, as is a process ahead of its attachment, for which the server takes
// the frontier back. The process is refused, or what it begins with is there.
void attaching() {
  Log log(false, orderSession);
  log.goesOnAhead();
  log.publishes(6);
  log.settles();
  log.reads();
  log.publishes(1);
  Attached visitor(*log.region, "visitor", false, false), standby(*log.region, "standby", false, false);
  Claim place;
  visitor.program.ahead([&] { expectOk(claimReader(*visitor.region, log.topic, "visitor", place), "claiming a reader's place"); });
  const auto& frontier = log.first.region->topicLine(2, 0).retention;
  Scheduler::now().holdUp(Scheduler::Held::behind, log.first.program.process(), &RawLine::of(frontier).seal);
  const auto& line = visitor.region->reader(0, place.slot).line;
  Scheduler::now().holdUp(Scheduler::Held::ahead, visitor.program.process(), &RawLine::of(line).attachedGeneration);
  visitor.program.runs([=, at = visitor.region] { visit(at, place); });
  log.first.program.runs([serving = log.serving] { serving->step(); });
  const auto next = make_shared<Sequencer>(standby.region, manual());
  atEnd([next] {});
  standby.program.runs([next] {
    expectOk(next->start(2), "taking the log over from a server that is suspected");
    Scheduler::now().letAllGo();
  });
}

// A server is held up as it clears the facts of a slot's former session, and goes on while its successor reads them.
void cleared() {
  Log log(false, orderTotal, 2);
  sealTwo(log);
  log.settles();
  log.publisher.program.ahead([&] { log.publishing->lanes().publish(0); });
  log.settles();
  log.reads();
  log.reclaims();
  const auto& line = log.first.region->factLine(1, 0, 0);
  Scheduler::now().holdUp(Scheduler::Held::ahead, log.first.program.process(), &RawLine::of(line).facts[1]);
  log.serves();
  Program starter("starter", false);
  starter.runs([] { Scheduler::now().letAllGo(); });
  Attached standby(*log.region, "standby", false, false);
  log.standsBy(standby, true);
  log.ends(2);
}

// Another server has taken the log over, and the first one has it again. That one is held up as it trims, ahead of the frontier, until the process has attached, and then
// behind it, ahead of its second look at the readers, until the first one, which suspects it, has the log again.
void hasItBack(bool anew) {
  Log log(false, orderSession);
  log.publishes(6);
  log.settles();
  log.reads();
  log.publishes(1);
  Attached other(*log.region, "other server", false, false), visitor(*log.region, "visitor", false, false);
  Claim place;
  visitor.program.ahead([&] {
    if (!anew) expectOk(claimReader(*visitor.region, log.topic, "visitor", place), "claiming a reader's place");
  });
  const TopicLine& lines = other.region->topicLine(2, 0);
  const uint64_t* ahead = &RawLine::of(lines.retentionSpare).trim;
  Scheduler::now().holdUp(Scheduler::Held::ahead, other.program.process(), ahead);
  Scheduler::now().holdUp(Scheduler::Held::behind, other.program.process(), &RawLine::of(lines.retention).seal);
  const auto again = make_shared<Sequencer>(log.first.region, manual()), second = make_shared<Sequencer>(other.region, manual());
  atEnd([again, second] {});
  const auto looked = make_shared<bool>(false), serves = make_shared<bool>(false), attached = make_shared<bool>(false);
  const auto stepped = make_shared<bool>(false), served = make_shared<bool>(false);
  const auto before = make_shared<uint64_t>(0);  // the frontier's seal
  log.first.program.runs([=, at = log.first.region, serving = log.serving] {
    serving->endDead();
    *looked = true;
    const auto trims = [&] { return peek<&TopicLine::Retention::seal>(at->topicLine(2, 0).retention) != *before; };
    while (!*attached || (!trims() && !*stepped)) Scheduler::now().giveWay(pause);
    for (int i = 0; i < 2; i += 1) serving->endDead();
    expectOk(again->start(2), "taking the log over again");
    *served = true;
    Scheduler::now().letAllGo();
  });
  other.program.runs([=, at = other.region] {
    while (!*looked) Scheduler::now().giveWay(pause);
    expectOk(second->start(1), "taking the log over from a server that is suspected");
    *before = peek<&TopicLine::Retention::seal>(at->topicLine(2, 0).retention);
    *serves = true;
    while (second->step()) continue;
    *stepped = true;
  });
  visitor.program.runs([=, at = visitor.region, topic = log.topic] {
    while (!*serves) Scheduler::now().giveWay(pause);
    const shared_ptr<IndexReader> reader = attachedAs(at, topic, place, !anew);
    *attached = true;
    Scheduler::now().letGoOn(ahead);
    while (!*served) Scheduler::now().giveWay(pause);
    BatchView views[16];
    const int32_t filled = reader->poll(views, 16);
    expect(filled == 7 && reader->next() == 7, "T4: what an attached reader holds contradicts itself");
    reader->detach();
  });
}
void takenBack() { hasItBack(false); }
void takenBackAnew() { hasItBack(true); }

}  // namespace

std::vector<Configuration> takeoverHeld() {
  return {
    {"believed", "a server is held up in its last pass until its successor has read what it had published", &believed},
    {"attaching", "the same as it trims, while a process attaches", &attaching},
    {"taken back", "a server is held up as it trims, another has the log again, and a process has attached meanwhile", &takenBack},
    {"taken back anew", "the same, and the process has claimed its place meanwhile", &takenBackAnew},
    {"cleared", "a server is held up as it clears the facts of a slot's former session, while its successor reads them", &cleared},
  };
}

}  // namespace ringfence::explore
