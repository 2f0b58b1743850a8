/**
 * What happens to readers that memory does not wait for: each is passed while it stands still or is gone, so that the one
 * that may be lapped must tell what it misses, and the other must read that from files.
 */
import * as Effect from "effect/Effect"
import { type Cast, laggards, paces } from "../cast.ts"
import { type Part, until } from "../processes.ts"
import { again, type Inflict, killed, progressed, whileFit } from "./recovery.ts"
import { boundsOf } from "./restored.ts"

export const laggardFaults: Readonly<Record<string, Inflict>> = {
  "lapped reader stopped until it is passed": (cast) => stopped(cast, lapped),
  "lapped reader killed, and passed while it is gone": (cast) =>
    Effect.gen(function*() {
      const { gaps } = cast.placeOfLaggard(lapped)
      yield* killed(cast.laggards[lapped] as Part)
      yield* untilPassed(cast, lapped)
      const began = performance.now()
      yield* cast.startLaggard(lapped)
      yield* untilTold(cast, gaps)
      yield* progressed(cast)
      return performance.now() - began
    }),
  "lapped reader killed": (cast) => killedAtOnce(cast, lapped),
  "reader with files stopped until it is passed": (cast) => stopped(cast, filing),
  "reader with files killed": (cast) => killedAtOnce(cast, filing)
}

// --- internal ---

const lapped = laggards.findIndex(({ lag }) => lag === "lapped")
const filing = laggards.findIndex(({ lag }) => lag === "history")

/** A process reads so many batches at once, which it may have read and not written down yet. */
const batchesAtOnce = 16

const stopped = Effect.fnUntraced(function*(cast: Cast, laggard: number) {
  const { gaps } = cast.placeOfLaggard(laggard)
  const part = cast.laggards[laggard] as Part
  part.signal("SIGSTOP")
  yield* until(`${part.name} stops`, () => part.isStopped())
  yield* untilPassed(cast, laggard)
  part.signal("SIGCONT")
  const began = performance.now()
  if (laggard === lapped) yield* untilTold(cast, gaps)
  yield* progressed(cast)
  return performance.now() - began
})

const killedAtOnce = Effect.fnUntraced(function*(cast: Cast, laggard: number) {
  // Suspended: it begins where the one that is killed will have come to.
  const millis = yield* again(cast.laggards[laggard] as Part, Effect.suspend(() => cast.startLaggard(laggard)))
  return millis + (yield* progressed(cast))
})

/** Waits until memory has dropped the next record of one that stands still. */
const untilPassed = Effect.fnUntraced(function*(cast: Cast, laggard: number) {
  const { topic } = laggards[laggard]!
  const atMost = cast.placeOfLaggard(laggard).position + batchesAtOnce * paces[topic]!.burstMost
  let start = 0
  yield* Effect.raceFirst(
    until(`memory passes position ${atMost} of ${topic}`, () => start > atMost),
    Effect.forever(Effect.delay(
      Effect.map(Effect.orDie(boundsOf(cast, topic)), (bounds) => {
        start = bounds.start
      }),
      lookMillis
    ))
  )
})

const lookMillis = 20

const untilTold = (cast: Cast, gaps: number) =>
  whileFit(cast, until("a lapped reader tells what it misses", () => cast.placeOfLaggard(lapped).gaps > gaps))
