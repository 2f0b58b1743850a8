#include "identities.h"

#include <cstring>

#include "region/claim_locks.h"
#include "region/quantities.h"
#include "region/token.h"
#include "topic_life.h"

namespace ringfence {

namespace {

constexpr int lookAttempts = 64;  // for a slot that changes with each look

// A valid seal makes the declaration, even if its process died before it published the generation.
IdentityState stateOf(const IdentitySlot& slot, uint64_t& generation) {
  generation = slot.generation;
  const bool unnamed = slot.seal == unnamedMarkOf(generation);
  if (!unnamed && generation != 0 && slot.seal == identitySealOf(slot, generation)) return IdentityState::declared;
  generation += 1;
  if (unnamed) return IdentityState::unnamed;
  return slot.seal == identitySealOf(slot, generation) ? IdentityState::declared : IdentityState::damaged;
}

bool findIdentity(const Region& region, TopicPlace topic, const std::string& name, IdentityView& identity) {
  IdentityView view{};
  for (uint32_t i = 0; i < region.layout().identities(); i += 1) {
    if (identityAt(region, i, view) != IdentityState::declared) continue;
    if (view.topic.index != topic.index || view.topic.generation != topic.generation || view.name != name) continue;
    identity = view;
    return true;
  }
  return false;
}

// The slot for the next identity, under the names lock. Fails while any slot is damaged: its unknown name may be this one.
Status findFree(const Region& region, IdentityView& identity) {
  const TopicLives topics(region);
  const uint32_t identities = region.layout().identities();
  IdentityView view{};
  bool found = false;
  for (uint32_t i = 0; i < identities; i += 1) {
    const IdentityState state = identityAt(region, i, view);
    if (state == IdentityState::damaged) {
      return Status::failed("corrupt", "identity " + std::to_string(i) + " was damaged from outside, so no new identity can be named");
    }
    if (found || (state == IdentityState::declared && !topics.over(view.topic))) continue;
    if (state == IdentityState::declared) view.generation += 1;
    identity = view;
    found = true;
  }
  if (found) return Status::fine();
  return Status::failed("full", "all " + formatCount(identities) + " identities of the region are in use");
}

// A process that dies in here leaves an unnamed slot. First set the generation to that of the former identity: a declarer
// that died may have left it one behind.
void writeIdentity(const Region& region, role::NameGiver giver, const IdentityView& identity) {
  const Publication& p = region.publication();
  auto& shared = region.identity(identity.index);
  IdentitySlot slot{};
  slot.generation = identity.generation - 1;
  slot.seal = unnamedMarkOf(slot.generation);
  slot.topicGeneration = identity.topic.generation;
  slot.topic = identity.topic.index;
  slot.nameLength = static_cast<uint32_t>(identity.name.size());
  slot.base = identity.base;
  std::memcpy(slot.name, identity.name.data(), identity.name.size());
  p.on(giver, shared).publish<&IdentitySlot::generation>(slot.generation).publish<&IdentitySlot::seal>(slot.seal);
  p.storeFence();
  p.on(giver, shared)
      .all(slot)
      .publish<&IdentitySlot::seal>(identitySealOf(slot, identity.generation))
      .publish<&IdentitySlot::generation>(identity.generation);
}

}  // namespace

// SYNC: a declarer takes the seal back, and fences before it writes the fields: a look that sees a new field under the old
// seal is followed by a look that sees the mark. So a slot is damaged if two looks in a row find it so, and the same.
IdentityState identityAt(const Region& region, uint32_t index, IdentityView& identity) {
  const Publication& p = region.publication();
  const auto& shared = region.identity(index);
  identity.index = index;
  IdentitySlot before{};
  for (int attempt = 0; attempt < lookAttempts; attempt += 1) {
    const IdentitySlot slot = p.snapshot<&IdentitySlot::generation>(shared);
    p.loadFence();
    const IdentityState state = stateOf(slot, identity.generation);
    const bool named = state == IdentityState::declared && slot.nameLength <= identityNameBytes;
    if (named) {
      identity.topic = {slot.topic, slot.topicGeneration};
      identity.name.assign(slot.name, slot.nameLength);
      identity.base = slot.base;
    }
    if (named || state == IdentityState::unnamed) return state;
    if (attempt > 0 && std::memcmp(&slot, &before, sizeof(slot)) == 0) break;
    before = slot;
  }
  return IdentityState::damaged;
}

std::vector<IdentityView> identitiesOf(const Region& region) {
  const TopicLives topics(region);
  std::vector<IdentityView> views;
  IdentityView view{};
  for (uint32_t i = 0; i < region.layout().identities(); i += 1) {
    if (identityAt(region, i, view) == IdentityState::declared && !topics.over(view.topic)) views.push_back(view);
  }
  return views;
}

// A known name needs no lock. For a new name, look again under the names lock before giving it: another process may have
// given it meanwhile.
// SYNC: publishes `seal` after the fields, and `generation` last; they pair with the observes in identityAt.
Status declareIdentity(Region& region, TopicPlace topic, const std::string& name, IdentityView& identity) {
  if (name.empty() || name.size() > identityNameBytes) return Status::failed("invalid", "an identity's name has 1 to 64 bytes");
  Status status = topicThere(region, topic);
  if (!status.ok()) return status;
  if (findIdentity(region, topic, name, identity)) return Status::fine();
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  if (findIdentity(region, topic, name, identity)) return Status::fine();
  status = findFree(region, identity);
  if (!status.ok()) return status;
  identity = {identity.index, identity.generation, topic, name};
  writeIdentity(region, lock.nameGiver(), identity);
  return Status::fine();
}

Status restoreIdentity(Region& region, TopicPlace topic, const std::string& name, uint64_t base, IdentityView& identity) {
  if (name.empty() || name.size() > identityNameBytes) return Status::failed("invalid", "an identity's name has 1 to 64 bytes");
  Status status = topicThere(region, topic);
  if (!status.ok()) return status;
  const ClaimLock lock = ClaimLock::ofNames(region);
  if (!lock.held()) return namesBusy(region);
  if (findIdentity(region, topic, name, identity)) return Status::failed("invalid", "the topic has the identity already");
  status = findFree(region, identity);
  if (!status.ok()) return status;
  identity = {identity.index, identity.generation, topic, name, base};
  writeIdentity(region, lock.nameGiver(), identity);
  return Status::fine();
}

}  // namespace ringfence
