// The total order. One thread scans the lanes, orders what it sees, and commits it epoch by epoch.
//
//   scan lanes ─► window of the session ─► ready ─► commit: entries │ fence │ counts │ fence │ acknowledgements │ fence
//                 (held: the batch stays in its lane)
//
// It alone writes the block of its epoch. All it decides by lies in its own memory; shared memory is read once,
// checked, and then used.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "log/topics.h"
#include "region/region.h"
#include "region/thread.h"

namespace ringfence {

enum Order : uint32_t { orderTotal = 2, orderSession = 5 };

struct SequencerOptions {
  uint64_t epochMicros = 500;
  bool manual = false;
  bool ignoreSessionOrder = false;
};

struct SequencerCounters {
  uint64_t epoch, passes, commits, batches, messages, duplicates, purged, held;
  bool paused, stopped;
};

// Something people want to hear of: a session's beginning or end, a gap that lasts, a reader that holds room back.
struct SessionReport {
  uint32_t client;
  uint64_t generation, sessionId;
  std::string topic;
  uint32_t process;
  ProcessPid pid;
  uint32_t endReason;
  bool ended;
  uint64_t batches, messages, held, purged, gapSinceNanos;
};

struct GateReport {
  std::string topic;
  uint32_t reader;
  ProcessPid pid;
  std::string name;
  uint64_t behind, sinceNanos;
};

class Sequencer {
 public:
  Sequencer(std::shared_ptr<Region> region, SequencerOptions options);
  ~Sequencer();
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;

  // Takes the lease. Fails with `busy` while another process holds it, with `missing` when the region's name is gone.
  Status start();
  void stop();
  bool step();
  void pause();
  void resume();

  // Ends what belonged to processes that are dead, and tells which readers those were.
  struct DeadReader {
    std::string topic;
    uint32_t reader;
    ProcessPid pid;
    std::string name;
  };
  std::vector<DeadReader> endDead();  // also brings up to date what readers have taken while nothing else moved

  // The topic is never freed from now on. False when it has been, or is none.
  bool keepTopic(TopicPlace place);

  SequencerCounters counters();
  // Those that have ended since the last call, where their slots are others' by now; and the last one of each slot.
  std::vector<SessionReport> sessions();
  std::vector<GateReport> gates();

 private:
  static constexpr size_t readyLimit = 4096;  // batches of one epoch

  enum class Slot : uint8_t { none, held, ordered, done };

  struct Pending {  // a descriptor, copied and checked
    uint64_t tag = 0;  // batch sequence + 1, 0 = empty
    uint64_t laneIndex = 0;
    uint64_t firstMessage = 0;
    uint64_t payloadPosition = 0;
    uint64_t publishedNanos = 0;
    uint32_t lane = 0;
    uint32_t payloadBytes = 0;
    uint32_t messages = 0;
    uint32_t uniformBytes = 0;
    bool emitted = false;
  };

  struct Lane {
    uint64_t generation = 0;
    uint64_t scanned = 0;
    uint64_t released = 0;
    uint64_t payloadEnd = 0;
    uint64_t firstIndex = 0;
    uint64_t held = 0, ordered = 0, orderedMessages = 0, delivered = 0, deliveredMessages = 0;
    uint64_t duplicates = 0, purged = 0;
    bool dirty = false;
    bool tail = false;  // the last scan ended at a slot that is not ready
    uint64_t waitsFor = 0;  // sequence of a batch that the last scan left behind, too far ahead of its session; 0 = none
    std::vector<Slot> state;
    std::vector<uint32_t> topic;
    std::vector<uint64_t> entry;
    std::vector<uint64_t> start;
  };

  struct Session {
    uint64_t generation = 0;
    uint64_t id = 0;
    uint32_t topic = 0;
    std::string topicName;
    uint32_t order = 0;
    uint32_t process = 0;
    uint64_t processGeneration = 0;
    bool active = false;
    bool ending = false;
    bool told = false;  // that it has ended
    uint32_t endReason = endNone;
    uint64_t endedGeneration = 0;   // that ended last in this slot
    uint64_t expected = 0;          // next sequence to emit; everything below is in the order
    uint64_t expectedMessages = 0;
    uint64_t held = 0, heldTotal = 0, duplicates = 0, purged = 0;
    uint64_t gapSinceNanos = 0;
    bool dirty = false;
    std::vector<Pending> window;
  };

  struct Kept {  // what an index entry holds in a lane
    uint32_t lane = 0;
    uint32_t messages = 0;
    uint64_t laneIndex = 0;
    uint64_t generation = 0;
  };

