#include <algorithm>
#include <cstring>

#include "napi_support.h"
#include "ring/ring_reader.h"
#include "ring/ring_writer.h"

namespace ringfence::binding {

template <>
const napi_type_tag* tagOf<RingWriter>() {
  static const napi_type_tag tag = {0x4e9fa0b1c2d3e4f5, 0x30415263748596a7};
  return &tag;
}

template <>
const napi_type_tag* tagOf<RingReader>() {
  static const napi_type_tag tag = {0x5fa0b1c2d3e4f506, 0x415263748596a7b8};
  return &tag;
}

namespace {

constexpr uint32_t cursorFields = 4;
constexpr uint32_t readerFields = 8;

std::shared_ptr<RingMemory> memoryOf(napi_env env, Region& region, uint32_t ring) {
  auto memory = region.mapRing(ring);
  if (memory == nullptr) throwFault(env, Status::failed("system", "the ring cannot be mapped"));
  return memory;
}

bool ringValid(const Arguments& arguments, const Region& region, uint32_t ring) {
  if (ring < region.layout().geometry.rings) return true;
  throwFault(arguments.env, Status::failed("invalid", "there is no such ring"));
  return false;
}

napi_value rings(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const RingView& view : ringsOf(*handle->region)) {
    napi_value ring;
    napi_create_object(env, &ring);
    set(env, ring, "ring", count(env, view.ring));
    set(env, ring, "generation", count(env, view.generation));
    set(env, ring, "process", count(env, view.process));
    set(env, ring, "written", truth(env, view.written));
    set(env, ring, "position", count(env, view.position));
    set(env, ring, "frames", count(env, view.frames));
    set(env, ring, "waits", count(env, view.fullEvents));
    set(env, ring, "evictions", count(env, view.evictions));
    set(env, ring, "name", text(env, view.name));
    napi_set_element(env, out, i++, ring);
  }
  return out;
}

// openRingWriter(region, name)
napi_value openRingWriter(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  RingRole role;
  const Status status = claimRing(*handle->region, arguments.text(1), role);
  if (!status.ok()) return throwFault(env, status);
  auto memory = memoryOf(env, *handle->region, role.ring);
  if (memory == nullptr) {
    abandonRing(*handle->region, role);
    return nothing(env);
  }
  return own(env, new RingWriter(handle->region, std::move(memory), role));
}

napi_value ringWriterInfo(napi_env env, napi_callback_info info) {
  const auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  if (writer == nullptr) return nothing(env);
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "ring", count(env, writer->role().ring));
  set(env, out, "generation", count(env, writer->role().generation));
  set(env, out, "position", count(env, writer->role().position));
  set(env, out, "payloadBytesMax", count(env, writer->payloadBytesMax()));
  return out;
}

// ringAppend(writer, kind, flags, type, sender, senderGeneration, correlation, bytes, publish): position, -1 full,
// -2 too large
napi_value ringAppend(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<RingWriter>(arguments, 0);
  if (writer == nullptr) return nothing(env);
  size_t bytes = 0;
  const auto* payload = arguments.array<uint8_t>(7, bytes);
  if (bytes > writer->payloadBytesMax()) return number(env, -2);
  double correlation = 0;
  napi_get_value_double(env, arguments.values[6], &correlation);
  const Frame frame{static_cast<uint16_t>(arguments.word(1)), static_cast<uint16_t>(arguments.word(2)),
                    arguments.word(3), arguments.word(4), arguments.word(5), correlation, payload,
                    static_cast<uint32_t>(bytes)};
  const int64_t end = writer->append(frame);
  if (end >= 0 && arguments.boolean(8)) writer->publish(false);
  return number(env, static_cast<double>(end));
}

napi_value ringPublish(napi_env env, napi_callback_info info) {
  auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  if (writer != nullptr) writer->publish(false);
  return nothing(env);
}

napi_value ringPublished(napi_env env, napi_callback_info info) {
  const auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, writer->published());
}

napi_value ringHasRoom(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<RingWriter>(arguments, 0);
  return writer == nullptr ? nothing(env) : truth(env, writer->hasRoomFor(arguments.natural(1)));
}

napi_value ringWantRoom(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* writer = owned<RingWriter>(arguments, 0);
  if (writer != nullptr) writer->wantRoom(arguments.boolean(1));
  return nothing(env);
}

