import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CxlMemory, Log, Subscriber, Topic } from "/tmp/h/durable/src/index.ts"
import { ReplicatedLog } from "/tmp/h/durable/src/layers/ports/ReplicatedLog.ts"
import { layer } from "/tmp/h/durable/src/layers/native/log/ReplicatedLog.ts"
const T = Topic.make("t")
const time = (log: any, title: string) => Effect.sync(() => {
  for (let r = 0; r < 3; r++) { const n = 20000, t = performance.now(); for (let i = 0; i < n; i++) log.cursors("t"); console.log(title, ((performance.now() - t) * 1000 / n).toFixed(2), "us") }
  const n = 2000, t = performance.now(); for (let i = 0; i < n; i++) log.topics(); console.log("topics()", ((performance.now() - t) * 1000 / n).toFixed(2), "us")
})
const program = Effect.gen(function*() {
  const log = yield* ReplicatedLog
  yield* time(log, "no cursor")
  yield* Subscriber.open(T, { cursor: "a" })
  yield* time(log, "1 held cursor")
  for (const c of ["b", "c", "d"]) yield* Subscriber.open(T, { cursor: c })
  yield* time(log, "4 held cursors")
})
const region = `bench-look-${process.pid}`
Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Layer.mergeAll(Log.layerEmbedded({ topics: [T] }), layer()), CxlMemory.layerShm({ region, geometry: { brokers: 4 } })))))
