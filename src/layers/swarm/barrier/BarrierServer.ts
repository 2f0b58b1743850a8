/**
 * The coordinator's side of the barriers: checks each arrival, and finds or opens its round.
 *
 * A round is one use of a barrier by the members that are in its group when it is opened. Other fibers of a member that
 * enter before the release join the member's arrival; later fibers are in the next round.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Result from "effect/Result"
import { ArrivalRefused, ModeMismatch } from "../../../services/Barrier.ts"
import type { BarrierArrival } from "../../../services/schema/BarrierArrival.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import { isSame, type MemberId } from "../../../services/schema/Member.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { OutcomeOf, PayloadOf } from "../control/ControlCodec.ts"
import { RoundOver } from "../control/CoordinatorProtocol.ts"
import type { Membership } from "../control/Membership.ts"
import type { NoticeWriter } from "../control/NoticeWriter.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import type { Mesh } from "../transport/Mesh.ts"
import { Round, type RoundParts, runRound } from "./BarrierRound.ts"
import { Drain } from "./Drain.ts"

/** Barrier names with this prefix are reserved for the swarm itself. */
export const reservedPrefix = "ringfence/"

/** Why a target is impossible. */
type Wrong = Pick<ArrivalRefused, "reason" | "detail">

export interface BarrierServerParts {
  readonly membership: Membership
  readonly mesh: Mesh
  readonly ring: RingPorts["Service"]
  readonly resolved: ResolvedOptions
  readonly notices: NoticeWriter
  /** The coordinator's term. */
  readonly term: number
  /** Slots of members that are about to leave: new rounds do not expect them. */
  readonly leaving: ReadonlySet<number>
  /** Reads that member's pending requests. */
  readonly hear: (member: MemberId) => void
}

export class BarrierServer {
  readonly #membership: Membership
  readonly #mesh: Mesh
  readonly #leaving: ReadonlySet<number>
  readonly #round: RoundParts
  /** Runs the round in a fiber of this server. */
  readonly #fork: (running: Effect.Effect<void>) => void
  readonly #open = new Set<Round>()
  /** Rounds that have changed since their fibers last ran. */
  readonly #fresh = new Set<Round>()
  #rounds = 0

  private constructor(
    { hear, leaving, membership, mesh, notices, ring, resolved, term }: BarrierServerParts,
    fork: (running: Effect.Effect<void>) => void
  ) {
    this.#membership = membership
    this.#mesh = mesh
    this.#leaving = leaving
    const drain = new Drain({ mesh, ring, trace: resolved.trace })
    this.#round = { drain, notices, self: mesh.self, term, drains: resolved.drain === "on", hear }
    this.#fork = fork
  }

  /** The scope owns the fibers of all rounds. */
  static readonly make = Effect.fnUntraced(function*(parts: BarrierServerParts) {
    const fork = yield* FiberSet.makeRuntime<never, void>()
    return new BarrierServer(parts, (running) => void fork(running))
  })

  /**
   * Counts an arrival. The release is the answer, unless the arrival is refused or amends an unknown one: `RoundOver`
   * tells its fiber to arrive anew. No round completes before `completeRounds`.
   */
  arrive(member: MemberId, arrival: BarrierArrival): OutcomeOf<"Arrive"> | "later" {
    const refused = this.#refusal(member, arrival)
    if (refused !== undefined) return Result.fail(refused)
    const joined = this.#roundWith(member, arrival.attempt)
    // The amendment is too late for its round.
    if (joined === undefined && arrival.amendment > 0) return Result.fail(new RoundOver())
    const round = joined ?? this.#roundFor(member, arrival)
    if (round.mode !== arrival.mode) {
      return Result.fail(new ModeMismatch({ barrier: arrival.name, asked: arrival.mode, round: round.mode }))
    }
    round.arrive(member, arrival)
    this.#fresh.add(round)
    return "later"
  }

