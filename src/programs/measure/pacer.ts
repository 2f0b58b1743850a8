/**
 * Ticks that come more often than the timers of Node.js, which count milliseconds. A thread sleeps until each tick is due
 * and wakes the event loop, which is free meanwhile: a loop that looked at the clock would take a core from the processes
 * that are measured.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { programBeside } from "../processes/protocol.ts"
import { monotonicMillis } from "./monotonic-clock.ts"

/** What the thread is given. */
export interface PacerJob {
  /** The number of ticks so far, on which the event loop waits. */
  readonly ticks: Int32Array<SharedArrayBuffer>
  readonly beganMillis: number
  readonly everyMillis: number
}

export interface Pacer {
  /** By the monotonic clock: tick `n` is due `n` intervals after it. */
  readonly beganMillis: number
  /** Returns at the next tick, or at once if one came since the last call. */
  readonly tick: Effect.Effect<void>
}

export const every = Effect.fnUntraced(function*(everyMillis: number): Effect.fn.Return<Pacer, never, Scope.Scope> {
  const ticks = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const beganMillis = monotonicMillis()
  const thread = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(programBeside(import.meta.url, "pacer-thread"), {
        workerData: { ticks, beganMillis, everyMillis } satisfies PacerJob,
        execArgv: [] // of a process that was given its code, not a file, none fits a thread's file
      })
    ),
    (thread) => Effect.promise(() => thread.terminate())
  )
  yield* Effect.promise(() => once(thread, "online"))
  let seen = 0
  const tick = Effect.callback<void>((resume) => {
    const next = Atomics.waitAsync(ticks, 0, seen)
    const ticked = () => {
      seen = Atomics.load(ticks, 0)
      resume(Effect.void)
    }
    if (next.async) void next.value.then(ticked)
    else ticked()
  })
  return { beganMillis, tick }
})
