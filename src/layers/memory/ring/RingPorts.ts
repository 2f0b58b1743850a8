/**
 * Implements the ports of rings in this heap, by the same rules as over shared memory.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type OpenRingError, RingUnavailable } from "../../../services/Ring.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import { formatCount, plural } from "../../../services/text/quantities.ts"
import { RingPorts } from "../../ports/RingPorts.ts"
import type { HeapProcess } from "../region/HeapProcess.ts"
import type { HeapRegion } from "../region/HeapRegion.ts"
import { HeapRing, HeapRingPlace } from "./HeapRing.ts"
import { HeapRingReaderPort } from "./RingReaderPort.ts"
import { HeapRingWriterPort } from "./RingWriterPort.ts"

export const makeRingPorts = (region: HeapRegion, process: HeapProcess): RingPorts["Service"] => {
  const { cursorWaiter, waiter } = process
  const rings = ringsIn(region)
  const place: Place = { region, process }
  return RingPorts.of({
    openWriter: (name) => openWriter(place, name),
    openReader: (name, readerName) => openReader(place, name, readerName ?? process.name),
    openings: () => rings.reduce((openings, { generation }) => openings + generation, 0),
    rings: Effect.sync(() => rings.map((ring) => ring.state())),
    readers: (ring) => (rings[ring]?.readers ?? []).filter(({ counts }) => counts).map((reader) => reader.state()),
    waiter,
    cursorWaiter,
    beginLook: (others) => region.beginLook(process, others),
    endLook: () => {
      process.looks = false
    },
    lives: () => region.lives,
    self: { process: process.slot, generation: process.generation },
    isAlive: (slot, generation) => region.isAlive(slot, generation)
  })
}

/** The rings of a region, in the order in which they got their first writer. */
export const ringsIn = (region: HeapRegion): Array<HeapRing> => {
  const known = ringsByRegion.get(region)
  if (known !== undefined) return known
  const rings: Array<HeapRing> = []
  ringsByRegion.set(region, rings)
  return rings
}

// --- internal ---

const ringsByRegion = new WeakMap<HeapRegion, Array<HeapRing>>()

const unavailable = (ring: string, reason: RingUnavailable["reason"]) => new RingUnavailable({ ring, reason })

interface Place {
  readonly region: HeapRegion
  readonly process: HeapProcess
}

const openWriter = (
  place: Place,
  name: string
): Effect.Effect<HeapRingWriterPort, OpenRingError, Scope.Scope> =>
  unlessKilled(
    place,
    Effect.acquireRelease(
      Effect.map(usable(place, name, claimRing), (ring) => new HeapRingWriterPort(ring, place.process)),
      (writer) => Effect.sync(() => writer.close())
    )
  )

const openReader = (
  place: Place,
  name: string,
  readerName: string
): Effect.Effect<HeapRingReaderPort, OpenRingError, Scope.Scope> =>
  unlessKilled(
    place,
    Effect.acquireRelease(
      Effect.map(
        usable(place, name, () => claimReader(place, name, readerName)),
        (slot) => new HeapRingReaderPort(slot)
      ),
      (reader) => Effect.sync(() => reader.detach())
    )
  )

type Claimed<A> = Effect.Effect<A, RingUnavailable | RegionError>

// A killed process opens nothing and gets no error: its fibers are to stop where they are.
const unlessKilled = <A, E, R>({ process }: Place, opening: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => process.isKilled ? Effect.never : opening)

const usable = <A>(
  place: Place,
  name: string,
  claim: (place: Place, name: string) => Claimed<A>
): Claimed<A> =>
  Effect.suspend(() =>
    place.region.geometry.rings === 0 ? Effect.fail(unavailable(name, "noRings")) : claim(place, name)
  )

// A name that had a writer before continues in the same ring. The ring of another name is taken over only when no
// unused ring is left, and never while it has a reader.
const claimRing = ({ process, region }: Place, name: string): Claimed<HeapRing> => {
  const rings = ringsIn(region)
  const bytes = new TextEncoder().encode(name).length
  if (bytes < 1 || bytes > nameBytesMax) {
    return Effect.fail(invalid(region, `a ring's name has 1 to ${plural(nameBytesMax, "byte")}`))
  }
  const known = rings.find((ring) => ring.name === name)
  if (known?.written === true) {
    const writer = { name: known.writer?.name ?? "", pid: globalThis.process.pid }
    return Effect.fail(new RingUnavailable({ ring: name, reason: "written", writer }))
  }
  const ring = known ?? freshRing(region) ?? rings.find((other) => !other.written && !other.isRead)
  if (ring === undefined) {
    return Effect.fail(full(region, `all ${formatCount(region.geometry.rings)} rings have a writer or a reader`))
  }
  ring.take(process, name)
  return Effect.succeed(ring)
}

const freshRing = (region: HeapRegion): HeapRing | undefined => {
  const rings = ringsIn(region)
  if (rings.length >= region.geometry.rings) return undefined
  const ring = new HeapRing(region, rings.length)
  rings.push(ring)
  return ring
}

const claimReader = ({ process, region }: Place, name: string, readerName: string): Claimed<HeapRingPlace> => {
  const ring = ringsIn(region).find((other) => other.name === name)
  if (ring === undefined) return Effect.fail(unavailable(name, "missing"))
  const free = ring.readers.findIndex(({ isTaken }) => !isTaken)
  const index = free < 0 ? ring.readers.length : free
  if (index >= region.geometry.ringReaders) {
    return Effect.fail(full(region, `all ${region.geometry.ringReaders} readers of the ring are taken`))
  }
  const slot = new HeapRingPlace(ring, index, process, readerName)
  ring.readers[index] = slot
  region.ring("cursor")
  return Effect.succeed(slot)
}

/** As in a region's tables, where a name takes 32 bytes with its terminating zero. */
const nameBytesMax = 31

const invalid = ({ name }: HeapRegion, detail: string) =>
  new RegionError({ fault: "invalid", region: name, detail, hint: "" })

const full = ({ name }: HeapRegion, detail: string) =>
  new RegionError({ fault: "full", region: name, detail, hint: "close some, or create the region with room for more" })