  /**
   * Lets changed rounds complete. Call it only after all pending requests of a member: a coordinator that was stopped
   * finds arrivals with their withdrawals right after them, and these must complete no round.
   */
  completeRounds(): void {
    if (this.#fresh.size === 0) return
    const fresh = [...this.#fresh]
    this.#fresh.clear()
    for (const round of fresh) round.advance()
  }

  /**
   * Withdraws an arrival, or, when other fibers of its process `stay`, only returns the absent members. Fails with
   * `RoundOver` when the release has been sent already.
   */
  withdraw(member: MemberId, { attempt, stay }: PayloadOf<"Withdraw">): OutcomeOf<"Withdraw"> {
    const round = this.#roundWith(member, attempt)
    if (round === undefined) return Result.fail(new RoundOver())
    const { absent } = round
    if (stay) return Result.succeed({ absent })
    round.withdraw(member)
    round.advance()
    return Result.succeed({ absent })
  }

  /** Stops waiting for the member in all rounds. The targets of its arrivals stay. */
  depart(member: MemberId): void {
    for (const round of this.#expecting(member)) {
      round.depart(member)
      round.advance()
    }
  }

  /** Stops waiting for the member in rounds of that group, except where it has arrived. */
  leave(member: MemberId, group: string): void {
    for (const round of this.#expecting(member)) {
      if (round.group !== group || round.hasArrived(member)) continue
      round.depart(member)
      round.advance()
    }
  }

  // --- internal ---

  #expecting(member: MemberId): ReadonlyArray<Round> {
    return [...this.#open].filter((round) => round.phase !== "over" && round.expects(member))
  }

  #roundWith(member: MemberId, attempt: number): Round | undefined {
    for (const round of this.#open) if (round.phase !== "over" && round.has(member, attempt)) return round
    return undefined
  }

  #roundFor(member: MemberId, { group, mode, name }: BarrierArrival): Round {
    for (const round of this.#open) {
      if (round.name !== name || round.group !== group || round.phase !== "rendezvous") continue
      if (round.expects(member)) return round
    }
    this.#rounds += 1
    const members = this.#membership.group(group).map(({ id }) => id).filter(({ slot }) => !this.#leaving.has(slot))
    const round = new Round({ id: this.#rounds, name, group, mode }, members)
    this.#open.add(round)
    this.#fork(Effect.ensuring(runRound(round, this.#round), Effect.sync(() => void this.#open.delete(round))))
    return round
  }

  #refusal(member: MemberId, { drainTargets, group, name }: BarrierArrival): ArrivalRefused | undefined {
    const refused = (reason: ArrivalRefused["reason"], detail: string) =>
      new ArrivalRefused({ barrier: name, reason, detail })
    if (name === "") return refused("empty", "a barrier has a name")
    if (name.startsWith(reservedPrefix)) {
      return refused("reserved", `names that begin with "${reservedPrefix}" are reserved`)
    }
    if (!this.#membership.group(group).some(({ id }) => isSame(id, member))) {
      return refused("notInGroup", `the member is not in group "${group}"`)
    }
    for (const target of drainTargets) {
      const wrong = this.#wrongTarget(member, target)
      if (wrong !== undefined) return refused(wrong.reason, wrong.detail)
    }
    return undefined
  }

  #wrongTarget(member: MemberId, { generation, position, ring }: DrainTarget): Wrong | undefined {
    const source = this.#mesh.source(ring)
    if (source === undefined || this.#mesh.ringOf(member.slot) !== ring) {
      return { reason: "impossible", detail: `the member does not write ring ${ring}` }
    }
    // Accept an earlier generation: the slot's next member may write the ring before a dead member's arrival is read.
    // Positions continue from writer to writer, so the dead member's messages still lie below its target.
    const now = source.port.generation()
    if (generation < 1 || generation > now) {
      return { reason: "generation", detail: `the ring is in generation ${now}, not ${generation}` }
    }
    // Of a ring that is no longer read, the published position is unknown; its round fails with the loss instead.
    if (source.lost !== undefined) return undefined
    const leading = source.port.leading()
    if (position >= 0 && position <= leading) return undefined
    return { reason: "impossible", detail: `position ${position} is beyond the ring's end at ${leading}` }
  }
}
