#include "server.h"

#include <cstring>

namespace ringfence {

namespace {

struct Process {
  uint32_t slot;
  uint64_t generation;
};

// Once `state` says that a process serves or has served, the fields that name it are written. Before that, the region's
// creator stands in for the server.
Process servingProcess(const Region& region) {
  const Publication& p = region.publication();
  const ControlLine control = p.snapshot<&ControlLine::state>(region.header().control);
  if (control.state != servingNone) return {control.sequencerProcess, control.sequencerGeneration};
  return {creatorSlot, p.observe<&ProcessOwner::generation>(region.process(creatorSlot).owner)};
}

}  // namespace

// Looks again when that process is gone: a creator may go as soon as another process serves.
ServerView serverOf(const Region& region) {
  const Publication& p = region.publication();
  ServerView view{serverState(region), false, false, {}, {}};
  Process server = servingProcess(region);
  view.alive = region.processAlive(server.slot, server.generation);
  if (!view.alive) {
    server = servingProcess(region);
    view.alive = region.processAlive(server.slot, server.generation);
  }
  const auto [slot, generation] = server;
  if (slot >= region.layout().geometry.processes) return view;
  view.own = slot == region.slot() && generation == region.generation();
  const ProcessOwner owner = p.snapshot<&ProcessOwner::generation>(region.process(slot).owner);
  if (owner.generation != generation) return view;
  view.pid = seenFromHere(owner.pid, owner.pidNamespace);
  view.name.assign(owner.name, strnlen(owner.name, nameBytes));
  return view;
}

}  // namespace ringfence
