#include "server.h"

#include <cstring>

namespace ringfence {

// Once `state` says that a process serves or has served, the fields that name it are written. Before that, the region's
// creator stands in for the server.
ServerView serverOf(const Region& region) {
  const Publication& p = region.publication();
  ServerView view{serverState(region), false, false, {}, {}};
  uint32_t slot = creatorSlot;
  uint64_t generation = p.observe<&ProcessOwner::generation>(region.process(creatorSlot).owner);
  const ControlLine control = p.snapshot<&ControlLine::state>(region.header().control);
  if (control.state != servingNone) {
    slot = control.sequencerProcess;
    generation = control.sequencerGeneration;
  }
  if (slot >= region.layout().geometry.processes) return view;
  view.alive = region.processAlive(slot, generation);
  view.own = slot == region.slot() && generation == region.generation();
  const ProcessOwner owner = p.snapshot<&ProcessOwner::generation>(region.process(slot).owner);
  if (owner.generation != generation) return view;
  view.pid = seenFromHere(owner.pid, owner.pidNamespace);
  view.name.assign(owner.name, strnlen(owner.name, nameBytes));
  return view;
}

}  // namespace ringfence
