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
import type { ActorMessage } from "./harness.ts"
import { seeded } from "./seeded.ts"
import { exchange } from "./topicExchange.ts"

const [region = "", names = "1", seed = "0"] = process.argv.slice(2)
const random = seeded(Number(seed))

const tell = (message: ActorMessage) => Effect.sync(() => void process.send?.(message))

const using = Effect.gen(function*() {
  yield* tell({ _tag: "ready", sessionId: 0 })
  let rounds = 0
  while (process.connected) {
    const isFull = yield* exchange(`name${random(Number(names))}`, 1 + random(200)).pipe(
      Effect.as(false),
      Effect.catchIf(
        (error) => error._tag === "RegionError" && error.fault === "full",
        () => Effect.as(Effect.sleep(1), true)
      )
    )
    if (isFull) continue
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
