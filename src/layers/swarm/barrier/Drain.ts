/**
 * Phase two of a fence: waiting until a reader has reached what was sent ahead. The coordinator, before it releases, and
 * every member, before it returns, wait with this same code.
 */
import * as Effect from "effect/Effect"
import { type Drained, RangeLost } from "../../../services/Barrier.ts"
import type { BarrierMode } from "../../../services/schema/BarrierArrival.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import type { MemberId } from "../../../services/schema/Member.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { BarrierTrace } from "../SwarmOptions.ts"
import type { Cursor, RingConsumer } from "../transport/RingConsumer.ts"

/** Of which round this is, for the trace. */
export interface DrainingOf {
  readonly round: number
  readonly name: string
  readonly mode: BarrierMode
  readonly member: MemberId
  readonly side: BarrierTrace["side"]
}

/** Whoever arrives within one round names a ring once for each of its arrivals: only the furthest counts. */
export const furthest = (targets: ReadonlyArray<DrainTarget>): ReadonlyArray<DrainTarget> => {
  const byRing = new Map<number, DrainTarget>()
  for (const target of targets) {
    const known = byRing.get(target.ring)
    if (known === undefined || target.position > known.position) byRing.set(target.ring, target)
  }
  return [...byRing.values()]
}

/** Waits for one target. */
export const drain = (
  source: RingConsumer,
  target: DrainTarget,
  cursor: Cursor,
  of: DrainingOf,
  trace: ((event: BarrierTrace) => void) | undefined
): Effect.Effect<Drained, RangeLost> =>
  Effect.suspend(() => {
    const before = source.position(cursor)
    const messages = source.messages
    return Effect.map(source.reached(target, cursor), () => {
      const after = source.position(cursor)
      const drained: Drained = { target, before, after, messages: source.messages - messages }
      if (trace !== undefined) trace(traceOf(of, drained))
      return drained
    })
  })

/** The same for a target that the reader has reached already. */
export const drainedAlready = (
  source: RingConsumer,
  target: DrainTarget,
  cursor: Cursor,
  of: DrainingOf,
  trace: ((event: BarrierTrace) => void) | undefined
): Drained => {
  const at = source.position(cursor)
  const drained: Drained = { target, before: at, after: at, messages: 0 }
  if (trace !== undefined) trace(traceOf(of, drained))
  return drained
}

/**
 * Waits until all these members have handled what lies below the target. Their cursors are in shared memory; `source` is
 * this member's own reader, for the trace.
 */
export const drainEverywhere = (
  ring: RingPorts["Service"],
  source: RingConsumer | undefined,
  members: ReadonlyArray<MemberId>,
  target: DrainTarget,
  of: DrainingOf,
  trace: ((event: BarrierTrace) => void) | undefined
): Effect.Effect<void, RangeLost> =>
  Effect.suspend(() => {
    const before = leastHandled(ring, members, target)
    const messages = source?.messages ?? 0
    const reached = ring.cursorWaiter.until(() => {
      const now = leastHandled(ring, members, target)
      return now.deaf !== undefined || now.handled >= target.position ? now : undefined
    })
    return Effect.flatMap(reached, ({ deaf, handled }) => {
      if (deaf !== undefined) {
        return Effect.fail(
          new RangeLost({ ring: target.ring, from: before.handled, to: target.position, member: deaf })
        )
      }
      const drained = { target, before: before.handled, after: handled, messages: (source?.messages ?? 0) - messages }
      if (trace !== undefined) trace(traceOf(of, drained))
      return Effect.void
    }).pipe(
      // This process is gone from the region: it releases nothing any more.
      Effect.catchTag("RegionLost", () => Effect.never)
    )
  })

export interface LeastHandled {
  /** How far the last of the members is, up to the target. */
  readonly handled: number
  /** One that lives, and reads that ring no more: it never gets there. */
  readonly deaf: MemberId | undefined
}

export const leastHandled = (
  ring: RingPorts["Service"],
  members: ReadonlyArray<MemberId>,
  target: DrainTarget
): LeastHandled => {
  const readers = ring.readers(target.ring)
  let handled = target.position
  let deaf: MemberId | undefined
  for (const { generation, slot } of members) {
    const reader = readers.find(({ process, processGeneration }) =>
      process === slot && processGeneration === generation
    )
    // A dead one is waited for until its departure is known: the draining begins again without it then.
    if (reader === undefined && ring.isAlive(slot, generation)) deaf ??= { slot, generation }
    handled = Math.min(handled, reader?.handled ?? 0)
  }
  return { handled, deaf }
}

const traceOf = (of: DrainingOf, { after, before, messages, target }: Drained): BarrierTrace => ({
  ...of,
  ring: target.ring,
  target: target.position,
  observed: before,
  reached: after,
  backlogBefore: Math.max(0, target.position - before),
  backlogAfter: Math.max(0, target.position - after),
  messages
})