  struct Topic {
    std::string name;
    uint64_t generation = 0;
    uint64_t seal = 0;        // of the slot, as it was adopted
    uint64_t mark = 0;        // published as Retention::freedMark
    bool free = false;        // until the next topic that is declared in its place is adopted
    bool named = false;       // by the server: it is never freed
    uint64_t usedNanos = 0;   // when a session or a dead reader of it ended last
    uint64_t firstEntry = 0;
    uint32_t order = 0;
    uint64_t committed = 0;
    uint64_t messages = 0;
    uint64_t bytes = 0;
    uint64_t pending = 0;  // emitted, not yet committed
    uint64_t trim = 0;
    uint64_t trimMessages = 0;
    uint64_t delivered = 0;
    uint64_t gating = 0;  // reader slot + 1
    uint64_t gatingSinceNanos = 0;
    bool dirty = false;
    std::vector<Kept> kept;
  };

  struct Ready {
    uint32_t client;
    Pending batch;
  };

  Status begin();
  bool pass(bool commitNow);
  bool adoptTopics();
  bool adoptTopic(uint32_t topic);
  bool answerWish();
  void publishAnswers();
  bool anyFree() const;
  bool freeUnused();
  bool freeTopic(uint32_t topic);
  void discard(uint32_t topic);
  bool claimed(uint32_t topic, uint32_t reader) const;
  bool used(uint32_t topic) const;
  uint64_t leftNanos(uint32_t topic) const;
  bool comesFree() const;
  bool stale(const ClientClaim& claim) const;
  void giveSlot(uint32_t client);
  bool reports(uint32_t client) const;
  SessionReport reportOf(uint32_t client) const;
  void refuse(uint32_t client, const ClientClaim& claim);
  bool adoptClients();
  void adopt(uint32_t client, const ClientClaim& claim);
  bool scanLanes();
  bool scanLane(uint32_t client, uint32_t broker);
  bool descriptorReady(uint32_t lane, uint64_t index) const;
  bool descriptorValid(const Lane& lane, const Session& session, const Descriptor& descriptor) const;
  bool accept(uint32_t client, uint32_t lane, const Descriptor& descriptor);
  bool emitReady(uint32_t client);
  void emit(uint32_t client, Pending& batch);
  bool roomInIndex(uint32_t topic) const;
  bool epochDue() const;
  bool commit();
  bool endSessions();
  void end(uint32_t client);
  bool allSeen(uint32_t client) const;
  void purge(uint32_t client);
  void purgeUnscanned(uint32_t lane, Session& session);
  uint64_t attachedMinimum(uint32_t topic, uint64_t& reader) const;
  bool followReaders();
  bool makeRoom();
  bool laneShort(uint32_t lane) const;
  bool trimTo(uint32_t topic, uint64_t target);
  void releaseSlots(Lane& lane);
  void publishLane(uint32_t lane);
  void publishSession(uint32_t client);
  void sealSession(uint32_t client);
  void publishCommitted(uint32_t topic);
  void publishAgain();
  void publishRetention(uint32_t topic);
  void publishAll();
  void corrupt(uint32_t client);
  void run();
  int64_t sleepNanos() const;
  void sleep(uint32_t heard, uint32_t reasons, int64_t limitNanos) const;

  std::shared_ptr<Region> region_;
  const SequencerOptions options_;
  const Publication& p_;
  const Geometry g_;
  uint64_t epoch_ = 0;
  std::vector<Topic> topics_;
  std::vector<SessionReport> ended_;  // not told, and their slots are others' already
  uint32_t free_ = 0;  // topics whose place is free
  uint64_t wishAnswered_ = 0, wishRefused_ = 0;
  std::vector<Session> sessions_;
  std::vector<Lane> lanes_;
  std::vector<Ready> ready_;
  uint64_t readySinceNanos_ = 0;
  uint32_t firstClient_ = 0;  // where the round robin begins
  bool roomWanted_ = false;
  bool paused_ = false;
  bool stopped_ = true;
  uint64_t passes_ = 0, commits_ = 0, batches_ = 0, messages_ = 0, duplicates_ = 0, purged_ = 0;
  std::mutex mutex_;
  std::atomic<bool> stopping_{false};  // private
  Thread thread_;
};

// A broker's side of the admission: grants the lanes of clients that asked and were adopted. Returns how many.
uint32_t grantLanes(const Region& region, uint32_t broker);

}  // namespace ringfence
