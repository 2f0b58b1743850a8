// An attachment to a region: its file, its mapping, this process's slot, and the addresses of all structures.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backing.h"
#include "bell_fifo.h"
#include "doorbells.h"
#include "layout.h"
#include "mapping.h"
#include "process_table.h"
#include "publication.h"
#include "ring_memory.h"
#include "ring_layout.h"
#include "status.h"

namespace ringfence {

struct CreateOptions {
  std::string path;  // empty: anonymous memory
  std::string processName;
  Geometry geometry{};
  uint32_t mode = 0600;
  int64_t group = -1;
  bool prefault = true;
  int32_t numaNode = -1;  // negative: where the system puts it
  Coherence coherence = Coherence::coherent;
};

// Shared by the thread that creates a region and the thread that waits for it.
struct CreateProgress {
  std::atomic<uint64_t> faultedBytes{0};  // private
  std::atomic<bool> cancelled{false};     // private
};

struct AttachOptions {
  std::string path;
  std::string processName;
  bool allowForeign = false;
};

class Region {
 public:
  // Counts prefaulted bytes in `progress`. Once that is cancelled, fails soon with `cancelled` and leaves nothing
  // behind.
  static Status create(const CreateOptions& options, CreateProgress* progress, std::shared_ptr<Region>& region);
  static Status attach(const AttachOptions& options, std::shared_ptr<Region>& region);
  // Maps a region to read it: takes no slot and holds no lock, so no process sees it. For the administration of a machine.
  // Nothing may be written through it.
  static Status look(const std::string& path, std::shared_ptr<Region>& region);
  // Attaches again to anonymous memory of this process.
  static Status reattach(const Region& other, const std::string& processName, std::shared_ptr<Region>& region);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Keeps the region in use while this process is attached, even after its creator ends. A holder is an owner like the
  // creator: the last owner removes the name. `missing` when the name is gone or leads to another region.
  Status hold();
  // Whether a living process owns the region or serves its log. Without one the log will never be served.
  bool kept() const;
  // Whether its name is gone, or leads to another region: no process that comes later finds this one.
  bool replaced() const { return fd_ >= 0 && !path_.empty() && !named(); }

  // Gives up the memory, the process slot and, as the last owner, the name. Later accesses through this object read
  // zeros and write to no region. A forked copy of the process leaves locks and name to its parent.
  void close();
  bool closed() const { return fd_ < 0; }

  const Layout& layout() const { return layout_; }
  Publication publication() const { return publication_; }
  const std::shared_ptr<Mapping>& mapping() const { return mapping_; }
  // Random, and of 128 bits: it tells this region from every other.
  const uint64_t (&id() const)[2] { return id_; }
  // What tokens of this region have in common.
  uint64_t mark() const { return mark_; }
  const std::string& path() const { return path_; }
  bool owner() const { return owner_; }
  uint32_t slot() const { return slot_; }
  uint64_t generation() const { return generation_; }

  Header& header() const { return *at<Header>(0); }
  ProcessSlot& process(uint64_t i) const { return at<ProcessSlot>(layout_.processes)[i]; }
  Line<TopicSlot, role::NameGiver>& topic(uint64_t i) const {
    return at<Line<TopicSlot, role::NameGiver>>(layout_.topics)[i];
  }
  Line<IdentitySlot, role::NameGiver>& identity(uint64_t i) const {
    return at<Line<IdentitySlot, role::NameGiver>>(layout_.identitySlots)[i];
  }
  CursorSlot& cursor(uint64_t i) const { return at<CursorSlot>(layout_.cursorSlots)[i]; }
  ClientSlot& client(uint64_t i) const { return at<ClientSlot>(layout_.clients)[i]; }
  ReaderSlot& reader(uint64_t topic, uint64_t i) const {
    return at<ReaderSlot>(layout_.readers)[topic * layout_.geometry.readers + i];
  }
  Line<ProducerLine, role::LaneWriter>& producer(uint64_t lane) const {
    return at<Line<ProducerLine, role::LaneWriter>>(layout_.producers)[lane];
  }
  Line<LaneCursor, role::IndexReader>& laneCursor(uint64_t topic, uint64_t reader, uint64_t lane) const {
    const Geometry& g = layout_.geometry;
    const uint64_t session = (topic * g.readers + reader) * g.clients + lane % g.clients;
    const uint64_t line = session * layout_.cursorLines() + lane / g.clients / lanesOfCursor;
    return at<Line<LaneCursor, role::IndexReader>>(layout_.laneCursors)[line];
  }
  Line<Descriptor, role::LaneWriter>& descriptor(uint64_t lane, uint64_t index) const {
    const uint64_t slots = layout_.geometry.laneSlots;
    return at<Line<Descriptor, role::LaneWriter>>(layout_.descriptors)[lane * slots + (index & (slots - 1))];
  }
  Bytes<Payload> payload(uint64_t lane) const {
    return Bytes<Payload>::of(*this, laneBytes(lane), layout_.geometry.lanePayloadBytes);
  }
  // For the buffer through which JavaScript stores and loads them itself, between the calls that say which of them.
  uint8_t* laneBytes(uint64_t lane) const {
    return mapping_->base() + layout_.payload + lane * layout_.geometry.lanePayloadBytes;
  }

