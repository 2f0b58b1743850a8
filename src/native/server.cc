#include "server.h"

#include <cstring>

namespace ringfence {

// Once `state` says that somebody serves, or did, the fields that say who are there: serverState has observed it.
ServerView serverOf(const Region& region) {
  const Publication& p = region.publication();
  ServerView view{serverState(region), false, false, 0, {}};
  uint32_t slot = creatorSlot;
  uint64_t generation = p.observe(region.process(creatorSlot).owner.generation);
  if (view.state != serverUnknown) {
    const ControlLine control = p.copyOut(region.header().control);
    slot = control.sequencerProcess;
    generation = control.sequencerGeneration;
  }
  if (slot >= region.layout().geometry.processes) return view;
  view.alive = region.processAlive(slot, generation);
  view.own = slot == region.slot() && generation == region.generation();
  const ProcessOwner owner = p.copyOut(region.process(slot).owner);
  if (owner.generation != generation) return view;
  view.pid = owner.pid;
  view.name.assign(owner.name, strnlen(owner.name, nameBytes));
  return view;
}

}  // namespace ringfence
