// Sizes: the limits of a geometry, and the places of its arrays.
#include "log_fixture.h"

namespace ringfence::test {

namespace {

// Wide enough that no sum of sizes overflows while the test checks it for overflow.
__extension__ typedef unsigned __int128 Wide;

struct Limits {
  const char* field;
  uint64_t least;
  uint64_t most;
  void (*set)(Geometry&, uint64_t);
};

#define LIMITS(field, least, most) \
  {#field, least, most, [](Geometry& g, uint64_t n) { g.field = static_cast<decltype(g.field)>(n); }}

const Limits limits[] = {
    LIMITS(brokers, 1, brokersMax),      LIMITS(clients, 1, clientsMax),
    LIMITS(topics, 1, topicsMax),        LIMITS(readers, 1, readersMax),
    LIMITS(processes, 2, processesMax),  LIMITS(epochBlocks, 1, epochBlocksMax),
    LIMITS(laneSlots, 8, 1U << 20),      LIMITS(indexEntries, 64, 1U << 24),
    LIMITS(batchBytes, 4096, 1U << 28),  LIMITS(lanePayloadBytes, 8 * 4096, 1ULL << 32),
};

Geometry atLimit(bool most) {
  Geometry g{};
  for (const Limits& limit : limits) limit.set(g, most ? limit.most : limit.least);
  return g;
}

Geometry randomGeometry(Random& random) {
  Geometry g = atLimit(false);
  g.brokers = static_cast<uint32_t>(1 + random.below(brokersMax));
  g.clients = static_cast<uint32_t>(1 + random.below(clientsMax));
  g.topics = static_cast<uint32_t>(1 + random.below(topicsMax));
  g.readers = static_cast<uint32_t>(1 + random.below(readersMax));
  g.processes = static_cast<uint32_t>(2 + random.below(processesMax - 1));
  g.epochBlocks = static_cast<uint32_t>(1 + random.below(8));
  g.laneSlots = 8U << random.below(18);
  g.indexEntries = 64U << random.below(19);
  g.batchBytes = 4096ULL << random.below(17);
  g.lanePayloadBytes = 8 * g.batchBytes;
  return g;
}

// An array of a part, with its end, which must not reach into the next.
struct Extent {
  uint64_t start;
  Wide bytes;
};

void checkFollow(const std::vector<Extent>& extents, uint64_t end) {
  for (size_t i = 0; i < extents.size(); i += 1) {
    const uint64_t next = i + 1 < extents.size() ? extents[i + 1].start : end;
    CHECK_EQUAL(extents[i].start % lineBytes, 0);
    CHECK(extents[i].start + extents[i].bytes <= next);
  }
}

void checkLayout(const Geometry& g) {
  CHECK(geometryValid(g));
  const Layout at = layoutOf(g);
  const Wide lanes = uint64_t{g.brokers} * g.clients;
  const Wide readers = uint64_t{g.topics} * g.readers;
  checkFollow({{0, sizeof(Header)},
               {at.processes, g.processes * sizeof(ProcessSlot)},
               {at.topics, g.topics * sizeof(TopicSlot)},
               {at.clients, g.clients * sizeof(ClientSlot)},
               {at.readers, readers * sizeof(ReaderSlot)},
               {at.producers, lanes * sizeof(ProducerLine)},
               {at.descriptors, lanes * g.laneSlots * sizeof(Descriptor)},
               {at.blocks, static_cast<Wide>(at.blockBytes) * g.epochBlocks},
               {at.payload, lanes * g.lanePayloadBytes}},
              at.regionBytes);
  checkFollow({{0, sizeof(EpochBlockHead)},
               {at.blockTopics, g.topics * sizeof(TopicLine)},
               {at.blockSessions, g.clients * sizeof(SessionLine)},
               {at.blockLanes, lanes * sizeof(LaneLine)},
               {at.blockGrants, lanes * sizeof(GrantLine)},
               {at.blockReaderEnds, readers * sizeof(ReaderEnd)},
               {at.blockFacts, static_cast<Wide>(at.windowPlaces()) * g.clients / factsOfLine * sizeof(FactLine)},
               {at.blockIndex, static_cast<Wide>(g.indexEntries) * g.topics * sizeof(IndexEntry)}},
              at.blockBytes);
  CHECK_EQUAL(at.blocks % pageBytes + at.blockBytes % pageBytes + at.payload % pageBytes, 0);
  CHECK(at.regionBytes == at.payload + lanes * g.lanePayloadBytes);
}

TEST("a geometry is valid exactly within its limits") {
  CHECK(geometryValid(atLimit(false)));
  CHECK(geometryValid(atLimit(true)));
  for (const Limits& limit : limits) {
    for (const uint64_t outside : {uint64_t{0}, limit.least - 1, limit.most + 1}) {
      Geometry g = atLimit(false);
      g.lanePayloadBytes = 1ULL << 32;  // so that a batch may be as large as it likes
      limit.set(g, outside);
      if (geometryValid(g)) fail(__FILE__, __LINE__, std::string(limit.field) + " = " + show(outside) + " is accepted");
    }
  }
}

TEST("rings have a power of two of places, and a lane holds eight batches at least") {
  for (const Limits& limit : limits) {
    if (limit.least < 8) continue;
    Geometry g = atLimit(false);
    g.lanePayloadBytes = 1ULL << 32;
    limit.set(g, 3 * limit.least);
    CHECK(!geometryValid(g));
  }
  Geometry g = atLimit(false);
  g.batchBytes *= 2;
  CHECK(!geometryValid(g));
  g.lanePayloadBytes *= 2;
  CHECK(geometryValid(g));
}

TEST("the arrays of a region lie on lines of their own and none reaches into the next") {
  Random random(1);
  checkLayout(tinyGeometry());
  checkLayout(atLimit(false));
  checkLayout(atLimit(true));
  for (int i = 0; i < 20'000; i += 1) checkLayout(randomGeometry(random));
}

TEST("accessors stay within the region for every index, however large") {
  const auto region = anonymousRegion(tinyGeometry());
  const Geometry& g = region->layout().geometry;
  const uint8_t* base = region->mapping()->base();
  const uint8_t* end = base + region->layout().regionBytes;
  const auto inside = [&](const void* at, size_t bytes) {
    const auto* first = static_cast<const uint8_t*>(at);
    CHECK(first >= base && first + bytes <= end);
  };
  Random random(2);
  for (int i = 0; i < 10'000; i += 1) {
    const uint64_t index = random.next();
    const uint64_t epoch = random.next();
    inside(&region->descriptor(random.below(region->layout().lanes()), index), sizeof(Descriptor));
    inside(&region->entry(epoch, random.below(g.topics), index), sizeof(IndexEntry));
    inside(&region->topicLine(epoch, g.topics - 1), sizeof(TopicLine));
    inside(&region->laneLine(epoch, region->layout().lanes() - 1), sizeof(LaneLine));
    inside(&region->blockHead(epoch), sizeof(EpochBlockHead));
    inside(&region->factLine(epoch, g.clients - 1, index), sizeof(FactLine));
    inside(&region->readerEnd(epoch, g.topics - 1, g.readers - 1), sizeof(ReaderEnd));
  }
}

}  // namespace

}  // namespace ringfence::test
