#include "identity.h"

#include <cstring>
#include <map>

#include "attached.h"
#include "explore/trace.h"
#include "log/identities.h"
#include "log/sequencer/broker_grants.h"
#include "log_ends.h"
#include "region/server.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr uint64_t pause = 1'000'000;
constexpr uint64_t leaseMillis = 4;  // a pass every millisecond counts half of one

Geometry geometryOf(uint32_t brokers) {
  Geometry g = logGeometry(2, brokers);
  g.epochBlocks = 3;
  g.processes = 8;
  return g;
}

// What all sessions of the identity were told, by incarnation. All records of the topic are the identity's, so each has the
// position in the topic that it has in the identity.
struct Truth {
  struct Told {
    uint64_t session, base;
    shared_ptr<Publishing> by;
    Process* process;
  };
  std::map<uint64_t, Told> sessions;

  void opened(const shared_ptr<Publishing>& by) {
    const Incarnation at = by->lanes().incarnation();
    expect(at.number != 0, "a session does not have the identity that it claimed");
    expect(sessions.emplace(at.number, Told{by->session(), at.base, by, Scheduler::now().currentProcess()}).second, "I1: two sessions have one incarnation");
    uint64_t base = 0;
    for (const auto& [number, told] : sessions) {
      expect(told.base >= base, "I4: what the identity has committed falls");
      base = told.base;
    }
  }

  void check(const BatchView& view) const {
    for (const auto& [number, told] : sessions) {
      if (told.session != view.sessionId) continue;
      return expect(told.base + view.firstMessage == view.position, "I2: a record of the identity is missing, or comes twice");
    }
    expect(false, "a session that was not opened has committed");
  }

  // A session that was fenced learns of nothing above the base of the next one.
  void checkAcknowledged() const {
    uint64_t limit = ~uint64_t{0};
    for (auto told = sessions.rbegin(); told != sessions.rend(); ++told) {
      const bool lives = Scheduler::rests(*told->second.process);
      const uint64_t acknowledged = lives ? told->second.by->lanes().committedMessages() : 0;
      expect(told->second.base + acknowledged <= limit, "I5: a fenced session was acknowledged too much");
      limit = told->second.base;
    }
  }
};

// The identity, and what its sessions do.
struct Naming {
  TopicPlace topic{};
  IdentityView identity{};
  shared_ptr<Truth> truth = make_shared<Truth>();
  shared_ptr<uint32_t> working = make_shared<uint32_t>(0);  // applications that are not done

  shared_ptr<Publishing> claims(const shared_ptr<Region>& at, uint64_t continues) const {
    Claim claim;
    const IdentityClaim wanted{identity.index, identity.generation, continues};
    Patience patience;
    while (!claimClient(*at, topic, claim, wanted).ok()) {
      if (!patience.lasts()) expect(false, "no slot comes free");
    }
    return Publishing::of(at, claim);
  }

  static bool writes(Publishing& publishing, uint64_t sequence) {
    if (!publishing.seal(sequence)) return false;
    publishing.lanes().publish(publishing.brokerOf(sequence));
    return true;
  }

  // Waits as a publisher does. Null when the session is fenced before it is admitted.
  shared_ptr<Publishing> admitted(const shared_ptr<Publishing>& publishing) const {
    while (!publishing->ready()) {
      const uint32_t reason = publishing->lanes().endReason();
      if (reason != endNone) {
        expect(reason == endFenced, "a session was not admitted, and not fenced");
        publishing->lanes().close();
        return nullptr;
      }
      Scheduler::now().giveWay(pause);
    }
    truth->opened(publishing);
    return publishing;
  }

  // Publishes batches up to that sequence, and waits until they are acknowledged, or the session has ended. Asks for room
  // meanwhile in so many lanes.
  static uint32_t publishes(Publishing& publishing, uint64_t& sequence, uint64_t end, uint32_t full = 0) {
    while (publishing.lanes().committedBatches() < end) {
      for (uint32_t b = 0; b < full; b += 1) publishing.lanes().inFlight(b);
      if (const uint32_t reason = publishing.lanes().endReason(); reason != endNone) return reason;
      if (sequence < end && writes(publishing, sequence)) sequence += 1;
      Scheduler::now().giveWay(pause);
    }
    return endNone;
  }

