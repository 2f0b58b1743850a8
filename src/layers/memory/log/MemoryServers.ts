/**
 * Kills the server of the log in this heap, and lets another continue it: for tests of what clients do meanwhile.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { processTitle } from "../../node/ProcessTitle.ts"
import { HeapLog } from "./HeapLog.ts"
import { sessionsOf } from "./LogState.ts"
import { forget, recover } from "./sequencer/recovery.ts"

/**
 * The servers of the log in this heap. What they did stays; what only a killed one knew is gone: batches that it had not
 * committed are ordered anew by the next. Clients are not killed with it.
 *
 * @example
 * ```ts
 * import { Log, Publisher, Topic } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const test = Effect.gen(function*() {
 *   const publisher = yield* Publisher.open(Topic.make("lines"))
 *   yield* Log.MemoryServers.use(({ kill }) => kill)
 *   yield* publisher.send(new TextEncoder().encode("goes on"))
 *   yield* publisher.flush
 * }).pipe(Effect.scoped, Effect.provide(Log.layerMemory({ standbys: 1 })))
 * ```
 */
export class MemoryServers extends Context.Service<MemoryServers, {
  /** Kills the server, as SIGKILL would. True when there was one. A standby, if one is left, continues the log soon. */
  readonly kill: Effect.Effect<boolean>
  /** Starts a server, which continues the log of a dead one at once. True when there was no other server. */
  readonly start: Effect.Effect<boolean>
}>()("ringfence/layers/MemoryServers") {}

export const layer: Layer.Layer<MemoryServers, never, HeapLog> = Layer.effect(
  MemoryServers,
  Effect.gen(function*() {
    const { heap, order, standbys } = yield* HeapLog
    const scope = yield* Effect.scope
    let left = standbys

    const start = Effect.sync(() => {
      if (heap.stopped || heap.unservedMicros === undefined) return false
      recover(order)
      heap.unservedMicros = undefined
      heap.epoch += 1
      order.events.push({
        _tag: "TakenOver",
        epoch: heap.epoch,
        former: { name: processTitle(), pid: process.pid },
        records: heap.topics.reduce((sum, topic) => sum + topic.committedMessages, 0),
        keptBatches: heap.topics.reduce((sum, topic) => sum + topic.committedBatches - topic.trimmed, 0),
        openSessions: sessionsOf(heap).filter(({ state }) => state === "active").length,
        recoveryMillis: 0
      })
      heap.wakeSequencer()
      heap.members.ring()
      return true
    })

    const kill = Effect.suspend(() => {
      if (heap.stopped || heap.unservedMicros !== undefined) return Effect.succeed(false)
      heap.unservedMicros = heap.monotonicMicros()
      forget(order)
      heap.members.ring()
      if (left === 0) return Effect.succeed(true)
      left -= 1
      return Effect.as(Effect.forkIn(Effect.andThen(Effect.sleep(noticeMillis), start), scope), true)
    })

    return MemoryServers.of({ kill, start })
  })
)

// --- internal ---

/** How soon a standby notices the death, as over shared memory. */
const noticeMillis = 100
