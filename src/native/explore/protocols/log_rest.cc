#include "log_rest.h"

#include "log/topics.h"
#include "log_ends.h"
#include "region/epochs.h"

namespace ringfence::explore {

namespace {

// All fields, as no actor may see them yet.
template <class L>
typename L::Fields whole(const L& line) {
  uint64_t words[sizeof(typename L::Fields) / sizeof(uint64_t)];
  const auto* from = reinterpret_cast<const uint64_t*>(&RawLine::of(line));
  for (size_t i = 0; i < std::size(words); i += 1) words[i] = peek(from[i]);
  typename L::Fields fields;
  std::memcpy(static_cast<void*>(&fields), words, sizeof(fields));
  return fields;
}

void expectLane(const Region& region, uint64_t epoch, uint64_t at, bool unordered) {
  const LaneLine& line = region.laneLine(epoch, at);
  const auto frontiers = whole(line.frontiers);
  const auto counts = whole(line.counts);
  const uint64_t scanned = frontiers.scanned - counts.firstIndex;
  const uint64_t counted = counts.ordered + counts.held + counts.duplicates + counts.purged;
  expect(counts.firstIndex <= frontiers.scanned && (unordered || counted >= scanned), "a lane's batches are not all counted");
  expect(counts.orderedMessages >= counts.ordered && counts.orderedMessages <= 2 * counts.ordered, "a lane's records are not counted");
  const uint64_t most = unordered ? scanned : counts.ordered;
  expect(counts.delivered <= most, "more is delivered than was ordered");
  expect(counts.deliveredMessages >= counts.delivered && counts.deliveredMessages <= 2 * counts.delivered, "the records that are delivered are not counted");
}

void expectSession(const Region& region, uint64_t epoch, const SessionReport& report) {
  const SessionLine& line = region.sessionLine(epoch, report.client);
  if (peek<&SessionLine::Acknowledged::generation>(line.acknowledged) != report.generation) return;
  const auto pressure = whole(line.pressure);
  expect(pressure.held == report.held && pressure.purged == report.purged, "a session's line counts other batches as held or purged");
  expect(pressure.heldTotal >= pressure.held, "a session's line counts fewer batches as held ever than now");
  expect(pressure.gapSinceNanos == report.gapSinceNanos, "a session's line tells another gap");
  uint64_t duplicates = 0;
  for (uint32_t b = 0; b < region.layout().geometry.brokers; b += 1) {
    duplicates += peek<&LaneLine::Counts::duplicates>(region.laneLine(epoch, region.laneOf(b, report.client)).counts);
  }
  expect(pressure.duplicates == duplicates, "a session's line counts other duplicates than its lanes");
}

void expectTopic(const Region& region, uint64_t epoch, uint32_t t, uint64_t gating) {
  const auto committed = whole(region.topicLine(epoch, t).committed);
  const auto retention = whole(region.topicLine(epoch, t).retention);
  const uint64_t batches = committed.entries - retention.firstEntry;
  expect(committed.bytes == batches * payloadBytes, "a topic's bytes are not counted");
  expect(retention.gatingReader == gating, "a topic's line names another reader that holds room");
}

}  // namespace

void expectSequencerLines(const Region& region, Sequencer& sequencer, const std::vector<SessionReport>& reports) {
  const Geometry& g = region.layout().geometry;
  const SequencerCounters counters = sequencer.counters();
  const uint64_t epoch = counters.epoch;
  const auto block = whole(region.blockHead(epoch).service);
  const auto head = whole(region.blockHead(epoch).head);
  expect(block.commits == counters.commits && block.passes >= block.commits && block.passes <= counters.passes, "the sequencer's passes are not counted");
  expect(head.process == region.slot() && head.processGeneration == region.generation(), "the block of an epoch names another process than serves it");
  for (const SessionReport& report : reports) expectSession(region, epoch, report);
  // A successor goes on from counts that the one before it may have died ahead of.
  for (uint32_t i = 0; epoch == 1 && i < g.clients; i += 1) {
    const bool unordered = peek<&SessionLine::Acknowledged::unordered>(region.sessionLine(epoch, i).acknowledged) != 0;
    for (uint32_t b = 0; b < g.brokers; b += 1) expectLane(region, epoch, region.laneOf(b, i), unordered);
  }
  const std::vector<GateReport> gates = sequencer.gates();
  for (const TopicView& topic : topicsOf(region)) {
    uint64_t gating = 0;
    for (const GateReport& gate : gates) gating = gate.topic == topic.name ? gate.reader + 1 : gating;
    expectTopic(region, epoch, topic.index, gating);
  }
}

void expectProducerLines(const Region& region, const LaneWriter& lanes, const std::vector<uint64_t>& records) {
  const uint64_t generation = lanes.claim().generation;
  const uint64_t epoch = headsOf(region).served.number;
  const auto& session = region.sessionLine(epoch, lanes.claim().slot).acknowledged;
  if (peek<&SessionLine::Acknowledged::generation>(session) != generation) return;
  uint64_t fullEvents = 0;
  for (uint32_t b = 0; b < records.size(); b += 1) {
    const auto line = whole(region.producer(lanes.laneOf(b)));
    const LaneFrontiers known = lanes.frontiers(b);
    const uint64_t first = peek<&LaneLine::Counts::firstIndex>(region.laneLine(epoch, lanes.laneOf(b)).counts);
    expect(line.generation == generation, "a lane's line names another session than has it");
    const bool batches = line.writtenBatches - first == known.written && line.publishedBatches - first == known.published;
    expect(batches, "a session's line counts other batches than it has written and published");
    const bool all = known.written == known.published;
    const bool messages = line.writtenMessages == records[b] && (!all || line.publishedMessages == records[b]);
    expect(messages, "a session's line counts other records than it has written and published");
    fullEvents += line.fullEvents;
  }
  expect(fullEvents == lanes.fullEvents(), "a session's line does not count each time that it found no room");
}

}  // namespace ringfence::explore
