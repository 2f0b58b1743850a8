#include "replica_ends.h"

#include <algorithm>

#include "explore/trace.h"
#include "region/token.h"

namespace ringfence::explore::durable {

uint64_t onDisks(const std::vector<std::shared_ptr<Disk>>& disks, size_t copies) {
  std::vector<uint64_t> entries;
  for (const auto& disk : disks) entries.push_back(disk->entries);
  std::ranges::sort(entries, std::greater());
  return entries.at(copies - 1);
}

uint64_t peekDurable(const Region& region) {
  std::vector<Synced> replicas;
  uint64_t required = 1;
  for (uint32_t i = 0; i < region.layout().geometry.readers; i += 1) {
    const auto& slot = region.reader(0, i);
    const uint64_t generation = peek<&ReaderClaim::generation>(slot.claim);
    ReaderLine line{};
    line.cursor = peek<&ReaderLine::cursor>(slot.line);
    line.replicaKey = peek<&ReaderLine::replicaKey>(slot.line);
    line.replicasRequired = peek<&ReaderLine::replicasRequired>(slot.line);
    const bool left = generation == 0 || peek<&ReaderLine::detachedGeneration>(slot.line) == generation;
    if (left || peek<&ReaderLine::syncedSeal>(slot.line) != syncedSealOf(line, generation)) continue;
    required = std::max(required, line.replicasRequired);
    const auto same = std::ranges::find(replicas, line.replicaKey, [](const Synced& one) { return one.replica.key; });
    if (same == replicas.end()) {
      replicas.push_back({generation, {line.replicaKey, line.replicasRequired}, line.cursor});
    } else {
      same->entries = std::max(same->entries, line.cursor);
    }
  }
  if (replicas.size() < required) return 0;
  std::ranges::sort(replicas, std::greater(), &Synced::entries);
  return replicas[required - 1].entries;
}

Status Replicating::attach() { return reader_.attach(From::position, disk_->messages); }

bool Replicating::sync() {
  BatchView views[16];
  const int32_t filled = reader_.poll(views, 16);
  expect(filled >= 0, "the index contradicts itself");
  if (filled <= 0) return false;
  uint64_t messages = disk_->messages;
  for (int32_t i = 0; i < filled; i += 1) {
    expect(views[i].position == messages, "the order is not dense");
    messages += views[i].messages;
    checkContents(*region_, views[i]);
  }
  disk_->entries += static_cast<uint64_t>(filled);
  disk_->messages = messages;
  Trace::say("has synced " + std::to_string(disk_->entries) + " entries");
  reader_.release(reader_.next());
  return true;
}

bool Replicating::moreIsThere() const {
  return peek<&TopicLine::Committed::entries>(region_->topicLine(1, 0).committed) > reader_.next();
}

void Replicating::syncUntil(uint64_t entries, Sleeper& sleeper, const std::function<bool()>& ends) {
  while (disk_->entries < entries && !ends()) {
    sleeper.until(sleepsForData, "a batch", [&] { return more() || ends(); }, [&] { return moreIsThere(); });
    sync();
  }
}

uint64_t Durable::batches() {
  const uint64_t committed = publishing_->lanes().committedBatches();
  if (committed > noted_) {
    if (const auto point = publishing_->lanes().commitPoint()) {
      notes_.push_back({committed, *point});
      noted_ = committed;
    }
  }
  const uint64_t entries = publishing_->lanes().durableEntries().value_or(0);
  for (; !notes_.empty() && notes_.front().entries <= entries; notes_.pop_front()) durable_ = notes_.front().batches;
  return durable_;
}

void Durable::await(uint64_t batches, Sleeper& sleeper, const Region& region) {
  const auto& acknowledged = region.sessionLine(1, 0).acknowledged;
  const auto look = [&] { return this->batches() >= batches || publishing_->lanes().endReason() != endNone; };
  const auto there = [&] {
    return peek<&SessionLine::Acknowledged::batches>(acknowledged) >= batches && peekDurable(region) >= batches;
  };
  sleeper.until(sleepsForData, "durable batches", look, there);
}

}  // namespace ringfence::explore::durable