  // Structures of one sequencer epoch.
  uint64_t block(uint64_t epoch) const {
    return layout_.blocks + (epoch % layout_.geometry.epochBlocks) * layout_.blockBytes;
  }
  EpochBlockHead& blockHead(uint64_t epoch) const { return *at<EpochBlockHead>(block(epoch)); }
  TopicLine& topicLine(uint64_t epoch, uint64_t i) const {
    return at<TopicLine>(block(epoch) + layout_.blockTopics)[i];
  }
  SessionLine& sessionLine(uint64_t epoch, uint64_t client) const {
    return at<SessionLine>(block(epoch) + layout_.blockSessions)[client];
  }
  IdentityLine& identityLine(uint64_t epoch, uint64_t i) const {
    return at<IdentityLine>(block(epoch) + layout_.blockIdentities)[i];
  }
  LaneLine& laneLine(uint64_t epoch, uint64_t lane) const {
    return at<LaneLine>(block(epoch) + layout_.blockLanes)[lane];
  }
  Line<GrantLine, role::Broker>& grant(uint64_t epoch, uint64_t lane) const {
    return at<Line<GrantLine, role::Broker>>(block(epoch) + layout_.blockGrants)[lane];
  }
  // The line of facts with that place of the session's window.
  Line<FactLine, role::Sequencer>& factLine(uint64_t epoch, uint64_t client, uint64_t place) const {
    const uint64_t facts = client * layout_.windowPlaces() + (place & (layout_.windowPlaces() - 1));
    return at<Line<FactLine, role::Sequencer>>(block(epoch) + layout_.blockFacts)[facts / factsOfLine];
  }
  Line<ReaderEnd, role::Sequencer>& readerEnd(uint64_t epoch, uint64_t topic, uint64_t i) const {
    return at<Line<ReaderEnd, role::Sequencer>>(block(epoch) + layout_.blockReaderEnds)[topic * layout_.geometry.readers + i];
  }
  Line<IndexEntry, role::Sequencer>& entry(uint64_t epoch, uint64_t topic, uint64_t index) const {
    const uint64_t entries = layout_.geometry.indexEntries;
    return at<Line<IndexEntry, role::Sequencer>>(block(epoch) + layout_.blockIndex)[topic * entries + (index & (entries - 1))];
  }

  // Structures of rings.
  RingSlot& ring(uint64_t i) const { return at<RingSlot>(layout_.ringSlots)[i]; }
  RingReaderSlot& ringReader(uint64_t ring, uint64_t i) const {
    return at<RingReaderSlot>(layout_.ringReaderSlots)[ring * layout_.geometry.ringReaders + i];
  }
  uint64_t ringOffset(uint64_t ring) const { return layout_.ringData + ring * layout_.geometry.ringBytes; }

  uint64_t laneOf(uint64_t broker, uint64_t client) const { return broker * layout_.geometry.clients + client; }

  // --- the process table (process_table.cc)

  // True while the process of that generation holds the slot's byte lock.
  bool processAlive(uint32_t slot, uint64_t generation) const;
  std::vector<ProcessView> processes() const;
  // The pid of the slot's present or last process; 0 if it never had one.
  ProcessPid pidOf(uint64_t slot) const;

  // --- the doorbells (doorbells.cc)

