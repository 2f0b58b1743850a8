/**
 * Publishers over shared memory: a session is claimed, adopted by the sequencer, and granted a lane by every broker.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { LanesHandle } from "../../native/binding.ts"
import type { RegionError } from "../../services/CxlMemory.ts"
import { makePublisher, Publisher } from "../../services/Publisher.ts"
import type { LogLost } from "../../services/Sequencer.ts"
import { admittedInTime } from "../Admission.ts"
import { NativeLanes } from "./NativeLanes.ts"
import { NativeRegion } from "./NativeRegion.ts"
import { claiming, openTopic } from "./NativeTopics.ts"

export const layer: Layer.Layer<Publisher, never, NativeRegion> = Layer.effect(
  Publisher,
  Effect.map(NativeRegion, (region) =>
    Publisher.of({
      open: (topic, options) =>
        Effect.gen(function*() {
          const { index } = yield* openTopic(region, topic, false)
          return yield* makePublisher(topic, yield* openLanes(region, index), options)
        })
    }))
)

type Region = NativeRegion["Service"]

/** Claims a session slot. Its lanes are usable once the sequencer has adopted it and every broker has granted one. */
export const claimLanes = (region: Region, topic: number): Effect.Effect<LanesHandle, RegionError, Scope.Scope> =>
  Effect.acquireRelease(
    claiming(region, () => region.native.openLanes(region.handle, topic)),
    (lanes) => Effect.sync(() => region.native.closeLanes(lanes))
  )

// --- internal ---

// A session that was just closed gives its slot back with the sequencer's next pass: a full table is looked at again.
const closing = {
  while: (error: RegionError) => error.fault === "full",
  schedule: Schedule.spaced(2),
  times: 100
}

const openLanes = (
  region: Region,
  topic: number
): Effect.Effect<NativeLanes, RegionError | LogLost, Scope.Scope> =>
  Effect.gen(function*() {
    const lanes = yield* Effect.retry(claimLanes(region, topic), closing)
    yield* admitted(region, lanes)
    return new NativeLanes(region, lanes)
  })

const admitted = (region: Region, lanes: LanesHandle) =>
  region.waiter.until(() => region.native.lanesReady(lanes) ? true : undefined).pipe(
    admittedInTime(region.info.name, "its server has not started yet, or is stopped")
  )
