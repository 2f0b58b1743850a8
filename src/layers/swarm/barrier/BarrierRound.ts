/**
 * One round of a barrier, as the coordinator runs it: a two-phase completion.
 *
 * Phase one is the rendezvous: every expected member arrives, and its arrival carries a drain target. Phase two is the
 * drain: one child fiber for each target waits until it is reached. Then the round is released, to all members at once.
 *
 * `Round` is the state; the coordinator changes it while it reads its members' requests and notes their deaths.
 * `runRound` decides, in the fiber of the round.
 */
import * as Effect from "effect/Effect"
import { RangeLost } from "../../../services/Barrier.ts"
import type { BarrierArrival, BarrierMode, Exemption } from "../../../services/schema/BarrierArrival.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import { isSame, type MemberId } from "../../../services/schema/Member.ts"
import type { Broken, Released } from "../control/CoordinatorProtocol.ts"
import type { NoticeWriter } from "../control/NoticeWriter.ts"
import type { Drain } from "./Drain.ts"

export interface RoundParts {
  readonly drain: Drain
  readonly notices: NoticeWriter
  /** The coordinating member. */
  readonly self: MemberId
  readonly term: number
  /** False when draining is switched off: every round is then a plain rendezvous. */
  readonly drains: boolean
  /** Reads that member's pending requests. */
  readonly hear: (member: MemberId) => void
}

/**
 * Runs a round to its end. The coordinator owns its fiber, so the coordinator's end ends the round without a release.
 */
export const runRound = Effect.fnUntraced(function*(round: Round, parts: RoundParts) {
  // Phase one, the rendezvous: all expected members arrive. From then on no other arrival joins this round.
  yield* round.until(() => round.isComplete || round.isDeserted)
  round.phase = "drain"
  while (!round.isDeserted) {
    const { changes } = round
    const targets = parts.drains ? round.targets : []
    // Phase two, the drain. If all targets are reached already, `Drain` starts no fiber.
    const outcome = yield* drained(round, targets, parts)
    if (outcome instanceof RangeLost) {
      yield* hearFirst(outcome, parts)
      if (round.changes === changes) return announce(round, round.broken(outcome, parts.self), parts)
    }
    // Release only if nothing changed meanwhile: no departure, no withdrawal, no amendment. The check and the release
    // are one step, so that a granted withdrawal is never released.
    if (outcome === "reached" && round.changes === changes) {
      return announce(round, round.released(targets, parts), parts)
    }
  }
})

/**
 * Phase two: one child fiber for each target. They end together: when all targets are reached, when one never can be,
 * or when the round changes. Then phase two begins again with the remaining targets and readers.
 */
const drained = (
  round: Round,
  targets: ReadonlyArray<DrainTarget>,
  { drain, self, term }: RoundParts
): Effect.Effect<"reached" | "changed" | RangeLost> => {
  const of = { term, round: round.id, name: round.name, mode: round.mode, side: "coordinator" } as const
  const changed = Effect.as(round.changedSince(round.changes), "changed" as const)
  const reached = round.mode === "processingFence"
    ? drain.everywhere(of, targets, ({ ring }) => round.readersOf(ring), changed)
    : drain.here(of, targets.filter(({ ring }) => !round.isExempt(self, ring)), "delivered", changed)
  return Effect.match(reached, {
    onFailure: (lost) => lost,
    onSuccess: (outcome) => outcome === "changed" ? outcome : "reached"
  })
}

// A member that no longer reads may have left: it asks to leave before it closes its readers, and closes them even if no
// answer comes in time. Its request counts before the loss does. Yield first: the coordinator may be in the middle of the
// same member's requests.
const hearFirst = ({ member }: RangeLost, { hear }: RoundParts): Effect.Effect<void> =>
  member === undefined ? Effect.void : Effect.andThen(Effect.yieldNow, Effect.sync(() => hear(member)))

const announce = (round: Round, notice: Released | Broken, { notices }: RoundParts): void => {
  round.phase = "over"
  notices.toAll(notice)
}

interface Arrived {
  readonly member: MemberId
  arrival: BarrierArrival
}

interface Awaited {
  readonly isSo: () => boolean
  readonly goOn: () => void
}

export interface RoundOf {
  readonly id: number
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
}

/** The coordinator's state of a round. */
export class Round {
  readonly id: number
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
  phase: "rendezvous" | "drain" | "over" = "rendezvous"
  /** Counts changes, so that the round's fiber notices those that occur while it is about to release. */
  changes = 0
  /** The condition that the round's fiber waits for. */
  #awaited: Awaited | undefined
  /** The expected members, by slot. */
  readonly #expected: Map<number, MemberId>
  readonly #arrived = new Map<number, Arrived>()
  /** Arrivals of members that have gone since, whose targets are still drained. */
  readonly #kept: Array<BarrierArrival> = []
  readonly #departed: Array<MemberId> = []
  readonly #withdrawn: Array<MemberId> = []

  constructor({ group, id, mode, name }: RoundOf, expected: ReadonlyArray<MemberId>) {
    this.id = id
    this.name = name
    this.group = group
    this.mode = mode
    this.#expected = new Map(expected.map((member) => [member.slot, member]))
  }

