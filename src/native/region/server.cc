#include "server.h"

#include <cstring>

namespace ringfence {

// Once `state` says that a process serves or has served, the fields that name it are written. Before that, the region's
// creator stands in for the server.
ServerView serverOf(const Region& region) {
  const Publication& p = region.publication();
  ServerView view{serverState(region), false, false, {}, {}};
  uint32_t slot = creatorSlot;
  uint64_t generation = p.observe(region.process(creatorSlot).owner.generation);
  if (p.observe(region.header().control.state) != servingNone) {
    const ControlLine control = p.copyOut(region.header().control);
    slot = control.sequencerProcess;
    generation = control.sequencerGeneration;
  }
  if (slot >= region.layout().geometry.processes) return view;
  view.alive = region.processAlive(slot, generation);
  view.own = slot == region.slot() && generation == region.generation();
  const ProcessOwner owner = p.copyOut(region.process(slot).owner);
  if (owner.generation != generation) return view;
  view.pid = region.pidOf(slot);
  view.name.assign(owner.name, strnlen(owner.name, nameBytes));
  return view;
}

}  // namespace ringfence
