// Runs the actors of one schedule on one thread: after each step, the schedule says whether the same actor or another one
// goes on. Processes are groups of actors, which are killed and stopped together.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fiber.h"
#include "priorities.h"
#include "schedule.h"

namespace ringfence::explore {

constexpr uint64_t never = ~uint64_t{0};

struct Actor;

struct Process {
  uint32_t id;
  std::string name;
  bool mortal = false;  // schedules may kill and stop it
  bool alive = true;
  bool stopped = false;
  bool isElsewhere = false;  // in a mount namespace that has no FIFOs of others
  std::vector<Actor*> actors;
};

struct Actor {
  enum State { runnable, waiting, ended };

  uint32_t id = 0;
  std::string name;
  Process* process = nullptr;
  bool isThread = false;  // a thread of the code under test: the schedule does not wait for its end
  State state = runnable;
  uint64_t deadline = never;
  bool timedOut = false;
  bool givesWay = false;  // it goes on once the others have had their turn
  const char* waitsFor = "";
  std::function<bool()> condition;  // for a sleeper: whether what it sleeps for is there
  Actor* awaitedBy = nullptr;  // the actor that waits for its end
  uint32_t step = 0;
  uint32_t waitedAt = ~uint32_t{0};  // the step at which it waited last
  std::function<void()> body;
};

// What a step is about to do.
struct Step {
  enum What : uint8_t { load, store, call };

  What what;
  bool shared;  // other actors use the word, or notice the call
};

class Scheduler {
 public:
  // The scheduler that runs now.
  static Scheduler& now();

  // `order`, if there is one, adds the deviations of its own choice to the schedule as it goes.
  void begin(const Schedule& schedule, bool tracing, Priorities* order = nullptr);
  Process& process(const std::string& name, bool mortal);
  Actor& actor(Process& process, const std::string& name, std::function<void()> body, bool isThread = false);
  // Runs `work` as the process, at once and without steps: it makes the state with which the schedule begins.
  void ahead(Process& process, const std::function<void()>& work);
  // Runs until all actors have ended, or one has failed. Threads then go on until each waits.
  void run();
  // Forgets the processes: system calls are the real ones again.
  void ended() { setup_ = nullptr; }
  // From here on nothing is a step: the checks at the end follow.
  void over() { exploring_ = false; }

  // --- for the simulated memory and operating system

  // Each verb and each system call begins with this: the schedule may do something else first.
  void step(const Step& step);
  bool exploring() const { return exploring_ && !peeking_; }
  Actor* current() const { return current_; }
  Process* currentProcess() const { return current_ != nullptr ? current_->process : setup_; }
  // Whether the current step deviates in that way.
  bool deviates(Kind kind, uint8_t& to) const;
  // Where the search notes what else the current step could do; null where it needs no note.
  Chances* chances() { return recording_ && !finishing_ ? last_ : nullptr; }

  // Blocks the current actor until it is woken or the deadline passes. False when the deadline passed first.
  bool wait(const char* what, uint64_t deadlineNanos = never);
  static void wake(Actor& actor);
  // Pauses the current actor until the others have had their turn.
  void giveWay(uint64_t nanos);
  uint64_t clock();
  [[noreturn]] void exit();

  // Where a configuration needs processes in the midst of something: each waits ahead of its next store that changes the word,
  // which it has mapped there, or ahead of its first load behind that store, until that one, or all, are let go on.
  enum class Held : uint8_t { ahead, behind };
  void holdUp(Held where, const Process& process, const void* word);
  // Called by the memory.
  bool holdsUp() const { return !holds_.empty() && exploring(); }
  void changes(const void* word);
  void loads();
  void letGoOn(const void* word);
  void letAllGo();

  [[noreturn]] void fail(const std::string& why);
  // Records a failure that the checks at the end have found, when no actor runs.
  void found(const std::string& why);
  const std::string& failure() const { return failure_; }
  // Whether a process was killed: what it then left undone is no failure.
  bool deaths() const { return deaths_; }
  // Whether one was stopped: what waited for it may have come late.
  bool stops() const { return stops_; }
  // How often a stopped process went on.
  uint32_t wentOn() const { return wentOn_; }
  // Whether the process lives and all its actors wait or have ended.
  static bool rests(const Process& process);

  const std::vector<Actor*>& actors() const { return actors_; }
  const std::vector<Process*>& processes() const { return processes_; }
  uint64_t steps() const { return steps_; }
  bool tracing() const { return tracing_; }
  // The chances at the steps behind the schedule's last deviation.
  const std::vector<Chances>& seen() const { return seen_; }
  // Schedules that kill or stop a process where this one could have, at points that none had come to before.
  const std::vector<Schedule>& newEndings() const { return newEndings_; }
  // Notes that the next step has the planted fault. Marks are indices of `seen`.
  void mark();
  const std::vector<uint32_t>& marks() const { return marks_; }
  // The schedule, with the deviations that an order has added.
  const Schedule& schedule() const { return schedule_; }
  bool applied() const { return left_ == 0; }

  // Called when a process has died, to free what it held.
  std::function<void(Process&)> onDeath;
  // Called when an actor blocks, ends or dies: its stores become visible.
  std::function<void(Actor&)> onRest;
  std::function<void(const std::string&)> onTrace;

 private:
  static void runBody(void* data);
  void note(const std::string& text);
  Actor* choose();
  Actor* turnAfter(uint32_t id) const;
  bool canRun(const Actor& actor) const;
  uint16_t othersThatRun() const;
  template <class Is>
  Actor* firstOf(Is is) const;
  bool expire(Actor& actor);
  bool goesOn();
  bool goOnTogether(Actor& first);
  bool wakeUpLost();
  void finish();
  bool passTime();
  bool allEnded() const;
  void die(Process& process);
  void leave();
  void end();
  bool meets();
  void couldEnd(Kind how);
  void decide(Chances& chances, const Step& step);
  void decideNext();
  void apply();
  const Deviation* deviation(Kind kind) const;

  Schedule schedule_;
  size_t left_ = 0;  // deviations still to come
  std::vector<Process*> processes_;
  std::vector<Actor*> actors_;
  Fiber fibers_[actorsMax];
  void* main_ = nullptr;
  Actor* current_ = nullptr;
  Process* setup_ = nullptr;
  Actor* chosen_ = nullptr;
  bool exploring_ = false;
  bool peeking_ = false;
  bool recording_ = false;
  bool finishing_ = false;
  bool tracing_ = false;
  bool deaths_ = false;
  bool stops_ = false;
  uint32_t wentOn_ = 0;
  uint64_t clockNanos_ = 0;
  uint64_t steps_ = 0;
  uint32_t rounds_ = 0;
  uint32_t roundsOfStop_ = 0;
  struct Hold {
    Held where;
    const Process* process;
    const void* word;
    bool changed;
    Actor* waiting;
  };
  void waitIn(Hold& hold);
  std::vector<Hold> holds_;
  std::string failure_;
  std::vector<Chances> seen_;
  std::vector<uint32_t> marks_;
  std::vector<Schedule> newEndings_;
  Chances* last_ = nullptr;
  Priorities* order_ = nullptr;
};

}  // namespace ringfence::explore
