/**
 * A process of a test: plays one role, reports to its parent, and can be killed or stopped.
 *
 * Usage: node actor.ts <part> <region> <options as JSON>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import type { ActorOptions } from "./harness.ts"
import { Stamped } from "./stamped.ts"
import { fallSilent, tell } from "./telling.ts"

const [part = "", region = "", json = "{}"] = process.argv.slice(2)
const options = JSON.parse(json) as ActorOptions

const topic = options.order === "none" ? Stamped.unordered : Stamped.topic

const publish = Effect.gen(function*() {
  const publisher = yield* Publisher.open(topic, { skew: options.skewMillis ?? 0, roomDeadline: "1 minute" })
  yield* tell({ _tag: "ready", sessionId: publisher.sessionId })
  const record = new Uint8Array(options.recordBytes ?? 256)
  let most = options.records ?? Infinity
  // Without a number of records the publisher waits for word. With one, its process ends by itself: no listener holds it.
  if (options.records === undefined) process.once("message", () => most = 0)
  let told = 0
  for (let sequence = 0; sequence < most; sequence += 1) {
    Stamped.write(record, publisher.sessionId, sequence)
    if (!publisher.offer(record)) yield* publisher.send(record)
    if (sequence % 64 !== 63) continue
    yield* options.pauseMillis === undefined ? Effect.yieldNow : Effect.sleep(options.pauseMillis)
    const acknowledged = options.order === "none" ? publisher.accepted() : publisher.acknowledged()
    if (acknowledged - told < 256) continue
    told = acknowledged
    yield* tell({ _tag: "acknowledged", records: acknowledged })
  }
  yield* publisher.flush
  yield* tell({ _tag: "done", records: options.order === "none" ? publisher.accepted() : publisher.acknowledged() })
})

const subscribe = Effect.gen(function*() {
  const subscriber = yield* Subscriber.open(topic, { from: options.from ?? "start", name: options.name })
  yield* tell({ _tag: "ready", sessionId: 0 })
  const check = options.order === "none" ? new Stamped.LanesChecker() : new Stamped.Checker()
  let records = 0
  while (records < (options.records ?? Infinity)) {
    const batches = yield* subscriber.pull
    if (batches.length === 0) break
    for (const batch of batches) check.batch(batch)
    const before = records
    records = check.records
    if (Math.floor(records / 256) > Math.floor(before / 256)) yield* tell({ _tag: "acknowledged", records })
  }
  yield* tell({ _tag: "done", records })
})

// A suspended fiber does not keep a process alive, nor does a channel without a listener: a creator that does not serve
// would exit by itself, and take the region's name with it.
const untilKilled = Effect.callback<never>(() => {
  const listen = () => undefined
  process.on("message", listen)
  return Effect.sync(() => void process.off("message", listen))
})

const serve = Effect.andThen(tell({ _tag: "ready", sessionId: 0 }), untilKilled)

const untilDeposed = Sequencer.use(({ lost }) => lost)

const Attached = Log.layerClient().pipe(
  Layer.provideMerge(CxlMemory.layerAttach({ region, processName: options.name }))
)

const Created = CxlMemory.layerShm({ region, geometry: options.geometry })

const server = Effect.raceFirst(serve, untilDeposed).pipe(
  Effect.scoped,
  Effect.provide(Log.layerServe({ topics: [Stamped.topic] }).pipe(Layer.provideMerge(Created)))
)

/** Ready once it stands by. */
const standby = Effect.raceFirst(untilKilled, untilDeposed).pipe(
  Effect.provide(
    Log.layerStandby({
      takeoverSuspect: options.suspectMillis,
      onWaiting: () => tell({ _tag: "ready", sessionId: 0 })
    }).pipe(Layer.provideMerge(CxlMemory.layerShm({ region, geometry: options.geometry, share: true })))
  )
)

/** A server before it serves. */
const creator = serve.pipe(Effect.scoped, Effect.provide(Created))

const asClient = <E>(program: Effect.Effect<void, E, Log.Client | Scope.Scope>) =>
  program.pipe(Effect.scoped, Effect.provide(Attached))

const failed = (error: { readonly _tag?: string; readonly message: string }) =>
  tell({ _tag: "failed", error: error._tag ?? "defect", message: error.message })

await Effect.runPromise(
  part === "serve"
    ? Effect.catch(server, failed)
    : part === "standby"
    ? Effect.catch(standby, failed)
    : part === "create"
    ? Effect.catch(creator, failed)
    : part === "publish"
    ? Effect.catch(asClient(publish), failed)
    : Effect.catch(asClient(subscribe), failed)
)
fallSilent()
