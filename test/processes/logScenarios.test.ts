/**
 * Scenarios of `docs/scenarios.md` over real processes: servers and publishers that are killed or stopped, before two
 * independent judges.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Diagnostics } from "../../src/services/Diagnostics.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { agree, judging, sendStamped } from "../faults/judge.ts"
import { untilStopped } from "../faults/stopped.ts"
import { type Actor, type ActorOptions, freshRegion, start } from "./harness.ts"
import { geometry as narrow } from "./kills.ts"
import { Stamped } from "./stamped.ts"

const geometry = { ...narrow, clients: 6 }

/** Serves in a process of its own, whose region is discarded at the end. */
const served = Effect.fnUntraced(function*(region: string) {
  yield* Effect.addFinalizer(() =>
    Effect.ignore(Effect.scoped(Layer.build(CxlMemory.layerShm({ region, geometry, leftLog: "discard" }))))
  )
  const server = yield* start("serve", region, { geometry })
  yield* server.ready
  return server
})

const standingBy = Effect.fnUntraced(function*(region: string, suspectMillis?: number) {
  const standby = yield* start("standby", region, { geometry, ...suspectMillis === undefined ? {} : { suspectMillis } })
  yield* standby.ready
  return standby
})

const asClient = (region: string) =>
  Effect.provide(Log.layerClient().pipe(Layer.provideMerge(CxlMemory.layerAttach({ region }))))

const done = (actor: Actor) =>
  Effect.map(
    actor.told((message): message is typeof message & { readonly _tag: "done" } => message._tag === "done"),
    ({ records }) => records
  )

const publishing = Effect.fnUntraced(
  function*(region: string, count: number, options: ActorOptions) {
    const actors = yield* Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      (i) => start("publish", region, { skewMillis: i, ...options })
    )
    const sessions = yield* Effect.forEach(actors, ({ ready }) => ready)
    return { actors, sessionIds: sessions.map(({ sessionId }) => sessionId) }
  }
)

const state = Diagnostics.use(({ snapshot }) => snapshot)

/** Returns once a later server than that of this epoch serves. */
const untilServedAfter = Effect.fnUntraced(function*(epoch: number) {
  while (true) {
    const now = yield* state
    if (now.serving && now.epoch > epoch) return now
    yield* Effect.sleep(2)
  }
})

/**
 * Three publishers and an idle session, before two judges, while the server is replaced again and again. `replace` ends
 * the serving process and returns the next one.
 */
const replacing = (
  region: string,
  replacements: number,
  replace: (serving: Actor) => Effect.Effect<Actor, unknown, any>
) =>
  Effect.gen(function*() {
    let serving = yield* served(region)
    yield* Effect.gen(function*() {
      let wanted = Infinity
      const judges = [
        yield* judging(Stamped.topic, () => wanted, "first"),
        yield* judging(Stamped.topic, () => wanted, "second")
      ]
      const idle = yield* Publisher.open(Stamped.topic)
      const { actors, sessionIds } = yield* publishing(region, 3, { pauseMillis: 1 })
      for (let round = 1; round <= replacements; round += 1) {
        yield* actors[round % actors.length]!.acknowledged(round * 256)
        const { epoch, sessions } = yield* state
        const believed = sessions.reduce((sum, { acks }) => sum + acks.acknowledged, 0)
        serving = yield* replace(serving)
        const next = yield* untilServedAfter(epoch)
        const recovered = next.sessions.reduce((sum, { acks }) => sum + acks.acknowledged, 0)
        assert.isAtLeast(recovered, believed)
      }
      for (const actor of actors) actor.end()
      const records = yield* Effect.forEach(actors, done)
      wanted = records.reduce((sum, count) => sum + count, 1)
      // The session that sent nothing meanwhile is as good as ever. The judges look at what is wanted behind its record.
      yield* sendStamped(idle, 1)
      yield* idle.flush
      assert.strictEqual(idle.acknowledged(), 1)
      yield* agree(judges, new Map([[idle.sessionId, 1], ...sessionIds.map((id, i) => [id, records[i]!] as const)]))
    }).pipe(Effect.scoped, asClient(region))
  }).pipe(Effect.scoped)

describe.skipIf(process.platform !== "linux")("scenarios of processes", () => {
  it.live("E01 100,000 records of 1 KiB by one process over four brokers: all acknowledged, two readers agree", () => {
    const region = freshRegion("basic")
    return Effect.gen(function*() {
      yield* served(region)
      yield* Effect.gen(function*() {
        const records = 100_000
        const judges = [
          yield* judging(Stamped.topic, records, "first"),
          yield* judging(Stamped.topic, records, "second")
        ]
        const { actors, sessionIds } = yield* publishing(region, 1, { records, recordBytes: 1024 })
        assert.strictEqual(yield* done(actors[0]!), records)
        yield* agree(judges, new Map([[sessionIds[0]!, records]]))
        const { brokers } = yield* state
        assert.isAbove(Math.min(...brokers.map(({ frontiers }) => frontiers.ordered)), 0)
        assert.strictEqual(brokers.reduce((sum, { frontiers }) => sum + frontiers.orderedMessages, 0), records)
      }).pipe(Effect.scoped, asClient(region))
    }).pipe(Effect.scoped)
  }, 60_000)

  it.live("E03 a server that is stopped for two seconds under load: publishers wait, nothing is dropped", () => {
    const region = freshRegion("standstill")
    return Effect.gen(function*() {
      const server = yield* served(region)
      yield* Effect.gen(function*() {
        const [publishers, records] = [2, 150_000]
        const wanted = publishers * records
        const judges = [yield* judging(Stamped.topic, wanted, "first"), yield* judging(Stamped.topic, wanted, "second")]
        const { actors, sessionIds } = yield* publishing(region, publishers, { records, pauseMillis: 1 })
        yield* actors[0]!.acknowledged(2000)
        server.signal("SIGSTOP")
        yield* untilStopped(server.pid)
        yield* Effect.sleep("2 seconds")
        const { sessions } = yield* state
        for (const { acks } of sessions) assert.isBelow(acks.acknowledged, records)
        server.signal("SIGCONT")
        for (const actor of actors) assert.strictEqual(yield* done(actor), records)
        yield* agree(judges, new Map(sessionIds.map((id) => [id, records] as const)))
      }).pipe(Effect.scoped, asClient(region))
    }).pipe(Effect.scoped)
  }, 60_000)

  it.live(
    "E14 a server is killed under load, again and again, and a standby takes over: nothing acknowledged is lost",
    () => {
      const region = freshRegion("killed")
      return replacing(region, 4, (serving) =>
        Effect.gen(function*() {
          const standby = yield* standingBy(region)
          serving.signal("SIGKILL")
          yield* serving.exit
          return standby
        }))
    },
    90_000
  )

  it.live(
    "E15 a server is stopped, replaced and continued, again and again: it is deposed, and its writes have no effect",
    () => {
      const region = freshRegion("zombie")
      return replacing(region, 2, (serving) =>
        Effect.gen(function*() {
          const { epoch } = yield* state
          const standby = yield* standingBy(region, 500)
          serving.signal("SIGSTOP")
          yield* untilServedAfter(epoch)
          serving.signal("SIGCONT")
          yield* serving.told((message): message is typeof message & { readonly _tag: "failed" } =>
            message._tag === "failed" && message.error === "Deposed"
          )
          return standby
        }))
    },
    90_000
  )
})
