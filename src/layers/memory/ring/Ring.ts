/**
 * Rings in the heap: taking the writing role and a reader's place, by the same rules as over shared memory.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { CxlMemory } from "../../../services/CxlMemory.ts"
import { type OpenRingError, Ring, RingUnavailable } from "../../../services/Ring.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { attachHeap, heapInfoOf, type HeapProcess, heapProcessesOf, type HeapRegion } from "../region/HeapRegion.ts"
import { HeapRing, HeapRingSlot } from "./HeapRing.ts"
import { HeapRingReader } from "./RingReaderPort.ts"
import { HeapRingWriter } from "./RingWriterPort.ts"

/** One process of the region, with its view of the memory and of the rings. */
export const layerProcess = (
  region: HeapRegion,
  processName: string
): Layer.Layer<CxlMemory | Ring, RegionError> =>
  Layer.effectContext(Effect.map(attachHeap(region, processName), (process) =>
    Context.empty().pipe(
      Context.add(CxlMemory, memoryOf(process)),
      Context.add(Ring, ringsOf(process))
    )))

export const memoryOf = (process: HeapProcess): CxlMemory["Service"] =>
  CxlMemory.of({
    info: heapInfoOf(process),
    processes: Effect.sync(() => heapProcessesOf(process.region)),
    // A region in the heap has no name that could outlive it.
    hold: Effect.void
  })

export const ringsOf = (process: HeapProcess): Ring["Service"] => {
  const { cursorWaiter, region, waiter } = process
  return Ring.of({
    openWriter: (name) => openWriter(process, name),
    openReader: (name, readerName) => openReader(process, name, readerName ?? process.name),
    openings: () => region.rings.reduce((openings, { generation }) => openings + generation, 0),
    rings: Effect.sync(() => region.rings.map((ring) => ring.state())),
    readers: (ring) =>
      (region.rings[ring]?.readers ?? []).filter(({ counts }) => counts).map((reader) => reader.state()),
    waiter,
    cursorWaiter,
    lives: () => region.lives,
    self: { process: process.slot, generation: process.generation },
    isAlive: (slot, generation) => region.isAlive(slot, generation)
  })
}

// --- internal ---

const unavailable = (ring: string, reason: RingUnavailable["reason"]) => new RingUnavailable({ ring, reason })

const openWriter = (
  process: HeapProcess,
  name: string
): Effect.Effect<HeapRingWriter, OpenRingError, Scope.Scope> =>
  unlessKilled(
    process,
    Effect.acquireRelease(
      Effect.map(usable(process, name, claimRing), (ring) => new HeapRingWriter(ring, process)),
      (writer) => Effect.sync(() => writer.close())
    )
  )

const openReader = (
  process: HeapProcess,
  name: string,
  readerName: string
): Effect.Effect<HeapRingReader, OpenRingError, Scope.Scope> =>
  unlessKilled(
    process,
    Effect.acquireRelease(
      Effect.map(
        usable(process, name, () => claimReader(process, name, readerName)),
        (slot) => new HeapRingReader(slot)
      ),
      (reader) => Effect.sync(() => reader.detach())
    )
  )

type Claimed<A> = Effect.Effect<A, RingUnavailable | RegionError>

// The dead open nothing, and are not told so.
const unlessKilled = <A, E, R>(process: HeapProcess, opening: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => process.isKilled ? Effect.never : opening)

const usable = <A>(
  process: HeapProcess,
  name: string,
  claim: (process: HeapProcess, name: string) => Claimed<A>
): Claimed<A> =>
  Effect.suspend(() =>
    process.region.geometry.rings === 0 ? Effect.fail(unavailable(name, "noRings")) : claim(process, name)
  )

// A name that was written before goes on in the same ring. Another's ring is taken over only when no fresh one is left,
// and never under those who still read it.
const claimRing = (process: HeapProcess, name: string): Claimed<HeapRing> => {
  const { region } = process
  const bytes = new TextEncoder().encode(name).length
  if (bytes < 1 || bytes > nameBytesMax) {
    return Effect.fail(invalid(region, `a ring's name has 1 to ${nameBytesMax} bytes`))
  }
  const known = region.rings.find((ring) => ring.name === name)
  if (known?.written === true) return Effect.fail(unavailable(name, "written"))
  const ring = known ?? freshRing(region) ?? region.rings.find((other) => !other.written && !other.isRead)
  if (ring === undefined) return Effect.fail(full(region, `all ${region.geometry.rings} rings are written or read`))
  ring.take(process, name)
  return Effect.succeed(ring)
}

const freshRing = (region: HeapRegion): HeapRing | undefined => {
  if (region.rings.length >= region.geometry.rings) return undefined
  const ring = new HeapRing(region, region.rings.length)
  region.rings.push(ring)
  return ring
}

const claimReader = (process: HeapProcess, name: string, readerName: string): Claimed<HeapRingSlot> => {
  const { region } = process
  const ring = region.rings.find((other) => other.name === name)
  if (ring === undefined) return Effect.fail(unavailable(name, "missing"))
  const free = ring.readers.findIndex(({ isTaken }) => !isTaken)
  const index = free < 0 ? ring.readers.length : free
  if (index >= region.geometry.ringReaders) {
    return Effect.fail(full(region, `all ${region.geometry.ringReaders} readers of the ring are taken`))
  }
  const slot = new HeapRingSlot(ring, index, process, readerName)
  ring.readers[index] = slot
  region.ring("cursor")
  return Effect.succeed(slot)
}

/** As the names in a region's tables are: 32 bytes with their end. */
const nameBytesMax = 31

const invalid = ({ name }: HeapRegion, detail: string) =>
  new RegionError({ fault: "invalid", region: name, detail, hint: "" })

const full = ({ name }: HeapRegion, detail: string) =>
  new RegionError({ fault: "full", region: name, detail, hint: "close some, or create the region with room for more" })
