/**
 * Publishers over shared memory: a session is claimed, adopted by the sequencer, and granted a lane by every broker.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { LanesHandle } from "../../native/binding.ts"
import { RegionError } from "../../services/CxlMemory.ts"
import { makePublisher, Publisher } from "../../services/Publisher.ts"
import type { LogLost } from "../../services/Sequencer.ts"
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

// --- internal ---

type Region = NativeRegion["Service"]

const admissionMillis = 10_000

const openLanes = (
  region: Region,
  topic: number
): Effect.Effect<NativeLanes, RegionError | LogLost, Scope.Scope> =>
  Effect.gen(function*() {
    const { handle, native } = region
    const lanes = yield* Effect.acquireRelease(
      claiming(region, () => native.openLanes(handle, topic)),
      (lanes) => Effect.sync(() => native.closeLanes(lanes))
    )
    yield* admitted(region, lanes)
    return new NativeLanes(region, lanes)
  })

const admitted = (region: Region, lanes: LanesHandle) =>
  region.waiter.until(() => region.native.lanesReady(lanes) ? true : undefined).pipe(
    Effect.timeoutOrElse({
      duration: admissionMillis,
      orElse: () =>
        Effect.fail(
          new RegionError({
            fault: "notServing",
            region: region.info.name,
            detail: `the session was not admitted within ${admissionMillis} ms`,
            hint: "its server has not started yet, or is stopped"
          })
        )
    })
  )