  // Publishes anew what the end of its session has left uncommitted.
  void goesOnAnew(const shared_ptr<Region>& region, Publishing& publishing, uint64_t batches, uint32_t reason) const {
    LaneWriter& lanes = publishing.lanes();
    for (uint32_t b = 0; b < region->layout().geometry.brokers; b += 1) lanes.inFlight(b);
    const std::vector<UncommittedBatch> copies = lanes.uncommitted();
    expect(lanes.committedBatches() + copies.size() == batches, "a batch is neither committed nor copied");
    for (uint64_t i = 0; i < copies.size(); i += 1) {
      expect(copies[i].sequence == lanes.committedBatches() + i, "the copies are not in order");
      checkCopy(publishing.session(), copies[i]);
    }
    lanes.close();
    if (reason == endFenced) return;
    expect(reason == endOutlived, "a session that lives was ended");
    const auto again = admitted(claims(region, lanes.incarnation().number));
    if (again == nullptr) return;
    const uint64_t committed = lanes.incarnation().base + lanes.committedMessages();
    expect(again->lanes().incarnation().base == committed, "the session does not go on where the one before it ended");
    uint64_t next = 0;
    const uint32_t end = publishes(*again, next, copies.size());
    expect(end == endNone || end == endFenced, "the session that goes on was ended");
    again->lanes().close();
  }
};

// Names the identity within the schedule, which both do at once. Its name takes the whole of the slot.
IdentityView namedAtOnce(const shared_ptr<Region>& region, TopicPlace topic) {
  IdentityView found{};
  Patience patience;
  while (!declareIdentity(*region, topic, std::string(identityNameBytes, 'p'), found).ok()) {
    if (!patience.lasts()) expect(false, "the identity does not get its name");
  }
  return found;
}

// A log with an identity, whose sessions come and go, as do servers.
struct Named {
  shared_ptr<Region> region;
  Attached first;
  shared_ptr<Sequencer> serving;  // of the first server
  Naming naming{};
  SequencerOptions options{};

  // `name`: of the identity that the topic has; none where it is null.
  explicit Named(bool mortal, uint32_t brokers = 1, uint64_t lease = 0, const char* name = "p")
      : region(made(geometryOf(brokers))), first(*region, "first server", false, mortal) {
    options.manual = true;
    options.leaseMillis = lease;
    first.program.ahead([&] {
      serving = make_shared<Sequencer>(first.region, options);
      expectOk(serving->start(), "starting the first server");
      TopicView declared;
      expectOk(declareTopic(*first.region, "t", orderSession, 1, declared), "declaring the topic");
      naming.topic = declared.place();
      if (name != nullptr) expectOk(declareIdentity(*first.region, naming.topic, name, naming.identity), "naming the identity");
      pass(*serving, *first.region);
    });
    atEnd([kept = serving] {});
  }

  static void pass(Sequencer& server, const Region& at) {
    server.step();
    for (uint32_t b = 0; b < at.layout().geometry.brokers; b += 1) grantLanes(at, b);
  }
  void settles() {
    first.program.ahead([&] {
      for (int i = 0; i < 4; i += 1) pass(*serving, *first.region);
    });
  }

  // Another topic takes the only place, so that the slot of the identity comes free.
  void resettles(Attached& declarer) {
    TopicView topic;
    TopicWish wish;
    declarer.program.ahead([&] { expect(!declareTopic(*declarer.region, "u", orderSession, 1, topic, &wish).ok(), "a place is free that a topic has"); });
    settles();
    declarer.program.ahead([&] { expectOk(declareTopic(*declarer.region, "u", orderSession, 1, topic, &wish), "declaring another topic"); });
    settles();
    naming.topic = topic.place();
  }

  // A session that is adopted ahead of the schedule, and has so many batches committed.
  shared_ptr<Publishing> has(Attached& place, uint64_t batches) {
    shared_ptr<Publishing> publishing;
    place.program.ahead([&] { publishing = naming.claims(place.region, 0); });
    settles();
    place.program.ahead([&] {
      expect(publishing->ready(), "the session is not admitted");
      naming.truth->opened(publishing);
      for (uint64_t i = 0; i < batches; i += 1) Naming::writes(*publishing, i);
    });
    settles();
    return publishing;
  }

  // Goes on publishing until it is fenced.
  void goesOn(Attached& place, const shared_ptr<Publishing>& publishing, uint64_t sequence, bool mortal = false) {
    const shared_ptr<uint32_t> working = mortal ? make_shared<uint32_t>(0) : naming.working;
    *working += 1;
    place.program.runs([=] {
      uint64_t next = sequence;
      const uint32_t reason = Naming::publishes(*publishing, next, ~uint64_t{0});
      expect(reason == endFenced, "a session that lives was not fenced, but ended");
      publishing->lanes().close();
      *working -= 1;
    });
  }

