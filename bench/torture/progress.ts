/**
 * A publisher's notes of what may be sent and what was acknowledged.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { nowMicros, type Write } from "./journal.ts"

export interface Looks<E, R> {
  readonly acknowledged: () => number
  /** Where the topic ends. */
  readonly end: Effect.Effect<number, E, R>
}

/**
 * Each note looks at the acknowledgements first, and at the topic's end behind that: so the topic had reached what was
 * acknowledged. The look at the end may suspend. One note is written before the next one looks: otherwise one that is
 * held there is written behind a newer one, and the verdict takes its older count for a fall.
 */
export const makeProgress = <E, R>(
  { life, publisher }: { readonly publisher: number; readonly life: number },
  write: Write,
  looks: Looks<E, R>
): (accepted: number) => Effect.Effect<number, E, R> => {
  const one = Semaphore.makeUnsafe(1)
  return Effect.fnUntraced(function*(accepted: number) {
    const acknowledged = looks.acknowledged()
    const at = nowMicros()
    const end = yield* looks.end
    write({ _tag: "Progressed", publisher, life, at, accepted, acknowledged, end })
    return acknowledged
  }, one.withPermits(1))
}
