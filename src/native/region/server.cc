#include "server.h"

#include <cstring>

namespace ringfence {

namespace {

void nameAs(const ProcessOwner& owner, uint64_t generation, ProcessPid& pid, std::string& name) {
  if (owner.generation != generation) return;
  pid = seenFromHere(owner.pid, owner.pidNamespace);
  name.assign(owner.name, strnlen(owner.name, nameBytes));
}

// Stands in for the server before there is one.
void nameCreator(const Region& region, ServerView& view) {
  const ProcessOwner owner = region.publication().snapshot<&ProcessOwner::generation>(region.process(creatorSlot).owner);
  view.alive = region.processAlive(creatorSlot, owner.generation);
  view.own = region.slot() == creatorSlot && region.generation() == owner.generation;
  nameAs(owner, owner.generation, view.pid, view.name);
}

}  // namespace

EpochProcess processOf(const Region& region, uint64_t block) {
  const Publication p = region.publication();
  const BlockHead head = p.snapshot<&BlockHead::word>(region.blockHead(block).head);
  EpochProcess at;
  at.epoch = epochIn(head);
  at.held = region.blockHeld(block);
  if (at.epoch.number == 0) return at;
  at.own = at.held && head.process == region.slot() && head.processGeneration == region.generation();
  at.pid = seenFromHere(head.pid, head.pidNamespace);
  if (head.process >= region.layout().geometry.processes) return at;
  nameAs(p.snapshot<&ProcessOwner::generation>(region.process(head.process).owner), head.processGeneration, at.pid, at.name);
  return at;
}

std::vector<EpochProcess> epochsOf(const Region& region) {
  std::vector<EpochProcess> all;
  for (uint64_t block = 0; block < region.layout().geometry.epochBlocks; block += 1) all.push_back(processOf(region, block));
  return all;
}

// Looks again when that process is gone: a creator may go as soon as another process serves, and a server as soon as
// another takes over.
ServerView serverOf(const Region& region) {
  ServerView view{serverState(region), false, false, {}, {}, 0, 0, false};
  for (int look = 0; look < 2; look += 1) {
    const Heads heads = headsOf(region);
    view.recoverable = logRecoverable(heads);
    if (heads.newest.number == 0) {
      nameCreator(region, view);
    } else {
      const EpochProcess process = processOf(region, heads.newest.number % region.layout().geometry.epochBlocks);
      view.epoch = heads.newest.number;
      view.pulse = region.publication().observe<&ServiceLine::pulse>(region.blockHead(view.epoch).service);
      view.alive = process.held && heads.newest.state != EpochState::stopped;
      view.own = process.own;
      view.pid = process.pid;
      view.name = process.name;
    }
    if (view.alive) break;
  }
  return view;
}

}  // namespace ringfence
