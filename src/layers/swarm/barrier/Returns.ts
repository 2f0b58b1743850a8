/**
 * From a round's release to the return of those who entered it here: each waits until this member's own readers have
 * come as far as the release says.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import {
  type BarrierError,
  type BarrierResult,
  BarrierTimedOut,
  type Drained,
  RangeLost
} from "../../../services/Barrier.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import { isSame, type MemberId } from "../../../services/schema/Member.ts"
import type { Released } from "../control/CoordinatorProtocol.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import type { Mesh } from "../transport/Mesh.ts"
import type { Cursor } from "../transport/RingConsumer.ts"
import { drain, drainedAlready, type DrainingOf } from "./Drain.ts"

export class Returns {
  readonly #mesh: Mesh
  readonly #clock: Clock.Clock
  readonly #trace: ResolvedOptions["trace"]

  constructor(mesh: Mesh, clock: Clock.Clock, trace: ResolvedOptions["trace"]) {
    this.#mesh = mesh
    this.#clock = clock
    this.#trace = trace
  }

  /** What a fiber returns with, once the release holds for this member. */
  after(release: Released, untilMillis: number): Effect.Effect<BarrierResult, BarrierError> {
    if (!release.drain) return Effect.succeed(resultOf(release, []))
    const targets = release.targets.filter(({ ring }) => !isExempt(release, this.#mesh.self, ring))
    // What is there already is not late, however late the release came.
    if (targets.every((target) => this.#isThere(release, target))) {
      return Effect.succeed(resultOf(release, targets.flatMap((target) => this.#there(release, target))))
    }
    return Effect.forEach(targets, (target) => this.#reached(release, target), { concurrency: "unbounded" }).pipe(
      Effect.timeoutOrElse({
        duration: Math.max(1, untilMillis - this.#clock.currentTimeMillisUnsafe()),
        orElse: () => Effect.fail(this.#undrained(release, targets))
      }),
      Effect.map((drained) => resultOf(release, drained))
    )
  }

  // --- internal ---

  #isThere(release: Released, target: DrainTarget): boolean {
    const source = this.#mesh.source(target.ring)
    return source !== undefined && source.lost === undefined && source.hasReached(target, cursorOf(release))
  }

  #there(release: Released, target: DrainTarget): ReadonlyArray<Drained> {
    const source = this.#mesh.source(target.ring)
    if (source === undefined) return []
    return [drainedAlready(source, target, cursorOf(release), this.#drainingOf(release), this.#trace)]
  }

  #reached(release: Released, target: DrainTarget): Effect.Effect<Drained, RangeLost> {
    const source = this.#mesh.source(target.ring)
    if (source === undefined) return Effect.fail(new RangeLost({ ring: target.ring, from: 0, to: target.position }))
    return drain(source, target, cursorOf(release), this.#drainingOf(release), this.#trace)
  }

  #drainingOf({ mode, name, round }: Released): DrainingOf {
    return { round, name, mode, member: this.#mesh.self, side: "member" }
  }

  #undrained(release: Released, targets: ReadonlyArray<DrainTarget>): BarrierTimedOut {
    const undrained = targets.filter(({ position, ring }) =>
      (this.#mesh.source(ring)?.position(cursorOf(release)) ?? 0) < position
    )
    return new BarrierTimedOut({ name: release.name, absent: [], undrained, undecided: false })
  }
}

// What a processing fence waits for is over when it is released: the members look, and find out what was lost.
const cursorOf = ({ mode }: Released): Cursor => mode === "processingFence" ? "handled" : "delivered"

const isExempt = ({ exempt }: Released, self: MemberId, ring: number): boolean =>
  exempt.some((exemption) => exemption.ring === ring && isSame(exemption.member, self))

const resultOf = (
  { departed, exempt, mode, round, targets, withdrawn }: Released,
  drained: ReadonlyArray<Drained>
): BarrierResult => {
  const release = { round, mode, targets, exempt, drained }
  return departed.length + withdrawn.length === 0
    ? { _tag: "Satisfied", ...release }
    : { _tag: "Degraded", ...release, departed, withdrawn }
}
