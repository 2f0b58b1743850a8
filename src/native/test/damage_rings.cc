// Changes every field of every structure of the rings, one at a time, while a ring is in use: delivered messages are
// right, no fence sees a cursor that is not reached, no reader sees a false end, and nothing hangs.
#include <cstring>
#include <map>

#include "damage_fields.h"
#include "ring_fixture.h"
#include "raw_line.h"
#include "region/token.h"

namespace ringfence::test {

namespace {

struct Frames {  // lent to a reader
  uint64_t at, number;
};

// A reader that checks everything: it must get what was sent, and lent bytes must not change.
class SuspiciousReader {
 public:
  SuspiciousReader(std::shared_ptr<Region> region, std::unique_ptr<RingReader> reader, bool fromNow)
      : region_(std::move(region)), reader_(std::move(reader)), at_(reader_->cursors().read), knows_(!fromNow) {}

  void take(uint64_t keep) {
    if (isTold) return;
    uint64_t from = 0;
    uint64_t to = 0;
    const auto [finding, published, limit] = reader_->look();
    if (finding != RingFinding::sound || reader_->evicted(from, to)) return leave();
    for (const Frames& frame : lent_) {
      if (!whole(frame)) wrong = "was overwritten while it was lent";
    }
    while (at_ < limit) {
      FrameHeader header;
      std::memcpy(&header, byteAt(*reader_->memory(), at_), sizeof(header));
      if (header.length < sizeof(header) || header.length > ringBytes / 4 || header.checksum != frameChecksum(header, at_)) {
        if (reader_->evicted(from, to)) return leave();
        return leave();
      }
      if (!knows_) next = header.type;
      knows_ = true;
      const Frames frame{at_, header.type};
      if (header.type != next) wrong = "a message was left out, or comes twice";
      if (header.length != sizeof(header) + payloadBytesOf(header.type) || !whole(frame)) wrong = "is not what was sent";
      at_ += frameBytesOf(header.length - sizeof(header));
      lent_.push_back(frame);
      next += 1;
    }
    if (lent_.size() > keep) lent_.erase(lent_.begin(), lent_.end() - static_cast<std::ptrdiff_t>(keep));
    reached = lent_.empty() ? at_ : lent_.front().at;
    reader_->advance({at_, reached, reached, reached});
  }

  bool ended() const { return !isTold && reader_->ended(at_); }
  uint32_t slot() const { return reader_->role().slot; }

 private:
  void leave() {
    isTold = true;
    reader_->detach();
  }

  bool whole(const Frames& frame) const {
    uint8_t wanted[304];
    fillPayload(frame.number, wanted);
    return std::memcmp(byteAt(*reader_->memory(), frame.at) + sizeof(FrameHeader), wanted, payloadBytesOf(frame.number)) == 0;
  }

  std::shared_ptr<Region> region_;
  std::unique_ptr<RingReader> reader_;
  uint64_t at_;
  bool knows_;
  std::vector<Frames> lent_;

 public:
  uint64_t next = 0;
  uint64_t reached = 0;
  bool isTold = false;
  const char* wrong = nullptr;
};

struct RingScene {
  RingScene()
      : region(anonymousRegion(ringGeometry())), client(attachedAgain(*region)), writer(writerOf(region)),
        reader(client, readerOf(client), false), other(client, readerOf(client), false) {
    for (int i = 0; i < 80; i += 1) step();
    CHECK(!reader.isTold && reader.wrong == nullptr && writer->position() > 2 * ringBytes);
    paused = true;
    unread = writer->position();
    for (int i = 0; i < 3; i += 1) step();
  }

  void step() {
    advanced = append(*writer, number);
    if (advanced) number += 1;
    writer->wantRoom(!advanced);
    writer->publish();
    if (!paused) reader.take(2);
    other.take(0);
    checkCursors();
  }