  // A newer session publishes so many batches. It may have claimed its slot ahead.
  void comes(Attached& place, uint64_t batches, bool ahead = false) {
    *naming.working += 1;
    shared_ptr<Publishing> claimed;
    if (ahead) place.program.ahead([&] { claimed = naming.claims(place.region, 0); });
    place.program.runs([=, naming = naming, region = place.region] {
      if (const auto publishing = naming.admitted(claimed ? claimed : naming.claims(region, 0))) {
        uint64_t next = 0;
        const uint32_t reason = Naming::publishes(*publishing, next, batches);
        expect(reason == endNone || reason == endFenced, "a session that lives was ended");
        publishing->lanes().close();
      }
      *naming.working -= 1;
    });
  }

  // Waits for its end by the lease, or until all of its batches are acknowledged; then publishes what was not committed anew.
  void resumes(Attached& place, const shared_ptr<Publishing>& publishing, uint64_t batches, bool late, uint32_t full) {
    *naming.working += 1;
    place.program.runs([=, naming = naming, region = place.region] {
      if (late) Scheduler::now().giveWay(leaseMillis * 2 * pause);
      if (late) publishing->lanes().publish(0);
      uint64_t next = batches;
      const uint32_t reason = Naming::publishes(*publishing, next, batches, full);
      if (reason != endNone) naming.goesOnAnew(region, *publishing, batches, reason);
      *naming.working -= 1;
    });
  }

  // Makes passes until all applications are done.
  void serves() {
    first.program.runs([serving = serving, working = naming.working, at = first.region] { servesOn(*serving, *at, *working); });
  }
  static void servesOn(Sequencer& server, const Region& at, const uint32_t& working) {
    while (working != 0 && server.deposedBy() == 0) {
      pass(server, at);
      server.endDead();
      Scheduler::now().giveWay(pause);
    }
    if (server.deposedBy() != 0) server.endDead();
  }

  // Takes the log over once its server is dead or, suspiciously, at once.
  void standsBy(Attached& place, bool suspicious) {
    place.program.runs([at = place.region, options = options, working = naming.working, suspicious] {
      auto sequencer = make_shared<Sequencer>(at, options);
      while (*working != 0) {
        const ServerView server = serverOf(*at);
        if (server.state == serverDied || (suspicious && !server.own)) {
          if (sequencer->start(suspicious ? server.epoch : 0).ok()) break;
          sequencer = make_shared<Sequencer>(at, options);
        }
        Scheduler::now().giveWay(pause);
      }
      atEnd([sequencer] {});
      servesOn(*sequencer, *at, *working);
    });
  }

  // Everything that was committed is read and checked once all is done.
  void ends(Attached& place) {
    shared_ptr<IndexReader> attached;
    place.program.ahead([&] {
      Claim claim;
      expectOk(claimReader(*place.region, naming.topic, "reader", claim), "claiming a reader's place");
      attached = make_shared<IndexReader>(place.region, 0, claim, 4);
      expectOk(attached->attach(From::start, 0), "attaching the reader");
    });
    atEnd([attached] {});
    place.program.runs([at = place.region, truth = naming.truth, working = naming.working, attached] {
      IndexReader& reader = *attached;
      uint64_t position = 0;
      for (bool more = true; more || *working != 0;) {
        BatchView views[16];
        const int32_t filled = reader.poll(views, 16);
        expect(filled >= 0, "the index contradicts itself");
        for (int32_t i = 0; i < filled; i += 1) {
          expect(views[i].position == position, "the order is not dense");
          position += views[i].messages;
          truth->check(views[i]);
          checkContents(*at, views[i]);
        }
        reader.release(reader.next());
        more = filled > 0;
        if (!more) Scheduler::now().giveWay(pause);
      }
    });
    atEnd([truth = naming.truth] { truth->checkAcknowledged(); });
  }
};

// A newer session comes while the one before it goes on publishing.
void fence() {
  Named log(false);
  Attached one(*log.region, "one", false, false), other(*log.region, "other", false, false), reader(*log.region, "reader", false, false);
  log.goesOn(one, log.has(one, 1), 1);
  log.comes(other, 2);
  log.ends(reader);
  log.serves();
}

// The session's process may die at any moment; the next one comes.
void heirOfDead() {
  Named log(false);
  Attached one(*log.region, "one", false, true), other(*log.region, "other", false, false), reader(*log.region, "reader", false, false);
  log.goesOn(one, log.has(one, 1), 1, true);
  log.comes(other, 2);
  log.ends(reader);
  log.serves();
}

