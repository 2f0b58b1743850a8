/**
 * A process of its own that publishes or subscribes, and attaches again, in a new scope, whenever the log was lost.
 *
 * Usage: node attachAgainActor.ts <publish|subscribe> <region>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { Stamped } from "./stamped.ts"
import { tell } from "./telling.ts"

const [part = "", region = ""] = process.argv.slice(2)

/** Views of every life, kept so that the collector cannot free them. */
const kept: Array<Uint8Array> = []
let lives = 0

const tellOfLife = Effect.suspend(() => {
  lives += 1
  return tell({ _tag: "acknowledged", records: lives })
})

const publish = Effect.gen(function*() {
  const publisher = yield* Publisher.open(Stamped.topic)
  const record = new Uint8Array(256)
  for (let sequence = 0;; sequence += 1) {
    Stamped.write(record, publisher.sessionId, sequence)
    yield* publisher.send(record)
    if (sequence === 64) yield* tellOfLife
    if (sequence % 64 === 0) yield* Effect.sleep(1)
  }
})

const subscribe = Effect.gen(function*() {
  const subscriber = yield* Subscriber.open(Stamped.topic, { from: "start" })
  const check = new Stamped.Checker()
  let told = false
  while (true) {
    const batches = yield* subscriber.pull
    if (batches.length === 0) return
    for (const batch of batches) check.batch(batch)
    if (told || check.records < 64) continue
    told = true
    kept.push(...batches.map(({ payload }) => payload))
    yield* tellOfLife
  }
})

// Ends with the server, by any error, and releases the region with its scope.
const livingOnce = <E>(work: Effect.Effect<void, E, Log.Client | Scope.Scope>): Effect.Effect<void> =>
  work.pipe(
    Effect.scoped,
    Effect.provide(Log.layerClient().pipe(Layer.provideMerge(CxlMemory.layerAttach({ region })))),
    Effect.exit,
    Effect.asVoid
  )

const oneLife = part === "publish" ? livingOnce(publish) : livingOnce(subscribe)

await Effect.runPromise(Effect.forever(Effect.andThen(oneLife, Effect.sleep(5))))
