/**
 * Waits for a place that a closing session frees, instead of failing because all are taken.
 */
import * as Effect from "effect/Effect"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import type { HeapLog } from "./HeapLog.ts"

// The sequencer soon frees the slot of a closing session, and with it perhaps the place of its topic: wait for that,
// unless only a test's steps advance it. Only the waits are interruptible, so that every claim is released.
export const whenFreed = <A, E, F>(
  log: HeapLog["Service"],
  claim: Effect.Effect<A, E | RegionError>,
  waiting: (freed: Effect.Effect<true, RegionLost>) => Effect.Effect<true, F>
): Effect.Effect<A, E | F | RegionError> =>
  Effect.catchIf(claim, isOfSessions, (full) =>
    Effect.suspend((): Effect.Effect<A, E | F | RegionError> => {
      const { heap, order, waiter } = log
      const closing = heap.sessions.filter((session) => session?.closing === true && session.state !== "ended")
      if (order.options.manual || closing.length === 0) return Effect.fail(full)
      const hasEnded = (): true | undefined => closing.some((session) => session?.state === "ended") ? true : undefined
      return Effect.andThen(waiting(waiter.until(hasEnded)), whenFreed(log, claim, waiting))
    }))

// --- internal ---

/** Whether a table is full whose places are freed when sessions end: session slots, and topics. */
const isOfSessions = (error: unknown): error is RegionError =>
  error instanceof RegionError && error.fault === "full" && error.sizes?.includes("readers") !== true
