#include "scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "arena.h"
#include "coverage.h"

namespace ringfence::explore {

void makeDelayedStores();

namespace {

constexpr uint64_t stepsMax = 200'000;
constexpr uint32_t roundsMax = 60;        // how often time may pass because no actor can run
constexpr uint32_t roundsOfAStop = 6;     // for how many of these rounds a stopped process stays stopped
constexpr uint64_t nanosOfATurn = 100'000;  // those who give way within so long have given way in one turn
constexpr uint64_t nanosOfALook = 5'000;  // how long reading the clock takes

}  // namespace

Scheduler& Scheduler::now() {
  static Scheduler scheduler;
  return scheduler;
}

void Scheduler::begin(const Schedule& schedule, bool tracing, Priorities* order) {
  {
    const OutsideArena outside;
    schedule_ = schedule;
    seen_.clear();
    marks_.clear();
    newEndings_.clear();
    failure_.clear();
    if (seen_.capacity() == 0) seen_.reserve(size_t{1} << 16);
  }
  // Never destroyed: their contents lay in the arena of the schedule before, which was reset.
  new (&processes_) std::vector<Process*>();
  new (&actors_) std::vector<Actor*>();
  new (&holds_) std::vector<Hold>();
  new (&onDeath) std::function<void(Process&)>();
  new (&onRest) std::function<void(Actor&)>();
  left_ = schedule.size();
  tracing_ = tracing;
  current_ = chosen_ = nullptr;
  setup_ = nullptr;
  exploring_ = peeking_ = deaths_ = stops_ = finishing_ = false;
  recording_ = left_ == 0;
  last_ = nullptr;
  order_ = order;
  clockNanos_ = 1'000'000'000;
  steps_ = 0;
  rounds_ = roundsOfStop_ = wentOn_ = 0;
}

Process& Scheduler::process(const std::string& name, bool mortal) {
  auto* made = new Process{static_cast<uint32_t>(processes_.size()), name, mortal, true, false, false, {}};
  processes_.push_back(made);
  return *made;
}

Actor& Scheduler::actor(Process& process, const std::string& name, std::function<void()> body, bool isThread) {
  if (actors_.size() == actorsMax) fail("there are too many actors");
  auto* made = new Actor();
  made->id = static_cast<uint32_t>(actors_.size());
  made->name = name;
  made->process = &process;
  made->isThread = isThread;
  made->body = std::move(body);
  actors_.push_back(made);
  process.actors.push_back(made);
  fibers_[made->id].begin(&Scheduler::runBody, made);
  return *made;
}

void Scheduler::ahead(Process& process, const std::function<void()>& work) {
  setup_ = &process;
  work();
}

void Scheduler::runBody(void* data) {
  auto* actor = static_cast<Actor*>(data);
  actor->body();
  now().exit();
}

// An actor's end is a step, too: others may run before its last stores are visible.
void Scheduler::exit() {
  makeDelayedStores();
  Coverage::call("ends");
  step({Step::call, true});
  end();
  leave();
  __builtin_unreachable();
}

void Scheduler::end() {
  if (onRest) onRest(*current_);
  current_->state = Actor::ended;
  if (current_->awaitedBy != nullptr) wake(*current_->awaitedBy);
}

void Scheduler::leave() { fibers_[current_->id].leave(main_); }

void Scheduler::run() {
  exploring_ = true;
  while (failure_.empty() && !allEnded()) {
    Actor* next = choose();
    if (next == nullptr) {
      if (!passTime()) break;
      continue;
    }
    current_ = next;
    fibers_[next->id].enter(main_);
  }
  if (failure_.empty()) finish();
  current_ = nullptr;
}

// Brings to rest what the checks look at: the threads that are left go on until each waits, without deviations and
// without the passing of time.
void Scheduler::finish() {
  finishing_ = true;
  chosen_ = nullptr;
  while (failure_.empty()) {
    Actor* next = choose();
    if (next == nullptr) return;
    current_ = next;
    fibers_[next->id].enter(main_);
  }
}

bool Scheduler::rests(const Process& process) {
  if (!process.alive || process.stopped) return false;
  for (const Actor* actor : process.actors) {
    if (actor->state == Actor::runnable) return false;
  }
  return true;
}

bool Scheduler::allEnded() const {
  for (const Actor* actor : actors_) {
    if (!actor->isThread && actor->state != Actor::ended) return false;
  }
  return true;
}

bool Scheduler::canRun(const Actor& actor) const {
  return actor.state == Actor::runnable && !actor.process->stopped && actor.process->alive;
}

Actor* Scheduler::turnAfter(uint32_t id) const {
  for (size_t i = 1; i <= actors_.size(); i += 1) {
    Actor* actor = actors_[(id + i) % actors_.size()];
    if (canRun(*actor)) return actor;
  }
  return nullptr;
}

Actor* Scheduler::choose() {
  Actor* next = chosen_;
  chosen_ = nullptr;
  if (next != nullptr && canRun(*next)) return next;
  if (current_ == nullptr) return turnAfter(static_cast<uint32_t>(actors_.size()) - 1);
  return canRun(*current_) ? current_ : turnAfter(current_->id);
}

uint16_t Scheduler::othersThatRun() const {
  uint16_t others = 0;
  for (const Actor* actor : actors_) {
    if (actor != current_ && canRun(*actor)) others = static_cast<uint16_t>(others | 1U << actor->id);
  }
  return others;
}

const Deviation* Scheduler::deviation(Kind kind) const {
  if (schedule_.empty() || current_ == nullptr) return nullptr;
  for (const Deviation& d : schedule_) {
    if (d.actor == current_->id && d.step == current_->step && d.kind == kind) return &d;
  }
  return nullptr;
}

bool Scheduler::deviates(Kind kind, uint8_t& to) const {
  const Deviation* found = exploring() && !finishing_ ? deviation(kind) : nullptr;
  if (found != nullptr) to = found->to;
  return found != nullptr;
}

void Scheduler::note(const std::string& text) {
  if (tracing_ && onTrace) onTrace(text);
}

void Scheduler::mark() {
  if (!exploring() || !recording_ || finishing_) return;
  const OutsideArena outside;
  marks_.push_back(static_cast<uint32_t>(seen_.size()));
}

void Scheduler::step(const Step& step) {
  if (!exploring() || current_ == nullptr) return;
  Actor& actor = *current_;
  actor.step += 1;
  steps_ += 1;
  if (steps_ > stepsMax) fail("it goes on for ever");
  if (finishing_) return;
  if (recording_) {
    const bool acts = step.what != Step::load;
    const bool mortal = acts && actor.process->mortal;
    const bool stoppable = actor.process->mortal && step.shared;
    const OutsideArena outside;
    if (mortal && Coverage::mortal(*actor.process)) couldEnd(Kind::kill);
    if (stoppable && Coverage::stoppable(*actor.process)) couldEnd(Kind::stop);
    seen_.push_back({actor.step, step.shared ? othersThatRun() : uint16_t{0}, 0, static_cast<uint8_t>(actor.id), 0, 0, 0, 0,
                     mortal, stoppable, false});
    last_ = &seen_.back();
    if (order_ == nullptr) return;
    decide(*last_, step);
  } else if (!meets()) {
    return;
  }
  apply();
}

void Scheduler::couldEnd(Kind how) {
  newEndings_.push_back(schedule_);
  newEndings_.back().push_back({static_cast<uint8_t>(current_->id), how, 0, current_->step});
}

// Whether the schedule deviates at this step. Once its last deviation is met, the chances of other ones are recorded.
bool Scheduler::meets() {
  bool met = false;
  for (const Deviation& d : schedule_) {
    if (d.actor != current_->id || d.step != current_->step) continue;
    left_ -= 1;
    met = true;
  }
  if (met) recording_ = left_ == 0;
  return met;
}

// Adds the deviations that the priorities ask for at this step.
void Scheduler::decide(Chances& chances, const Step& step) {
  const auto add = [&](Kind kind, uint8_t to) { schedule_.push_back({chances.actor, kind, to, chances.step}); };
  order_->count(chances.actor);
  if (order_->ends() && (order_->endsByDeath() ? chances.kill : chances.stop)) {
    order_->ended();
    return add(order_->endsByDeath() ? Kind::kill : Kind::stop, 0);
  }
  if (order_->strays()) {
    if (step.what == Step::load) add(Kind::stale, order_->older());
    add(step.what == Step::load ? Kind::leak : Kind::hold, 0);
  }
  const uint8_t best = order_->highest(static_cast<uint16_t>(chances.others | 1U << chances.actor));
  if (best != chances.actor) add(Kind::preempt, best);
}

// The same where the step blocks.
void Scheduler::decideNext() {
  Actor& actor = *current_;
  if (order_ == nullptr) return;
  const Actor* usual = turnAfter(actor.id);
  const uint16_t others = othersThatRun();
  if (usual == nullptr || others == 0) return;
  const uint8_t best = order_->highest(others);
  const OutsideArena outside;
  if (best != usual->id) schedule_.push_back({static_cast<uint8_t>(actor.id), Kind::next, best, actor.step});
}

void Scheduler::apply() {
  Actor& actor = *current_;
  if (deviation(Kind::kill) != nullptr) {
    note("-- " + actor.process->name + " is killed");
    Coverage::killed(*actor.process);
    die(*actor.process);
    leave();
  }
  if (deviation(Kind::stop) != nullptr) {
    note("-- " + actor.process->name + " is stopped");
    Coverage::stopped(*actor.process);
    stops_ = true;
    roundsOfStop_ = 0;
    actor.process->stopped = true;
    leave();
  } else if (const Deviation* d = deviation(Kind::preempt); d != nullptr && d->to < actors_.size()) {
    chosen_ = actors_[d->to];
    note("-- " + chosen_->name + " runs instead of " + actor.name);
    leave();
  }
}

void Scheduler::die(Process& process) {
  deaths_ = true;
  process.alive = false;
  for (Actor* actor : process.actors) {
    if (actor->state != Actor::ended && onRest) onRest(*actor);
    actor->state = Actor::ended;
  }
  if (onDeath) onDeath(process);
}

bool Scheduler::wait(const char* what, uint64_t deadlineNanos) {
  Actor& actor = *current_;
  if (onRest) onRest(actor);
  actor.state = Actor::waiting;
  actor.deadline = deadlineNanos;
  actor.timedOut = false;
  actor.waitsFor = what;
  if (finishing_) return leave(), !actor.timedOut;
  // An actor that blocks again in the same step has been decided on already: a deviation counts once.
  const bool isFirst = actor.waitedAt != actor.step;
  actor.waitedAt = actor.step;
  if (!isFirst) return leave(), !actor.timedOut;
  decideNext();
  if (const Deviation* d = deviation(Kind::next); d != nullptr && d->to < actors_.size()) {
    chosen_ = actors_[d->to];
    note("-- " + chosen_->name + " is next");
  } else if (recording_ && last_ != nullptr && last_->actor == actor.id && last_->step == actor.step) {
    const Actor* usual = turnAfter(actor.id);
    const uint16_t others = othersThatRun();
    last_->nextOnes = usual == nullptr ? uint16_t{0} : static_cast<uint16_t>(others & ~(1U << usual->id));
  }
  leave();
  return !actor.timedOut;
}

void Scheduler::wake(Actor& actor) {
  if (actor.state == Actor::waiting) actor.state = Actor::runnable;
}

void Scheduler::giveWay(uint64_t nanos) {
  if (!exploring() || current_ == nullptr) return;
  steps_ += 1;
  if (steps_ > stepsMax) fail("it goes on for ever");
  current_->givesWay = true;
  wait("its turn", clockNanos_ + nanos);
  current_->givesWay = false;
}

void Scheduler::holdUp(Held where, const Process& process, const void* word) {
  holds_.push_back({where, &process, word, false, nullptr});
}

void Scheduler::waitIn(Hold& hold) {
  hold.waiting = current_;
  wait("others to be done");
}

void Scheduler::changes(const void* word) {
  const auto hold = std::ranges::find_if(holds_, [&](const Hold& one) { return one.word == word && one.process == currentProcess() && !one.changed; });
  if (hold == holds_.end()) return;
  hold->changed = true;
  if (hold->where == Held::ahead) waitIn(*hold);
}

void Scheduler::loads() {
  const auto is = [&](const Hold& one) {
    return one.where == Held::behind && one.process == currentProcess() && one.changed && one.waiting == nullptr;
  };
  const auto hold = std::ranges::find_if(holds_, is);
  if (hold != holds_.end()) waitIn(*hold);
}

void Scheduler::letGoOn(const void* word) {
  for (const Hold& one : holds_) {
    if (one.word == word && one.waiting != nullptr) wake(*one.waiting);
  }
  std::erase_if(holds_, [&](const Hold& one) { return one.word == word; });
}

void Scheduler::letAllGo() {
  while (!holds_.empty()) letGoOn(holds_.back().word);
}

uint64_t Scheduler::clock() { return exploring() ? clockNanos_ += nanosOfALook : clockNanos_; }

// Of the waiting actors for which `is` holds, the one with the earliest deadline.
template <class Is>
Actor* Scheduler::firstOf(Is is) const {
  Actor* first = nullptr;
  for (Actor* actor : actors_) {
    if (actor->state != Actor::waiting || actor->process->stopped || !is(*actor)) continue;
    if (first == nullptr || actor->deadline < first->deadline) first = actor;
  }
  return first;
}

bool Scheduler::expire(Actor& actor) {
  if (actor.deadline > clockNanos_) clockNanos_ = actor.deadline;
  actor.timedOut = true;
  actor.state = Actor::runnable;
  return true;
}

// Lets a stopped process go on. False when there is none.
bool Scheduler::goesOn() {
  for (Process* process : processes_) {
    if (!process->stopped || !process->alive) continue;
    note("-- " + process->name + " goes on");
    process->stopped = false;
    wentOn_ += 1;
    rounds_ = 0;
    return true;
  }
  return false;
}

// Whether an actor sleeps though what it sleeps for is there. After a death or a stop it may: then the sleeper's own
// timed check makes up for the lost wake-up.
bool Scheduler::wakeUpLost() {
  if (deaths_ || stops_) return false;
  peeking_ = true;
  for (Actor* actor : actors_) {
    if (actor->state != Actor::waiting || !actor->condition || !actor->condition()) continue;
    found(actor->name + " sleeps though what it sleeps for is there: a wake-up was lost");
  }
  peeking_ = false;
  return !failure_.empty();
}

// Lets those go on together that gave way in one turn: each has paused as long as the others had theirs.
bool Scheduler::goOnTogether(Actor& first) {
  const uint64_t until = first.deadline + nanosOfATurn;
  for (Actor* actor : actors_) {
    if (actor->state == Actor::waiting && actor->givesWay && actor->deadline <= until) expire(*actor);
  }
  chosen_ = &first;
  return true;
}

// Called when no actor can run: the earliest deadline passes, or a stopped process goes on.
bool Scheduler::passTime() {
  Actor* first = firstOf([](const Actor& actor) { return actor.deadline != never; });
  roundsOfStop_ += 1;
  if ((first == nullptr || roundsOfStop_ >= roundsOfAStop) && goesOn()) return true;
  if (first != nullptr && first->givesWay) return goOnTogether(*first);
  if (firstOf([](const Actor& actor) { return actor.givesWay; }) == nullptr && wakeUpLost()) return false;
  rounds_ += 1;
  if (first != nullptr && rounds_ < roundsMax) return expire(*first);
  std::string who;
  for (const Actor* actor : actors_) {
    if (actor->state == Actor::waiting && !actor->isThread) who += (who.empty() ? "" : ", ") + actor->name + " waits for " + actor->waitsFor;
  }
  found("nothing moves any more: " + who);
  return false;
}

void Scheduler::found(const std::string& why) {
  const OutsideArena outside;
  if (failure_.empty()) failure_ = std::string(why.c_str());
}

void Scheduler::fail(const std::string& why) {
  found(why);
  if (current_ != nullptr && exploring_) {
    leave();
    __builtin_unreachable();
  }
  std::fprintf(stderr, "ahead of the schedule: %s\n", why.c_str());
  std::abort();
}

}  // namespace ringfence::explore