napi_value ringSlowestReader(napi_env env, napi_callback_info info) {
  auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : number(env, writer->slowestReader());
}

napi_value ringEvictSlowest(napi_env env, napi_callback_info info) {
  auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : truth(env, writer->evictSlowest());
}

// ringWriterEnd(writer): a WriterEnd
napi_value ringWriterEnd(napi_env env, napi_callback_info info) {
  const auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  return writer == nullptr ? nothing(env) : count(env, static_cast<uint64_t>(writer->end()));
}

napi_value closeRingWriter(napi_env env, napi_callback_info info) {
  auto* writer = owned<RingWriter>(Arguments(env, info), 0);
  if (writer != nullptr) writer->close();
  return nothing(env);
}

// openRingReader(region, ring name, reader name)
napi_value openRingReader(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  ReaderRole role;
  const Status status = claimRingReader(*handle->region, arguments.text(1), arguments.text(2), role);
  if (!status.ok()) return throwFault(env, status);
  auto memory = memoryOf(env, *handle->region, role.ring);
  if (memory == nullptr) {
    abandonRingReader(*handle->region, role);
    return nothing(env);
  }
  return own(env, new RingReader(handle->region, std::move(memory), role));
}

napi_value ringReaderInfo(napi_env env, napi_callback_info info) {
  const auto* reader = owned<RingReader>(Arguments(env, info), 0);
  if (reader == nullptr) return nothing(env);
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "ring", count(env, reader->role().ring));
  set(env, out, "slot", count(env, reader->role().slot));
  set(env, out, "generation", count(env, reader->generation()));
  set(env, out, "baseline", count(env, reader->baseline()));
  set(env, out, "ringBytes", count(env, reader->memory()->bytes()));
  return out;
}

// ringBuffer(region, reader): the same buffer each time, while it lives
napi_value ringBuffer(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  const auto* reader = owned<RingReader>(arguments, 1);
  if (reader == nullptr) return nothing(env);
  if (!reader->of(*handle->region)) return throwFault(env, Status::failed("invalid", "the reader is of another region"));
  return handle->buffers->over(reader->memory()->base(), 2 * reader->memory()->bytes(), reader->memory());
}

// ringGeneration(reader): of the ring's present writer
napi_value ringGeneration(napi_env env, napi_callback_info info) {
  const auto* reader = owned<RingReader>(Arguments(env, info), 0);
  return reader == nullptr ? nothing(env) : count(env, reader->generation());
}

// ringAvailable(reader): position, -1 once it is evicted or finds what cannot be
napi_value ringAvailable(napi_env env, napi_callback_info info) {
  auto* reader = owned<RingReader>(Arguments(env, info), 0);
  if (reader == nullptr) return nothing(env);
  if (reader->isEvicted() || reader->contradicted()) return number(env, -1);
  reader->keepLine();
  return count(env, reader->available());
}

// ringAdvance(reader, read, delivered, handled, released)
napi_value ringAdvance(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* reader = owned<RingReader>(arguments, 0);
  if (reader == nullptr) return nothing(env);
  reader->advance({arguments.natural(1), arguments.natural(2), arguments.natural(3), arguments.natural(4)});
  return nothing(env);
}

// ringEvicted(reader, out: Float64Array(2)): true when it was evicted, with [from, to)
napi_value ringEvicted(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* reader = owned<RingReader>(arguments, 0);
  size_t elements = 0;
  auto* out = arguments.array<double>(1, elements);
  if (reader == nullptr || out == nullptr || elements < 2) return nothing(env);
  uint64_t from = 0;
  uint64_t to = 0;
  const bool evicted = reader->evicted(from, to);
  out[0] = static_cast<double>(from);
  out[1] = static_cast<double>(to);
  return truth(env, evicted);
}

napi_value ringRejoin(napi_env env, napi_callback_info info) {
  auto* reader = owned<RingReader>(Arguments(env, info), 0);
  if (reader == nullptr) return nothing(env);
  return reader->rejoin() ? count(env, reader->baseline()) : number(env, -1);
}

napi_value ringEnded(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* reader = owned<RingReader>(arguments, 0);
  return reader == nullptr ? nothing(env) : truth(env, reader->ended(arguments.natural(1)));
}

