/**
 * Implements the ports of rings over shared memory.
 */
import * as Effect from "effect/Effect"
import { type RingState, RingUnavailable } from "../../../services/Ring.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { type ProcessIdentity, RingPorts } from "../../ports/RingPorts.ts"
import { claimed } from "../region/Claiming.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { NativeRingReaderPort, readersOf } from "./RingReaderPort.ts"
import { NativeRingWriterPort } from "./RingWriterPort.ts"

export const makeRingPorts = (region: NativeRegion["Service"]): RingPorts["Service"] =>
  RingPorts.of({
    openWriter: (name) => openWriter(region, name),
    openReader: (name, readerName) => openReader(region, name, readerName ?? region.processName),
    openings: () => region.handle.ringOpenings(),
    rings: Effect.sync(() => ringsOf(region)),
    readers: (ring) => readersOf(region, ring),
    waiter: region.ringWaiter,
    cursorWaiter: region.cursorWaiter,
    beginLook: (others) => region.handle.beginLook(others),
    endLook: () => region.handle.endLook(),
    self: selfOf(region),
    lives: () => region.handle.lives(),
    isAlive: (process, generation) => isAlive(region, process, generation)
  })

// --- internal ---

type Region = NativeRegion["Service"]

const selfOf = (region: Region): ProcessIdentity => {
  const { generation, slot } = region.handle.info()
  return { process: slot, generation }
}

const ringsOf = (region: Region): ReadonlyArray<RingState> =>
  region.handle.rings().map((ring) => ({
    ...ring,
    wraps: Math.floor(ring.position / region.info.geometry.ringBytes)
  }))

// The handle of a closed region throws: no process counts as alive then.
const isAlive = ({ handle }: Region, process: number, generation: number): boolean => {
  try {
    return handle.processAlive(process, generation)
  } catch {
    return false
  }
}

const unavailable = (ring: string, reason: RingUnavailable["reason"]) => new RingUnavailable({ ring, reason })

const written = (region: Region, name: string): RingUnavailable => {
  const ring = region.handle.rings().find((each) => each.name === name)
  const writer = region.handle.processes().find(({ slot }) => slot === ring?.process)
  if (writer === undefined) return unavailable(name, "written")
  return new RingUnavailable({ ring: name, reason: "written", writer: { name: writer.name, ...processIdOf(writer) } })
}

const hasRings = (region: Region, name: string): Effect.Effect<void, RingUnavailable> =>
  region.info.geometry.rings > 0 ? Effect.void : Effect.fail(unavailable(name, "noRings"))

const openWriter = (region: Region, name: string) =>
  Effect.andThen(
    hasRings(region, name),
    claimed(
      region,
      () => new NativeRingWriterPort(region, region.handle.openRingWriter(name)),
      (writer) => writer.close()
    ).pipe(
      Effect.catchTag("RegionError", (error): Effect.Effect<never, RingUnavailable | RegionError> =>
        Effect.fail(error.fault === "exists" ? written(region, name) : error))
    )
  )

const openReader = (region: Region, name: string, readerName: string) =>
  Effect.andThen(
    hasRings(region, name),
    claimed(
      region,
      () => new NativeRingReaderPort(region, region.handle.openRingReader(name, readerName)),
      (reader) => reader.close()
    ).pipe(
      Effect.catchTag("RegionError", (error): Effect.Effect<never, RingUnavailable | RegionError> =>
        Effect.fail(error.fault === "missing" ? unavailable(name, "missing") : error))
    )
  )