  // Rings the sleepers that wait for one of the reasons. Call it after publishing what they may wait for.
  void wakeSequencer(uint32_t reasons) const;
  void wakeProcesses(uint32_t reasons) const;
  // The same where the caller has made the full fence behind its publication.
  void wakeProcesses(const Fenced& fenced, uint32_t reasons) const;
  Rung wakeProcess(const Fenced& fenced, uint32_t slot, uint32_t reasons) const;
  // The processes that sleep until a ring's reader progresses: found without a look at those that do not.
  void wakeCursorWaiters(const Fenced& fenced) const;
  // This process's own, which its threads sleep on.
  HostLine<BellLine>& bell() const { return process(slot_).bell; }
  HostLine<SleepLine>& sleep() const { return process(slot_).sleep; }
  // Which FIFO this process's event loop polls, 0 none.
  void polls(uint64_t fifo, Site site = {}) const { publication_.set<&SleepLine::fifo>(role::Sleeper(), sleep(), fifo, site); }
  // Gives up the descriptor of a process that has gone.
  void forgetFifo(uint32_t slot) const { rungFifos_.forget(slot); }
  // Whether FIFOs can lie beside the region's file.
  bool mayHaveFifos() const { return fd_ >= 0 && !path_.empty() && backing_.kind == Backing::Kind::file; }
  // Notes that this process looks again and again from now on, instead of sleeping. False, and it does not count, if more than
  // `others` living processes do so already.
  bool beginLook(uint32_t others) const;
  void endLook(Site site = {}) const { publication_.set<&SleepLine::looks>(role::Sleeper(), sleep(), 0, site); }
  // Publishes what this process sleeps for from now on. On the one thread of the process that waits: its event loop's.
  void sleepFor(uint32_t reasons, Site site = {}) const;
  // Takes back what it sleeps for, on any thread of it. It goes on to be among the waiters for cursors, where it often is
  // again a moment later.
  void wakesUp(Site site = {}) const { publication_.set<&SleepLine::sleeps>(role::Sleeper(), sleep(), awake, site); }

  // --- the locks of the operating system (byte_lock.h, ownership.cc)

  // The open file that carries the byte locks (byte_lock.h); negative once it is closed.
  int file() const { return fd_; }

  // The lock of a block, which the epoch's process holds, and which the system frees when it dies. One at a time.
  bool tryLockBlock(uint64_t block);
  void unlockBlock();
  // Whether a living process, this one too, holds it.
  bool blockHeld(uint64_t block) const;
  bool tryLockElection();
  void unlockElection();
  // Whether another process serves a log here, or takes it over.
  bool othersServe() const;

  // The epoch that this attachment serves, whose block it may write; 0 none. On the thread that starts and stops it.
  uint64_t servedEpoch() const { return servedEpoch_.load(std::memory_order_seq_cst); }
  void serve(uint64_t epoch) { servedEpoch_.store(epoch, std::memory_order_seq_cst); }

  // The ring's bytes, vacated with the region. Null when the address space or the mapping is refused.
  std::shared_ptr<RingMemory> mapRing(uint32_t ring);

 private:
  Region() = default;
  template <class T>
  T* at(uint64_t offset) const {
    return reinterpret_cast<T*>(mapping_->base() + offset);
  }
  static Status mapped(const AttachOptions& options, bool writes, std::shared_ptr<Region>& region);
  Status adopt(int fd, bool writes = true);
  Status makeFile(const CreateOptions& options, std::string& temporary);
  Status takeDevice();
  Status setPermissions(const CreateOptions& options);
  Status fill(const CreateOptions& options, CreateProgress* progress);
  Status publishFile(const std::string& temporary);
  static Status attachOnce(const AttachOptions& options, std::shared_ptr<Region>& region);
  Status takeProcessSlot(const std::string& name, uint32_t first);
  // Whether the path still leads to this region, and not to a newer one of the same name or on the same device.
  bool named() const;
  Written<Whole> writeBackAll(const CreateProgress* progress) const;
  void writeIdentity(Written<Whole>&& whole);
  void removeName(bool recoverable);
  void vacate();
  Rung ringOne(HostLine<BellLine>& bell, uint32_t slot, uint64_t fifo) const;
  void waitForCursors(bool waits, Site site) const;
  bool idIs(const uint64_t id[2]) const { return id[0] == id_[0] && id[1] == id_[1]; }
  void setId(const uint64_t id[2]);

  std::shared_ptr<Mapping> mapping_;
  std::vector<std::weak_ptr<RingMemory>> ringMemories_;
  Layout layout_{};
  Publication publication_;
  Backing backing_;
  uint64_t id_[2] = {};
  uint64_t mark_ = 0;
  std::string path_;
  int fd_ = -1;
  pid_t pid_ = getpid();
  static constexpr uint32_t noSlot = ~0U;
  uint32_t slot_ = noSlot;
  uint64_t generation_ = 0;
  bool owner_ = false;
  int64_t lockedBlock_ = -1;
  bool elected_ = false;
  std::atomic<uint64_t> servedEpoch_{0};  // private
  mutable RungFifos rungFifos_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace ringfence
