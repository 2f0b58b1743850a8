#include "priorities.h"

#include <algorithm>

#include "region/token.h"

namespace ringfence::explore {

namespace {

constexpr uint32_t changesMax = 3;

}  // namespace

Priorities::Priorities(uint64_t seed, uint32_t steps) : seed_(seed) {
  const uint32_t length = std::max(steps, 8U);
  for (uint32_t i = 0; i < actorsMax; i += 1) priority_[i] = actorsMax + 1 + i;
  for (uint32_t i = actorsMax; i > 1; i -= 1) std::swap(priority_[i - 1], priority_[random() % i]);
  const auto draw = [&](std::vector<uint32_t>& to, uint64_t count) {
    for (uint64_t i = 0; i < count; i += 1) to.push_back(1 + static_cast<uint32_t>(random() % length));
  };
  draw(changes_, random() % (changesMax + 1));
  draw(strays_, random() % 3);
  if (random() % 3 == 0) ends_ = 1 + static_cast<uint32_t>(random() % length);
  byDeath_ = random() % 3 != 0;
  constexpr uint8_t ofWhat[] = {0, staleLine, staleAll};
  older_ = static_cast<uint8_t>(1 + random() % 2 + ofWhat[random() % 3]);
}

uint64_t Priorities::random() { return seed_ = mix64(seed_ + 0x9e3779b97f4a7c15ULL); }

// A store that the step publishes lies ahead of it; what is read because of it lies behind it.
void Priorities::gather(uint32_t step, uint64_t seed) {
  seed_ = seed;
  const auto around = [&](uint32_t ahead, uint32_t behind) {
    const auto at = static_cast<uint32_t>(step + random() % (ahead + behind));
    return at > ahead ? at - ahead : 1;
  };
  strays_ = {around(10, 10), around(10, 10)};
  if (random() % 2 == 0) strays_.pop_back();
  changes_.push_back(around(2, 6));
  if (random() % 4 == 0) ends_ = around(4, 6);
}

bool Priorities::holds(const std::vector<uint32_t>& steps, uint32_t step) {
  return std::find(steps.begin(), steps.end(), step) != steps.end();
}

uint8_t Priorities::highest(uint16_t actors) const {
  uint8_t best = actorsMax;
  for (uint8_t i = 0; i < actorsMax; i += 1) {
    if ((actors >> i & 1) != 0 && (best == actorsMax || priority_[i] > priority_[best])) best = i;
  }
  return best;
}

void Priorities::count(uint8_t actor) {
  now_ += 1;
  if (holds(changes_, now_)) priority_[actor] = lowest_ -= 1;
}

}  // namespace ringfence::explore
