#include "model.h"

#include <array>
#include <map>
#include <vector>

#include "arena.h"
#include "line_memory.h"
#include "weak_memory.h"

namespace ringfence::explore {

namespace {

Model* chosen = nullptr;

struct Touch {
  uint16_t loaded = 0;
  uint16_t stored = 0;
};

constexpr uint32_t filesKnown = 4;  // all words of files created later count as shared
std::array<std::vector<Touch>, filesKnown> touches;
std::map<const void*, std::array<std::vector<Touch>, filesKnown>> known;
bool anyGrown = false;

bool met(const Touch& touch) {
  return touch.stored != 0 && __builtin_popcount(static_cast<unsigned>(touch.loaded | touch.stored)) > 1;
}

}  // namespace

Model& Model::now() { return *chosen; }
void Model::choose(Model& model) { chosen = &model; }

std::vector<Model*> Model::all() {
  static WeakMemory weak;
  static LineMemory lines;
  return {&weak, &lines};
}

void Meetings::forget() {
  for (auto& table : touches) table.clear();
  anyGrown = false;
}

void Meetings::keep(const void* configuration) { known[configuration] = touches; }

bool Meetings::recall(const void* configuration) {
  const auto at = known.find(configuration);
  if (at == known.end()) return false;
  touches = at->second;
  anyGrown = false;
  return true;
}

void Meetings::touched(const Word& word, bool stored) {
  const Actor* actor = Scheduler::now().current();
  if (actor == nullptr || !Scheduler::now().exploring() || word.file->id >= filesKnown) return;
  std::vector<Touch>& table = touches[word.file->id];
  const size_t at = word.offset / 8;
  if (at >= table.size()) {
    const OutsideArena outside;
    table.resize(word.file->bytes / 8 + 1);
  }
  Touch& touch = table[at];
  const bool before = met(touch);
  uint16_t& mask = stored ? touch.stored : touch.loaded;
  mask = static_cast<uint16_t>(mask | 1U << actor->id);
  anyGrown = anyGrown || (met(touch) && !before);
}

bool Meetings::shared(const Word& word) {
  if (word.file->id >= filesKnown) return true;
  const std::vector<Touch>& table = touches[word.file->id];
  const size_t at = word.offset / 8;
  return at < table.size() && met(table[at]);
}

bool Meetings::grown() {
  const bool grew = anyGrown;
  anyGrown = false;
  return grew;
}

}  // namespace ringfence::explore
