/**
 * A process that uses more topics than there are places, one after the other, and so takes the place of unused ones
 * again and again.
 *
 * Usage: node topicActor.ts <region> <names> <seed>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import type { RegionFault } from "../../src/services/schema/RegionError.ts"
import { seeded } from "./seeded.ts"
import { tell } from "./telling.ts"
import { exchange } from "./topicExchange.ts"

const [region = "", names = "1", seed = "0"] = process.argv.slice(2)
const random = seeded(Number(seed))

// A test may stop this process, or the one that serves, for longer than a claim waits for its place.
const expected: ReadonlySet<RegionFault> = new Set(["full", "busy", "notAnswering"])

const using = Effect.gen(function*() {
  yield* tell({ _tag: "ready", sessionId: 0 })
  let rounds = 0
  while (process.connected) {
    const isRefused = yield* exchange(`name${random(Number(names))}`, 1 + random(200)).pipe(
      Effect.as(false),
      Effect.catchIf(
        (error) => error._tag === "RegionError" && expected.has(error.fault),
        () => Effect.as(Effect.sleep(1), true)
      )
    )
    if (isRefused) continue
    yield* tell({ _tag: "acknowledged", records: rounds += 1 })
  }
})

const Attached = Log.layerClient().pipe(Layer.provideMerge(CxlMemory.layerAttach({ region, processName: "topics" })))

await Effect.runPromise(
  using.pipe(
    Effect.provide(Attached),
    Effect.catch((error) => tell({ _tag: "failed", error: error._tag, message: error.message }))
  )
)
