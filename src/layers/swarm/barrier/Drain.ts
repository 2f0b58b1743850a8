/**
 * Phase two of a fence: waits until readers have reached its drain targets, in one child fiber for each target. The
 * coordinator uses it before it releases a round, and every member before it returns from one.
 */
import * as Effect from "effect/Effect"
import { type Drained, RangeLost } from "../../../services/Barrier.ts"
import type { BarrierMode } from "../../../services/schema/BarrierArrival.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import type { MemberId } from "../../../services/schema/Member.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { BarrierTrace } from "../SwarmOptions.ts"
import type { Mesh } from "../transport/Mesh.ts"
import type { Cursor, RingConsumer } from "../transport/RingConsumer.ts"

/** The drained round, and the side that drains it, for the trace. */
export interface DrainOf {
  readonly term: number
  readonly round: number
  readonly name: string
  readonly mode: BarrierMode
  readonly side: BarrierTrace["side"]
}

/** A target, and the progress of its readers. */
interface Progress {
  readonly target: DrainTarget
  /** The slowest reader's position. */
  readonly position: number
  /** The slowest reader's position, once all have reached the target without a loss. */
  readonly reachedAt: number | undefined
  readonly reached: Effect.Effect<void, RangeLost>
  /** Messages of that ring that were delivered in this member. */
  readonly messages: number
}

export interface DrainParts {
  readonly mesh: Mesh
  readonly ring: RingPorts["Service"]
  readonly trace: ((event: BarrierTrace) => void) | undefined
}

export class Drain {
  readonly #mesh: Mesh
  readonly #ring: RingPorts["Service"]
  readonly #trace: DrainParts["trace"]

  constructor({ mesh, ring, trace }: DrainParts) {
    this.#mesh = mesh
    this.#ring = ring
    this.#trace = trace
  }

  /** Waits until this member's own readers have reached the targets, or until `orElse` ends. */
  here<A, E>(
    of: DrainOf,
    targets: ReadonlyArray<DrainTarget>,
    cursor: Cursor,
    orElse: Effect.Effect<A, E>
  ): Effect.Effect<ReadonlyArray<Drained> | A, RangeLost | E> {
    return this.#all(of, targets.map((target) => new OwnReader(this.#mesh.source(target.ring), target, cursor)), orElse)
  }

