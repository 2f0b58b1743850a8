// A region's rings: their opening, and the reports of their tables.
#include <cstring>

#include "fault.h"
#include "region_handle.h"
#include "ring_handles.h"
#include "values.h"

namespace ringfence::binding {

namespace {

constexpr uint32_t readerFields = 8;

bool ringValid(Napi::Env env, const Region& region, uint32_t ring) {
  if (ring < region.layout().geometry.rings) return true;
  throwFault(env, Status::failed("invalid", "there is no such ring"));
  return false;
}

}  // namespace

// openRingWriter(name)
Napi::Value RegionHandle::openRingWriter(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  if (region == nullptr) return {};
  RingRole role;
  const Status status = claimRing(*region, text(info[0]), role);
  if (!status.ok()) return throwFault(info.Env(), status);
  auto memory = region->mapRing(role.ring);
  if (memory == nullptr) {
    RingWriter::abandon(*region, role);
    return throwFault(info.Env(), Status::failed("system", "the ring cannot be mapped"));
  }
  return RingWriterHandle::make(info.Env(), std::make_unique<RingWriter>(region_, std::move(memory), role), buffers_);
}

// openRingReader(ring name, reader name)
Napi::Value RegionHandle::openRingReader(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  if (region == nullptr) return {};
  ReaderRole role;
  const Status status = claimRingReader(*region, text(info[0]), text(info[1]), role);
  if (!status.ok()) return throwFault(info.Env(), status);
  auto memory = region->mapRing(role.ring);
  if (memory == nullptr) {
    RingReader::abandon(*region, role);
    return throwFault(info.Env(), Status::failed("system", "the ring cannot be mapped"));
  }
  return RingReaderHandle::make(info.Env(), std::make_unique<RingReader>(region_, std::move(memory), role), buffers_);
}

Napi::Value RegionHandle::rings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Region* region = open(env);
  if (region == nullptr) return {};
  auto out = Napi::Array::New(env);
  for (const RingView& view : ringsOf(*region)) {
    auto ring = Napi::Object::New(env);
    ring.Set("ring", number(env, view.ring));
    ring.Set("generation", number(env, view.generation));
    ring.Set("process", number(env, view.process));
    ring.Set("written", Napi::Boolean::New(env, view.written));
    ring.Set("position", number(env, view.position));
    ring.Set("frames", number(env, view.frames));
    ring.Set("waits", number(env, view.fullEvents));
    ring.Set("evictions", number(env, view.evictions));
    ring.Set("name", view.name);
    out.Set(out.Length(), ring);
  }
  return out;
}

Napi::Value RegionHandle::ringOpenings(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  if (region == nullptr) return {};
  return number(info.Env(), ringfence::ringOpenings(*region));
}

// ringReaders(ring, out: Float64Array): 8 numbers for each active reader that lives; returns the number of readers
// SYNC: the cursors pair with the publishes in RingReader::advance: what a handler did is visible before its cursor is.
Napi::Value RegionHandle::ringReaders(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  const uint32_t ring = word(info[0]);
  if (region == nullptr || !ringValid(info.Env(), *region, ring)) return {};
  auto out = info[1].As<Napi::Float64Array>();
  const Publication& p = region->publication();
  uint32_t active = 0;
  for (uint32_t i = 0; i < region->layout().geometry.ringReaders; i += 1) {
    if (activeReader(*region, ring, i).generation == 0) continue;
    if (out.ElementLength() < size_t{active + 1} * readerFields) break;
    RingReaderLine line;
    // Report torn or damaged cursors as zero: a fence then waits until their reader rewrites them.
    if (!readCursors(*region, ring, i, line)) line = RingReaderLine{};
    const RingReaderClaim claim = p.snapshot<&RingReaderClaim::generation>(region->ringReader(ring, i).claim);
    if (!region->processAlive(claim.process, claim.processGeneration)) continue;
    const uint64_t fields[readerFields] = {i, claim.process, claim.processGeneration, line.read,
                                           line.delivered, line.handled, line.released, line.baseline};
    for (uint32_t f = 0; f < readerFields; f += 1) out[active * readerFields + f] = static_cast<double>(fields[f]);
    active += 1;
  }
  p.loadFence();
  return number(info.Env(), active);
}

// ringReaderName(ring, reader): empty when there is no such place
Napi::Value RegionHandle::ringReaderName(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  const uint32_t ring = word(info[0]);
  const uint32_t reader = word(info[1]);
  if (region == nullptr || !ringValid(info.Env(), *region, ring)) return {};
  if (reader >= region->layout().geometry.ringReaders) return Napi::String::New(info.Env(), "");
  const RingReaderClaim claim = region->publication().copy(region->ringReader(ring, reader).claim);
  return Napi::String::New(info.Env(), std::string(claim.name, strnlen(claim.name, readerNameBytes)));
}

}  // namespace ringfence::binding
