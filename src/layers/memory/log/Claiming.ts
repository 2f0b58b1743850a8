/**
 * Waits for a place that an ending session gives back, instead of failing because all are taken.
 */
import * as Effect from "effect/Effect"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import type { HeapLog } from "./HeapLog.ts"

// A session that is closing gives back its slot, and the place of its topic, by itself, unless the sequencer advances
// by steps only, so wait for it. Only the waits can be interrupted, so that every claim is given back.
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

/** Full of what ends with sessions: their slots, and topics. */
const isOfSessions = (error: unknown): error is RegionError =>
  error instanceof RegionError && error.fault === "full" && error.sizes?.includes("readers") !== true
