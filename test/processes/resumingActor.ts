/**
 * A publisher with an identity, which publishes its batches late: whenever its process is stopped its session has a gap.
 * It sends the numbers that are not committed yet, up to a count.
 *
 * Usage: node resumingActor.ts <region> <count>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Numbers } from "./numbers.ts"
import { fallSilent, tell } from "./telling.ts"

const [region = "", count = "0"] = process.argv.slice(2)

const publish = Effect.gen(function*() {
  const publisher = yield* Publisher.open(Numbers.topic, {
    identity: Numbers.identity,
    skew: "30 millis",
    batchBytes: 512
  })
  const { committed } = publisher
  yield* tell({ _tag: "ready", sessionId: publisher.sessionId })
  for (let told = 0; publisher.accepted() + committed < Number(count);) {
    yield* publisher.send(Numbers.record(publisher.accepted() + committed))
    if (publisher.accepted() % 16 === 0) yield* Effect.sleep(1)
    if (publisher.acknowledged() < told + 50) continue
    told = publisher.acknowledged()
    yield* tell({ _tag: "acknowledged", records: told + committed })
  }
  yield* publisher.flush
  yield* tell({ _tag: "done", records: publisher.acknowledged() + committed })
})

const failed = (error: { readonly _tag?: string; readonly message: string }) =>
  tell({ _tag: "failed", error: error._tag ?? "defect", message: error.message })

await Effect.runPromise(
  publish.pipe(
    Effect.scoped,
    Effect.provide(Log.layerClient().pipe(Layer.provideMerge(CxlMemory.layerAttach({ region })))),
    Effect.catch(failed)
  )
)
fallSilent()