// Two processes name the identity at once, and one may die; a session of the other comes. `again`: an identity of a topic that
// is over had the slot, under another name. `half`: its namer died ahead of its last store.
void nameAtOnce(bool again, bool half) {
  Named log(false, 1, 0, again ? "former" : nullptr);
  Attached one(*log.region, "one", false, true), other(*log.region, "other", false, false), reader(*log.region, "reader", false, false);
  if (again) log.resettles(other);
  if (half) {
    other.program.ahead([&] {
      const uint64_t none = 0;
      memory::copyIn(&RawLine::of(other.region->identity(0)).generation, &none, sizeof(none), {});
    });
  }
  const auto places = make_shared<std::map<uint32_t, uint64_t>>();
  for (Attached* place : {&one, &other}) {
    if (place == &other) *log.naming.working += 1;
    place->program.runs([=, opens = place == &other, naming = log.naming, region = place->region]() mutable {
      naming.identity = namedAtOnce(region, naming.topic);
      places->emplace(naming.identity.index, naming.identity.generation);
      expect(places->size() == 1, "an identity has two places");
      if (!opens) return;
      if (const auto publishing = naming.admitted(naming.claims(region, 0))) publishing->lanes().close();
      *naming.working -= 1;
    });
  }
  log.ends(reader);
  log.serves();
}
void naming() { nameAtOnce(false, false); }
void renaming() { nameAtOnce(true, false); }
void halfNamed() { nameAtOnce(true, true); }

// Two sessions come at once.
void rivals() {
  Named log(false);
  Attached one(*log.region, "one", false, false), other(*log.region, "other", false, false), reader(*log.region, "reader", false, false);
  log.comes(one, 1);
  log.comes(other, 1);
  log.ends(reader);
  log.serves();
}

// A session misses a batch, outlives its lease, and goes on anew.
void lease(bool late, bool rival, uint32_t full = 0) {
  Named log(false, 2, leaseMillis);
  Attached one(*log.region, "one", false, false), other(*log.region, "other", false, false), reader(*log.region, "reader", false, false);
  const auto publishing = log.has(one, 0);
  one.program.ahead([&] {
    for (uint64_t i = 0; i < 4; i += 1) expect(publishing->seal(i), "there is no room");
    publishing->lanes().publish(1);
  });
  log.settles();
  log.resumes(one, publishing, 4, late, full);
  if (rival) log.comes(other, 1);
  log.ends(reader);
  log.serves();
}
void outlived() { lease(false, false); }
void askingForRoom() { lease(false, false, 2); }
void lateBatch() { lease(true, false); }
void tooLate() { lease(false, true); }

// The server dies in the midst of a fence and of the adoption behind it; or it is suspected there, and goes on.
void takenOver(bool suspicious) {
  Named log(!suspicious);
  Attached one(*log.region, "one", false, false), other(*log.region, "other", false, false), reader(*log.region, "reader", false, false);
  Attached standby(*log.region, "standby", false, false);
  log.goesOn(one, log.has(one, 1), 1);
  log.comes(other, 1);
  log.serves();
  log.standsBy(standby, suspicious);
  log.ends(reader);
}
// The same of the adoption alone, in a log that does nothing else.
void adoption() {
  Named log(false);
  Attached one(*log.region, "one", false, false), standby(*log.region, "standby", false, false);
  log.serves();
  log.standsBy(standby, true);
  log.comes(one, 0, true);
}
void succession() { takenOver(false); }
void suspicion() { takenOver(true); }

}  // namespace

Protocol identityProtocol() {
  return {"identity", "identities: a newer session fences the one before it", {
    {"fence", "a newer session comes while the one before it goes on publishing", &fence},
    {"heir", "a session's process dies at any moment, and the next one comes", &heirOfDead},
    {"naming", "two processes name the identity at once", &naming},
    {"renaming", "the same in the slot of an identity whose topic is over", &renaming},
    {"half named", "the same, and the process that named that identity died ahead of its last store", &halfNamed},
    {"rivals", "two sessions come at once", &rivals},
    {"outlived", "a session outlives its lease, and goes on anew", &outlived},
    {"asking for room", "the same while it asks for room: what the end releases is not room of its own", &askingForRoom},
    {"late", "the missing batch comes as the lease ends", &lateBatch},
    {"too late", "a session goes on anew while a newer one comes", &tooLate},
    {"succession", "the server dies in the midst of a fence", &succession},
    {"suspicion", "the server is deposed in the midst of a fence, and goes on", &suspicion},
    {"adoption", "the server is deposed in the midst of an adoption, and goes on", &adoption},
  }};
}

}  // namespace ringfence::explore