  /** Waits until all members have handled the messages below the targets, or until `orElse` ends. */
  everywhere<A, E>(
    of: DrainOf,
    targets: ReadonlyArray<DrainTarget>,
    readersOf: (target: DrainTarget) => ReadonlyArray<MemberId>,
    orElse: Effect.Effect<A, E>
  ): Effect.Effect<ReadonlyArray<Drained> | A, RangeLost | E> {
    const readers = (target: DrainTarget) =>
      new MembersReaders(this.#ring, this.#mesh.source(target.ring), readersOf(target), target)
    return this.#all(of, targets.map(readers), orElse)
  }

  /** The targets that this member's own readers have not reached. */
  undrained(targets: ReadonlyArray<DrainTarget>, cursor: Cursor): ReadonlyArray<DrainTarget> {
    return targets.filter(({ position, ring }) => (this.#mesh.source(ring)?.position(cursor) ?? 0) < position)
  }

  // --- internal ---

  // In most rounds all targets are reached already: save these the fibers, and never report a reached target as late.
  #all<A, E>(
    of: DrainOf,
    all: ReadonlyArray<Progress>,
    orElse: Effect.Effect<A, E>
  ): Effect.Effect<ReadonlyArray<Drained> | A, RangeLost | E> {
    const reachedAt = all.map((progress) => progress.reachedAt)
    if (!reachedAt.includes(undefined)) {
      return Effect.succeed(all.map(({ target }, i) => {
        const at = reachedAt[i] ?? target.position
        return this.#traced(of, { target, before: at, after: at, messages: 0 })
      }))
    }
    const drained = Effect.forEach(all, (progress) => this.#one(of, progress), { concurrency: "unbounded" })
    return Effect.raceFirst(drained, orElse)
  }

  #one(of: DrainOf, progress: Progress): Effect.Effect<Drained, RangeLost> {
    const { messages, position: before, target } = progress
    return Effect.map(
      progress.reached,
      () => this.#traced(of, { target, before, after: progress.position, messages: progress.messages - messages })
    )
  }

  #traced(of: DrainOf, drained: Drained): Drained {
    if (this.#trace !== undefined) this.#trace(traceOf(of, this.#mesh.self, drained))
    return drained
  }
}

/** This member's own reader of the ring. */
class OwnReader implements Progress {
  readonly target: DrainTarget
  readonly #source: RingConsumer | undefined
  readonly #cursor: Cursor

  constructor(source: RingConsumer | undefined, target: DrainTarget, cursor: Cursor) {
    this.#source = source
    this.target = target
    this.#cursor = cursor
  }

  get position(): number {
    return this.#source?.position(this.#cursor) ?? 0
  }

  get messages(): number {
    return this.#source?.messages ?? 0
  }

  get reachedAt(): number | undefined {
    if (this.#source === undefined || this.#source.lost !== undefined) return undefined
    const { position } = this
    return position >= this.target.position ? position : undefined
  }

  get reached(): Effect.Effect<void, RangeLost> {
    const { position, ring } = this.target
    return this.#source?.reached(this.target, this.#cursor)
      ?? Effect.fail(new RangeLost({ ring, from: 0, to: position }))
  }
}

/** The readers of several members of the ring, by their `handled` cursors in shared memory. */
class MembersReaders implements Progress {
  readonly target: DrainTarget
  readonly #ring: RingPorts["Service"]
  readonly #own: RingConsumer | undefined
  readonly #members: ReadonlyArray<MemberId>

  constructor(
    ring: RingPorts["Service"],
    own: RingConsumer | undefined,
    members: ReadonlyArray<MemberId>,
    target: DrainTarget
  ) {
    this.#ring = ring
    this.#own = own
    this.#members = members
    this.target = target
  }

  get position(): number {
    return this.#least.handled
  }

  get messages(): number {
    return this.#own?.messages ?? 0
  }

  get reachedAt(): number | undefined {
    const { deaf, handled } = this.#least
    return deaf === undefined && handled >= this.target.position ? handled : undefined
  }

  get reached(): Effect.Effect<void, RangeLost> {
    const { position: to, ring } = this.target
    const from = this.position
    const reached = this.#ring.cursorWaiter.until(() => {
      const now = this.#least
      return now.deaf !== undefined || now.handled >= to ? now : undefined
    })
    return reached.pipe(
      Effect.flatMap(({ deaf }) =>
        deaf === undefined ? Effect.void : Effect.fail(new RangeLost({ ring, from, to, member: deaf }))
      ),
      // A process that has left the region releases no round.
      Effect.catchTag("RegionLost", () => Effect.never)
    )
  }

  /** The slowest reader's position, up to the target; and a living member that no longer reads the ring, if any. */
  get #least(): { readonly handled: number; readonly deaf: MemberId | undefined } {
    const readers = this.#ring.readers(this.target.ring)
    let handled = this.target.position
    let deaf: MemberId | undefined
    for (const { generation, slot } of this.#members) {
      const reader = readers.find(({ process, processGeneration }) =>
        process === slot && processGeneration === generation
      )
      if (reader === undefined && this.#ring.isAlive(slot, generation)) deaf ??= { slot, generation }
      // Wait for a dead member until its departure is noted: phase two then begins again without it.
      handled = Math.min(handled, reader?.handled ?? 0)
    }
    return { handled, deaf }
  }
}

const traceOf = (of: DrainOf, member: MemberId, { after, before, messages, target }: Drained): BarrierTrace => ({
  ...of,
  member,
  ring: target.ring,
  target: target.position,
  observed: before,
  reached: after,
  backlogBefore: Math.max(0, target.position - before),
  backlogAfter: Math.max(0, target.position - after),
  messages
})
