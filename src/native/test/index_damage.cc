// A changed entry of the index is never taken for data, by a change of any of its fields.
#include <cstring>

#include "log_fixture.h"
#include "raw_line.h"
#include "region/token.h"

namespace ringfence::test {

namespace {

constexpr uint64_t bad = 4;  // the entry that is damaged
constexpr uint64_t batches = 7;

struct IndexDamage {
  IndexDamage() : log(tinyGeometry()), topic(log.declare("t", orderSession)), publishing(log.open(topic)) {
    for (uint64_t sequence = 0; sequence < batches; sequence += 1) {
      CHECK(publishing.publish(sequence % 2, sequence));
      log.settle();
    }
    good = entry();
  }
  IndexEntry& entry() { return entry(bad); }
  IndexEntry& entry(uint64_t index) { return RawLine::of(log.region()->entry(1, topic, index)); }

  TestLog log;
  uint32_t topic;
  Publishing publishing;
  IndexEntry good{};
};

// Checks that the whole entries before the damaged one are delivered, and that the reader is then told, repeatedly.
void checkTold(IndexDamage& damage, const std::string& what) {
  BatchView views[64];
  const auto reader = damage.log.reader(damage.topic, From::start);
  const int32_t first = reader->poll(views, 64);
  const int32_t then = reader->poll(views, 64);
  if (first != bad || then != -1 || reader->poll(views, 64) != -1) {
    fail(__FILE__, __LINE__, what + ": " + std::to_string(first) + " batches, then " + std::to_string(then));
  }
}

TEST("any changed bit of an index entry is told to its readers, and what came before it is given") {
  IndexDamage damage;
  auto* bytes = reinterpret_cast<uint8_t*>(&damage.entry());
  for (uint32_t bit = 0; bit < 8 * sizeof(IndexEntry); bit += 1) {
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    checkTold(damage, "bit " + std::to_string(bit % 8) + " of byte " + std::to_string(bit / 8));
    damage.entry() = damage.good;
  }
}

TEST("an index entry that another entry's bytes lie in is told to its readers") {
  IndexDamage damage;
  for (uint64_t other = 0; other < 64; other += 1) {
    if (other == bad) continue;
    damage.entry() = damage.entry(other);
    checkTold(damage, "entry " + std::to_string(other));
    std::memcpy(&damage.entry(), &damage.good, lineBytes);
    checkTold(damage, "the second line of entry " + std::to_string(other));
  }
}

TEST("an index entry that does not begin where the one before it ends is told to its readers") {
  IndexDamage damage;
  for (const uint64_t shift : {uint64_t{1}, uint64_t{60}, ~uint64_t{0}}) {
    IndexEntry entry = damage.good;
    entry.firstPosition += shift;
    sealEntry(entry, entry.token);
    damage.entry() = entry;
    checkTold(damage, "a gap of " + std::to_string(shift));
  }
}

TEST("a reader whose position is looked for in a damaged index is refused, not put somewhere else") {
  IndexDamage damage;
  Claim claim;
  damage.entry().firstMessage += 1;
  for (uint64_t position = 0; position <= firstMessageOf(batches); position += 1) {
    CHECK_EQUAL(claimReader(*damage.log.region(), {damage.topic, 1}, "reader", claim).fault, "none");
    IndexReader reader(damage.log.region(), damage.topic, claim);
    const Status status = reader.attach(From::position, position);
    BatchView view{};
    // If the search did not meet the damaged entry, its result is right.
    if (!status.ok()) {
      CHECK_EQUAL(status.fault, "corrupt");
    } else if (reader.poll(&view, 1) == 1) {
      CHECK(view.position <= position && position < view.position + view.messages);
    } else {
      CHECK(position >= firstMessageOf(bad));
    }
  }
}

}  // namespace

}  // namespace ringfence::test
