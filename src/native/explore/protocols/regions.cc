// Regions: their creation, their names, and who holds them; and the claims of slots.
#include "regions.h"

#include <cstring>
#include <set>

#include "attached.h"
#include "departures.h"
#include "explore/files.h"
#include "explore/line_names.h"
#include "explore/model.h"
#include "explore/trace.h"
#include "log/claims.h"
#include "log_ends.h"
#include "ring_ends.h"

namespace ringfence::explore {

namespace {

using std::make_shared;
using std::shared_ptr;

constexpr const char* path = "/regions/one";

bool is(const Status& status, const char* fault) { return !status.ok() && std::strcmp(status.fault, fault) == 0; }

Status create(shared_ptr<Region>& region) {
  nameAfter(layoutOf(logGeometry()));
  CreateOptions options;
  options.path = path;
  options.processName = "creator";
  options.geometry = logGeometry();
  options.prefault = false;
  options.coherence = Model::now().hasLines() ? Coherence::flushed : Coherence::coherent;
  return Region::create(options, nullptr, region);
}

uint64_t idOf(const Region& region) { return peek(RawLine::of(region.header().identity).regionId[0]); }

// Two processes create a region of one name, and a third one looks for it.
void creation() {
  const auto made = make_shared<std::set<uint64_t>>();
  Program first("first creator", true);
  Program second("second creator", true);
  Program client("client", false);
  for (Program* program : {&first, &second}) {
    program->runs([=] {
      const auto region = make_shared<shared_ptr<Region>>();
      const Status status = create(*region);
      expect(status.ok() || is(status, "exists") || is(status, "busy"), std::string("it is not created: ") + (status.ok() ? "" : status.fault));
      if (!status.ok()) return;
      Trace::say("has created the region");
      made->insert(idOf(**region));
      atEnd([region] {});
    });
  }
  client.runs([=] {
    for (int i = 0; i < 3; i += 1) {
      shared_ptr<Region> region;
      const Status status = Region::attach({path, "client", false}, region);
      expect(status.ok() || is(status, "missing"), std::string("half a region is found: ") + (status.ok() ? "" : status.fault + std::string(", ") + status.detail));
      if (status.ok()) {
        Trace::say("has attached");
        expect(region->slot() != 0, "a client has the creator's slot");
      }
      region = nullptr;
      Scheduler::now().giveWay(1'000'000);
    }
  });
  atEnd([=] { expect(made->size() <= 1, "two regions were created under one name"); });
}

// The creator closes while a client asks to hold the region, and another process makes one of the same name.
void holding() {
  Program creator("creator", true);
  Program client("client", false);
  Program next("next creator", true);
  shared_ptr<Region> region;
  creator.ahead([&] { expectOk(create(region), "creating the region"); });
  const auto attached = make_shared<shared_ptr<Region>>();
  client.ahead([&] { expectOk(Region::attach({path, "client", false}, *attached), "attaching"); });
  const auto owned = make_shared<shared_ptr<Region>>(region);
  const File* file = Files::named(path);
  const auto held = make_shared<bool>(false);
  client.runs([=] {
    const Status status = (*attached)->hold();
    expect(status.ok() || is(status, "missing") || is(status, "busy"), "it is not held");
    if (!status.ok()) return;
    Trace::say("holds the region");
    *held = true;
    expect(Files::named(path) == file, "a region is held whose name is gone");
    Scheduler::now().giveWay(1'000'000);
    expect(Files::named(path) == file, "a region that is held has lost its name");
  });
  creator.runs([=] { (*owned)->close(); });
  next.runs([=] {
    const auto own = make_shared<shared_ptr<Region>>();
    const Status status = create(*own);
    expect(status.ok() || is(status, "exists") || is(status, "busy"), "it is not created");
    if (!status.ok()) return;
    expect(!*held, "two regions bear one name");
    atEnd([own] {});
  });
  atEnd([=] { expect(attached != nullptr && owned != nullptr, "nothing is left"); });
}

// Three processes claim two slots: each slot goes to one of them.
template <class Claims>
void claimed(const Geometry& geometry, uint32_t slots, Claims claims) {
  const auto region = made(geometry);
  const auto taken = make_shared<std::set<uint32_t>>();
  const auto refused = make_shared<uint32_t>(0);
  for (const char* name : {"first", "second", "third"}) {
    Attached place(*region, name, false);
    place.program.runs([=, at = place.region] {
      uint32_t slot = 0;
      Status status = claims(*at, slot);
      for (Patience patience; is(status, "busy") && patience.lasts();) status = claims(*at, slot);
      expect(status.ok() || is(status, "full"), std::string("no claim: ") + (status.ok() ? "" : status.fault));
      if (status.ok()) {
        Trace::say("has slot " + std::to_string(slot));
        expect(taken->insert(slot).second, "two processes have one slot");
      } else {
        *refused += 1;
      }
    });
  }
  atEnd([=] {
    if (!Scheduler::now().deaths()) expect(taken->size() == std::min(slots, 3U) && *refused == 3 - taken->size(), "a slot is free, and a claim is refused");
  });
}

void sessions() {
  claimed(logGeometry(2), 2, [](Region& region, uint32_t& slot) {
    Claim claim;
    const Status status = claimClient(region, {0, 1}, claim);
    slot = claim.slot;
    return status;
  });
}

void readers() {
  Geometry geometry = ringGeometry();
  geometry.processes = 6;
  const auto region = made(geometry);
  Attached writer(*region, "writer", false, false);
  shared_ptr<Sending> sending;
  writer.program.ahead([&] { sending = make_shared<Sending>(writer.region); });
  atEnd([sending] {});
  const auto taken = make_shared<std::set<uint32_t>>();
  for (const char* name : {"first", "second", "third"}) {
    Attached place(*region, name, false);
    place.program.runs([=, at = place.region] {
      ReaderRole role;
      Status status = claimRingReader(*at, "ring", "reader", role);
      for (Patience patience; is(status, "busy") && patience.lasts();) status = claimRingReader(*at, "ring", "reader", role);
      expect(status.ok() || is(status, "full"), std::string("no claim: ") + (status.ok() ? "" : status.fault));
      if (status.ok()) expect(taken->insert(role.slot).second || Scheduler::now().deaths(), "two processes have one place");
    });
  }
  atEnd([=] {
    if (!Scheduler::now().deaths()) expect(taken->size() == 2, "a place is free, and a claim is refused");
  });
}

}  // namespace

Protocol regionProtocol() {
  Protocol protocol{"region", "regions: creation, names, holds", {
    {"creation", "two make a region of one name, and a third attaches", &creation},
    {"holding", "the creator closes while a client asks to hold the region, and another makes one of its name", &holding},
  }};
  for (const Configuration& one : regionDepartures()) protocol.configurations.push_back(one);
  return protocol;
}

Protocol claimProtocol() {
  return {"claims", "slots of tables, each under a lock of its own", {
    {"sessions", "three processes claim two session slots", &sessions},
    {"ring readers", "three processes claim two places of a ring's readers", &readers},
  }};
}

}  // namespace ringfence::explore