  // Checks the cursors as a fence sees them.
  void checkCursors() {
    RingReaderLine line;
    if (reader.isTold || activeReader(*region, 0, reader.slot()).generation == 0) return;
    if (!readCursors(*region, 0, reader.slot(), line)) return;
    if (line.handled > reader.reached && line.handled > line.baseline) wrong = "a fence sees what is not handled";
    if (line.baseline > line.read) wrong = "a fence sees a beginning that was none";
  }

  std::shared_ptr<Region> region;
  std::shared_ptr<Region> client;
  std::unique_ptr<RingWriter> writer;
  SuspiciousReader reader;
  SuspiciousReader other;  // keeps up, so that it never holds up the ring's writer
  uint64_t number = 0;
  uint64_t unread = 0;
  bool paused = false;
  bool advanced = true;
  const char* wrong = nullptr;
};

uint8_t* placeOf(const RingScene& scene, const std::string& structure) {
  RingSlot& ring = scene.region->ring(0);
  RingReaderSlot& reader = scene.region->ringReader(0, scene.reader.slot());
  const std::map<std::string, void*> places = {
      {"RingClaim", &ring.claim},         {"RingName", &ring.name},         {"RingLead", &ring.lead},
      {"RingTable", &ring.table},         {"RingWait", &ring.wait},
      {"CursorWaiters", &scene.region->header().cursorWaiters[0]},
      {"RingReaderClaim", &reader.claim}, {"RingReaderLine", &reader.line}, {"RingReaderFate", &reader.fate},
      {"FrameHeader", byteAt(*scene.writer->memory(), scene.unread)},
  };
  return static_cast<uint8_t*>(places.at(structure));
}

// Null when the ring is refused.
std::unique_ptr<SuspiciousReader> lateReader(const std::shared_ptr<Region>& region) {
  ReaderRole role;
  if (!claimRingReader(*region, "ring", "late", role).ok()) return nullptr;
  auto memory = region->mapRing(role.ring);
  auto reader = std::make_unique<RingReader>(region, std::move(memory), role);
  return std::make_unique<SuspiciousReader>(region, std::move(reader), true);
}

// The outcome of a damage to the structure of that name, while the reader is `pause` messages behind.
Seen afterDamage(int pause, const char* structure, const Damage& damage) {
  RingScene scene;
  damage.make(placeOf(scene, structure));
  scene.checkCursors();
  Seen seen;
  if (scene.reader.ended() || scene.other.ended()) seen.wrong = "an end that is none";
  RingRole role;
  if (claimRing(*scene.client, "ring", role).ok()) {
    seen.wrong = role.ring == 0 ? "a second writer beside the first" : "a second ring of one name";
  }
  std::unique_ptr<SuspiciousReader> late = lateReader(scene.client);
  if (late == nullptr) seen.outcome |= told;
  for (int i = 0; i < pause; i += 1) scene.step();
  scene.paused = false;
  for (int i = 0; i < 60; i += 1) {
    scene.step();
    if (late != nullptr) late->take(0);
  }
  if (scene.reader.ended() || scene.other.ended() || (late != nullptr && late->ended())) seen.wrong = "an end that is none";
  ringsOf(*scene.region);
  scene.writer->slowestReader();
  if (scene.reader.isTold || scene.other.isTold || (late != nullptr && late->isTold)) seen.outcome |= told;
  if (!scene.advanced) seen.outcome |= delayed;
  scene.reader.take(0);
  if (late != nullptr) late->take(0);
  if (!scene.reader.isTold && scene.reader.next < scene.number) seen.outcome |= delayed;
  if (scene.reader.wrong != nullptr) seen.wrong = std::string("the reader: ") + scene.reader.wrong;
  if (scene.other.wrong != nullptr) seen.wrong = std::string("another reader: ") + scene.other.wrong;
  if (late != nullptr && late->wrong != nullptr) seen.wrong = std::string("a late reader: ") + late->wrong;
  if (scene.wrong != nullptr) seen.wrong = scene.wrong;
  return seen;
}

TEST("every field of the rings, one at a time: what is delivered is right, and what follows is what is listed") {
  Random random(92);
  Findings findings;
  for (const DamagedField& field : ringFields()) {
    const RingScene scene;
    for (const Damage& damage : damagesIn(field, placeOf(scene, field.structure), random)) {
      for (const int pause : {0, 40}) findings.add(field, afterDamage(pause, field.structure, damage), damage);
    }
  }
  findings.finish(ringFields());
}

// Opens the next writer while the reader still has frames of the former one to read. False when it is refused.
bool nextWriterGoesOn(RingScene& scene) {
  RingRole role;
  const Status status = claimRing(*scene.client, "ring", role);
  if (!status.ok()) {
    CHECK_EQUAL(status.fault, "corrupt");
    return false;
  }
  CHECK_EQUAL(role.ring, 0);
  scene.writer = std::make_unique<RingWriter>(scene.client, scene.client->mapRing(role.ring), role);
  for (int i = 0; i < 30; i += 1) scene.step();
  scene.paused = false;
  for (int i = 0; i < 60; i += 1) scene.step();
  return true;
}

// Values that a damage may leave in a position, among them positions of other frames.
std::vector<uint64_t> damagedPositions(const RingScene& scene, uint64_t random) {
  const uint64_t position = scene.writer->position();
  std::vector<uint64_t> values = damagesOf(position, 64, random);
  for (uint64_t at = scene.unread; at < position;) {
    values.push_back(at);
    FrameHeader header;
    std::memcpy(&header, byteAt(*scene.writer->memory(), at), sizeof(header));
    at += frameBytesOf(header.length - sizeof(header));
  }
  return values;
}

TEST("a position that is damaged between two writers is repaired or refused: the next one begins where the last one ended") {
  Random random(93);
  unsigned refused = 0;
  unsigned repaired = 0;
  const RingScene like;
  for (const uint64_t value : damagedPositions(like, random.next())) {
    for (const size_t word : {offsetof(RingLead, position), offsetof(RingLead, announced)}) {
      for (const bool seen : {false, true}) {
        RingScene scene;
        scene.writer->close();
        std::memcpy(reinterpret_cast<uint8_t*>(&scene.region->ring(0).lead) + word, &value, sizeof(value));
        if (seen) scene.other.take(0);  // a reader that looks at it may be told
        const bool goesOn = nextWriterGoesOn(scene);
        CHECK(scene.reader.wrong == nullptr && scene.other.wrong == nullptr);
        if (goesOn && !seen) CHECK(!scene.reader.isTold && !scene.other.isTold && scene.reader.next == scene.number);
        refused += goesOn ? 0 : 1;
        repaired += goesOn ? 1 : 0;
      }
    }
  }
  CHECK(refused != 0 && repaired != 0);
}

TEST("cursors that were damaged are written again when their reader looks at its ring next, though nothing came") {
  const auto region = anonymousRegion(ringGeometry());
  auto writer = writerOf(region);
  auto reader = readerOf(region);
  append(*writer, 0);
  writer->publish();
  RingFollowing following(*reader);
  CHECK_EQUAL(following.take(), 1);
  RingReaderLine& shared = RawLine::of(region->ringReader(0, reader->role().slot).line);
  const RingReaderLine before = shared;
  for (uint64_t* word : {&shared.read, &shared.delivered, &shared.handled, &shared.baseline, &shared.seal}) {
    RingReaderLine line;
    *word += 8;
    CHECK(!readCursors(*region, 0, reader->role().slot, line));
    CHECK(reader->look().finding == RingFinding::sound);
    CHECK(readCursors(*region, 0, reader->role().slot, line));
    CHECK_EQUAL(std::memcmp(&line, &before, sizeof(line)), 0);
  }
  // A damaged `released` is reported instead: the room may be overwritten by then.
  shared.released += 8;
  CHECK(reader->look().finding == RingFinding::contradicted);
}

}  // namespace

}  // namespace ringfence::test