napi_value closeRingReader(napi_env env, napi_callback_info info) {
  auto* reader = owned<RingReader>(Arguments(env, info), 0);
  if (reader != nullptr) reader->detach();
  return nothing(env);
}

// ringReaders(region, ring, out: Float64Array): 8 numbers for each active reader that lives; returns how many there are
// SYNC: the cursors pair with the publishes in RingReader::advance: what a handler did comes before it is counted here.
napi_value ringReaders(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || !ringValid(arguments, *handle->region, arguments.word(1))) return nothing(env);
  size_t elements = 0;
  auto* out = arguments.array<double>(2, elements);
  const Region& region = *handle->region;
  const Publication& p = region.publication();
  uint32_t active = 0;
  for (uint32_t i = 0; i < region.layout().geometry.ringReaders; i += 1) {
    if (ringReaderActive(region, arguments.word(1), i) == 0) continue;
    if (out == nullptr || elements < size_t{active + 1} * readerFields) break;
    const RingReaderSlot& slot = region.ringReader(arguments.word(1), i);
    RingReaderLine line;
    // Cursors that are not whole are those of nothing reached: a fence waits until their reader writes them again.
    if (!readCursors(region, arguments.word(1), i, line)) line = RingReaderLine{};
    const uint32_t process = p.read(slot.claim.process);
    if (!region.processAlive(process, p.read(slot.claim.processGeneration))) continue;
    const uint64_t fields[readerFields] = {i, process, p.read(slot.claim.processGeneration), line.read,
                                           line.delivered, line.handled, line.released, line.baseline};
    for (uint32_t f = 0; f < readerFields; f += 1) out[active * readerFields + f] = static_cast<double>(fields[f]);
    active += 1;
  }
  p.loadFence();
  return count(env, active);
}

napi_value ringOpeningsOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  return handle == nullptr ? nothing(env) : count(env, ringOpenings(*handle->region));
}

napi_value ringReaderName(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr || !ringValid(arguments, *handle->region, arguments.word(1))) return nothing(env);
  const Region& region = *handle->region;
  if (arguments.word(2) >= region.layout().geometry.ringReaders) return text(env, "");
  const RingReaderClaim claim = region.publication().copyOut(region.ringReader(arguments.word(1), arguments.word(2)).claim);
  return text(env, std::string(claim.name, strnlen(claim.name, readerNameBytes)));
}

napi_value processAlive(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  return truth(env, handle->region->processAlive(arguments.word(1), arguments.natural(2)));
}

}  // namespace

void registerRing(napi_env env, napi_value exports) {
  method(env, exports, "rings", rings);
  method(env, exports, "ringOpenings", ringOpeningsOf);
  method(env, exports, "openRingWriter", openRingWriter);
  method(env, exports, "ringWriterInfo", ringWriterInfo);
  method(env, exports, "ringAppend", ringAppend);
  method(env, exports, "ringPublish", ringPublish);
  method(env, exports, "ringPublished", ringPublished);
  method(env, exports, "ringHasRoom", ringHasRoom);
  method(env, exports, "ringWantRoom", ringWantRoom);
  method(env, exports, "ringSlowestReader", ringSlowestReader);
  method(env, exports, "ringEvictSlowest", ringEvictSlowest);
  method(env, exports, "ringWriterEnd", ringWriterEnd);
  method(env, exports, "closeRingWriter", closeRingWriter);
  method(env, exports, "openRingReader", openRingReader);
  method(env, exports, "ringReaderInfo", ringReaderInfo);
  method(env, exports, "ringBuffer", ringBuffer);
  method(env, exports, "ringGeneration", ringGeneration);
  method(env, exports, "ringAvailable", ringAvailable);
  method(env, exports, "ringAdvance", ringAdvance);
  method(env, exports, "ringEvicted", ringEvicted);
  method(env, exports, "ringRejoin", ringRejoin);
  method(env, exports, "ringEnded", ringEnded);
  method(env, exports, "closeRingReader", closeRingReader);
  method(env, exports, "ringReaders", ringReaders);
  method(env, exports, "ringReaderName", ringReaderName);
  method(env, exports, "processAlive", processAlive);
}

}  // namespace ringfence::binding
