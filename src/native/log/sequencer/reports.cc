// Reports the sequencer's counters and its sessions.
#include "sequencer.h"

namespace ringfence {

namespace {

constexpr size_t endedLimit = 1024;  // sessions that are remembered until they are told to have ended

}  // namespace

SequencerCounters Sequencer::counters() {
  const std::lock_guard<std::mutex> lock(mutex_);
  SequencerCounters at{epoch_, passes_, commits_, batches_, messages_, duplicates_, purged_, 0, paused_, stopped_};
  for (const Session& session : sessions_) {
    at.held += session.active ? session.held : 0;
  }
  return at;
}

std::vector<SessionReport> Sequencer::sessions() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<SessionReport> found;
  found.swap(ended_);
  for (uint32_t i = 0; i < g_.clients; i += 1) {
    if (!reports(i)) continue;
    found.push_back(reportOf(i));
    sessions_[i].told = !sessions_[i].active;
  }
  return found;
}

bool Sequencer::reports(uint32_t client) const {
  return sessions_[client].generation != 0 && sessions_[client].endReason != endTopicGone;
}

SessionReport Sequencer::reportOf(uint32_t client) const {
  const Session& s = sessions_[client];
  return {client, s.generation, s.id, s.topicName, s.process, region_->pidOf(s.process), s.endReason, !s.active,
          s.expected, s.expectedMessages, s.held, s.purged, s.gapSinceNanos};
}

// A session that has ended since the last look is told all the same.
void Sequencer::giveSlot(uint32_t client) {
  if (reports(client) && !sessions_[client].told && ended_.size() < endedLimit) ended_.push_back(reportOf(client));
  sessions_[client].told = false;
}

}  // namespace ringfence