  // --- read by the round's fiber ---

  /** Returns at the first `advance` at which `isSo` holds. */
  until(isSo: () => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.#awaited = { isSo, goOn: () => resume(Effect.void) }
    })
  }

  /**
   * Returns once `changes` has increased. A call of `advance` alone is no change: the coordinator may call it several
   * times for one.
   */
  changedSince(changes: number): Effect.Effect<void> {
    return Effect.suspend(() => this.changes === changes ? this.until(() => this.changes !== changes) : Effect.void)
  }

  get isComplete(): boolean {
    for (const slot of this.#expected.keys()) if (!this.#arrived.has(slot)) return false
    return true
  }

  /**
   * True when no member waits for the release. A round in which only dead members have arrived continues while others
   * are expected: the dead members' messages are targets for these.
   */
  get isDeserted(): boolean {
    if (this.#arrived.size > 0) return false
    return this.phase !== "rendezvous" || this.#kept.length === 0 || this.#expected.size === 0
  }

  /** The targets to drain: of several in one ring only the furthest. */
  get targets(): ReadonlyArray<DrainTarget> {
    if (this.mode === "rendezvous") return []
    const arrivals = [...this.#kept, ...Array.from(this.#arrived.values(), ({ arrival }) => arrival)]
    const byRing = new Map<number, DrainTarget>()
    for (const target of arrivals.flatMap(({ drainTargets }) => drainTargets)) {
      const known = byRing.get(target.ring)
      if (known === undefined || target.position > known.position) byRing.set(target.ring, target)
    }
    return [...byRing.values()]
  }

  /** The members whose handlers a processing fence waits for. */
  readersOf(ring: number): ReadonlyArray<MemberId> {
    return [...this.#expected.values()].filter((member) => !this.isExempt(member, ring))
  }

  isExempt(member: MemberId, ring: number): boolean {
    return this.#arrived.get(member.slot)?.arrival.exempt.includes(ring) ?? false
  }

  /** The release. It lists each arrived member with its last counted amendment. */
  released(targets: ReadonlyArray<DrainTarget>, { drains, term }: RoundParts): Released {
    const { group, id, mode, name } = this
    const arrived = [...this.#arrived.values()]
    return {
      _tag: "Released",
      term,
      round: id,
      name,
      group,
      mode,
      arrivals: arrived.map(({ arrival: { amendment, attempt }, member }) => ({ member, attempt, amendment })),
      departed: this.#departed,
      withdrawn: this.#withdrawn,
      targets,
      exempt: arrived.flatMap(({ arrival, member }): ReadonlyArray<Exemption> =>
        arrival.exempt.map((ring) => ({ member, ring }))
      ),
      drain: drains
    }
  }

  /** The notice of a lost range. The coordinator lost it, unless the loss names another member. */
  broken({ from, member, ring, to }: RangeLost, coordinator: MemberId): Broken {
    const { group, name } = this
    const arrivals = [...this.#arrived.values()].map(({ arrival: { attempt }, member }) => ({ member, attempt }))
    return { _tag: "Broken", name, group, arrivals, member: member ?? coordinator, ring, from, to }
  }

  // --- changed by the coordinator ---

  expects(member: MemberId): boolean {
    const expected = this.#expected.get(member.slot)
    return expected !== undefined && isSame(expected, member)
  }

  /** True when this round has counted that arrival of the member. */
  has(member: MemberId, attempt: number): boolean {
    const arrived = this.#arrived.get(member.slot)
    return arrived !== undefined && isSame(arrived.member, member) && arrived.arrival.attempt === attempt
  }

  hasArrived(member: MemberId): boolean {
    return this.#arrived.has(member.slot)
  }

  /** Counts a member's arrival, or another fiber's amendment of it. */
  arrive(member: MemberId, arrival: BarrierArrival): void {
    this.#arrived.set(member.slot, { member, arrival })
    this.changes += 1
  }

  /** Withdraws an arrival. If the round drains already, its target stays. */
  withdraw(member: MemberId): void {
    const arrived = this.#arrived.get(member.slot)
    this.#arrived.delete(member.slot)
    this.changes += 1
    if (this.phase !== "drain") return
    this.#expected.delete(member.slot)
    this.#withdrawn.push(member)
    if (arrived !== undefined) this.#kept.push(arrived.arrival)
  }

  /** Stops waiting for the member. The target of its arrival stays. */
  depart(member: MemberId): void {
    const arrived = this.#arrived.get(member.slot)
    if (arrived !== undefined) this.#kept.push(arrived.arrival)
    this.#expected.delete(member.slot)
    this.#arrived.delete(member.slot)
    this.#departed.push(member)
    this.changes += 1
  }

  /** The expected members that have not arrived. */
  get absent(): ReadonlyArray<MemberId> {
    return [...this.#expected.values()].filter(({ slot }) => !this.#arrived.has(slot))
  }

  /** Lets the round's fiber check what has changed. The fiber runs within this call until it waits again. */
  advance(): void {
    const awaited = this.#awaited
    if (awaited?.isSo() !== true) return
    this.#awaited = undefined
    awaited.goOn()
  }
}
