/**
 * The rounds of all barriers, as the coordinator keeps them.
 *
 * A round is one use of a barrier: the members that were in its group when it was opened, those who arrived, and, once
 * all have, the draining of what they had sent. Whoever comes again before the release joins its own arrival; whoever
 * comes later is in the next round.
 */
import * as Effect from "effect/Effect"
import type { RangeLost } from "../../../services/Barrier.ts"
import type { BarrierArrival, BarrierMode, Exemption } from "../../../services/schema/BarrierArrival.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import { isSame, type MemberId } from "../../../services/schema/Member.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { Answer, Notice } from "../control/CoordinatorProtocol.ts"
import type { Membership } from "../control/Membership.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import type { Mesh } from "../transport/Mesh.ts"
import { drain, drainEverywhere, type DrainingOf, furthest, leastHandled } from "./Drain.ts"

/** Names that begin so belong to the system. */
export const reservedPrefix = "ringfence/"

interface Arrived {
  readonly member: MemberId
  arrival: BarrierArrival
}

interface Round {
  readonly id: number
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
  /** Who has to come, by slot. */
  readonly expected: Map<number, MemberId>
  readonly arrived: Map<number, Arrived>
  /** What the dead and the departed had sent before they arrived is still drained. */
  readonly kept: Array<BarrierArrival>
  readonly departed: Array<MemberId>
  readonly withdrawn: Array<MemberId>
  draining: boolean
  hasFiber: boolean
}

// One in which only the dead have arrived stays: what they had sent is a target for those who are still to come.
const isOver = ({ arrived, draining, expected, kept }: Round): boolean =>
  arrived.size === 0 && (draining || kept.length === 0 || expected.size === 0)

export interface BarrierServerHost {
  readonly membership: Membership
  readonly mesh: Mesh
  readonly ring: RingPorts["Service"]
  readonly settled: ResolvedOptions
  readonly notify: (notice: Notice) => void
  /** Runs a round's draining in a fiber of its own, until it ends or is stopped. */
  readonly start: (round: number, draining: Effect.Effect<void>) => void
  readonly stop: (round: number) => void
  /** A member that is about to leave takes part in no round. */
  readonly isLeaving: (member: MemberId) => boolean
}

export class BarrierServer {
  readonly #host: BarrierServerHost
  readonly #open = new Set<Round>()
  /** What came for them was not looked at yet. */
  readonly #fresh = new Set<Round>()
  #rounds = 0

  constructor(host: BarrierServerHost) {
    this.#host = host
  }

  /**
   * Takes an arrival in. The release is the answer, unless it is refused, or amends one that is not known: `Done` tells
   * its fiber to arrive anew. It completes no round before `completeRounds`.
   */
  arrive(member: MemberId, arrival: BarrierArrival): Answer | undefined {
    const refused = this.#refusal(member, arrival)
    if (refused !== undefined) return refused
    const amended = this.#arrivalOf(member, arrival.attempt)
    if (amended !== undefined) {
      amended.arrived.arrival = arrival
      if (amended.round.draining) this.#fresh.add(amended.round)
      return undefined
    }
    // Too late for the round it was meant for.
    if (arrival.amendment > 0) return { _tag: "Done" }
    const round = this.#roundFor(member, arrival)
    if (round.mode !== arrival.mode) return { _tag: "Mismatch", asked: arrival.mode, round: round.mode }
    round.arrived.set(member.slot, { member, arrival })
    this.#fresh.add(round)
    return undefined
  }

  /**
   * All that a member has said up to now was taken in. A coordinator that was stopped finds arrivals with their
   * withdrawals right behind them: these must complete nothing.
   */
  completeRounds(): void {
    if (this.#fresh.size === 0) return
    const fresh = [...this.#fresh]
    this.#fresh.clear()
    for (const round of fresh) if (this.#open.has(round)) this.#lookAt(round)
  }

  /**
   * Takes an arrival back, or only says who is absent when others of that process `stay`. `Done` when it is too late:
   * the release is out already.
   */
  withdraw(member: MemberId, attempt: number, stay: boolean): Answer {
    const found = this.#arrivalOf(member, attempt)
    if (found === undefined) return { _tag: "Done" }
    const { arrived, round } = found
    const absent = [...round.expected.values()].filter(({ slot }) => !round.arrived.has(slot))
    if (stay) return { _tag: "Withdrawn", absent }
    round.arrived.delete(member.slot)
    if (round.draining) {
      round.expected.delete(member.slot)
      round.withdrawn.push(member)
      round.kept.push(arrived.arrival)
    }
    this.#lookAt(round)
    return { _tag: "Withdrawn", absent }
  }

  /** Nobody waits for that member any more. What it had sent before it arrived stays a target. */
  depart(member: MemberId): void {
    for (const round of this.#expecting(member)) {
      const arrived = round.arrived.get(member.slot)
      if (arrived !== undefined) round.kept.push(arrived.arrival)
      this.#without(round, member)
    }
  }

  /** It is in that group no more, and is not waited for there. Where it has arrived, it has. */
  leave(member: MemberId, group: string): void {
    for (const round of this.#expecting(member)) {
      if (round.group === group && !round.arrived.has(member.slot)) this.#without(round, member)
    }
  }

  // --- internal ---

  #expecting(member: MemberId): ReadonlyArray<Round> {
    return [...this.#open].filter(({ expected }) => {
      const known = expected.get(member.slot)
      return known !== undefined && isSame(known, member)
    })
  }

  #without(round: Round, member: MemberId): void {
    round.expected.delete(member.slot)
    round.arrived.delete(member.slot)
    round.departed.push(member)
    this.#lookAt(round)
  }

  #refusal(member: MemberId, { drainTargets, group, name }: BarrierArrival): Answer | undefined {
    const refused = (reason: string, detail: string): Answer => ({ _tag: "Refused", reason, detail })
    if (name === "") return refused("empty", "a barrier has a name")
    if (name.startsWith(reservedPrefix)) {
      return refused("reserved", `names that begin with "${reservedPrefix}" are reserved`)
    }
    if (!this.#host.membership.group(group).some(({ id }) => isSame(id, member))) {
      return refused("notInGroup", `the member is not in group "${group}"`)
    }
    for (const target of drainTargets) {
      const wrong = this.#wrongTarget(member, target)
      if (wrong !== undefined) return refused(wrong.reason, wrong.detail)
    }
    return undefined
  }

  #wrongTarget(member: MemberId, { generation, position, ring }: DrainTarget) {
    const source = this.#host.mesh.source(ring)
    if (source === undefined || this.#host.mesh.ringOf(member.slot) !== ring) {
      return { reason: "impossible", detail: `ring ${ring} is not one that the member writes` }
    }
    // The slot of a member that died may have its next one, which writes the ring by now, before its arrival is taken in.
    // Positions go on from writer to writer: what the dead had sent ahead of it still lies below its target.
    const now = source.port.generation()
    if (generation < 1 || generation > now) {
      return { reason: "generation", detail: `the ring is in generation ${now}, not ${generation}` }
    }
    // What was published is not known of a ring that is read no more: its round fails with what was lost.
    if (source.lost !== undefined) return undefined
    const leading = source.port.leading()
    if (position >= 0 && position <= leading) return undefined
    return { reason: "impossible", detail: `nothing was sent at ${position}: the ring is at ${leading}` }
  }

  #arrivalOf(member: MemberId, attempt: number): { readonly round: Round; readonly arrived: Arrived } | undefined {
    for (const round of this.#open) {
      const arrived = round.arrived.get(member.slot)
      if (arrived !== undefined && isSame(arrived.member, member) && arrived.arrival.attempt === attempt) {
        return { round, arrived }
      }
    }
    return undefined
  }

  #roundFor(member: MemberId, { group, mode, name }: BarrierArrival): Round {
    for (const round of this.#open) {
      if (round.name !== name || round.group !== group || round.draining) continue
      const expected = round.expected.get(member.slot)
      if (expected !== undefined && isSame(expected, member)) return round
    }
    const members = this.#host.membership.group(group).filter(({ id }) => !this.#host.isLeaving(id))
    const round: Round = {
      id: ++this.#rounds,
      name,
      group,
      mode,
      expected: new Map(members.map(({ id }) => [id.slot, id])),
      arrived: new Map(),
      kept: [],
      departed: [],
      withdrawn: [],
      draining: false,
      hasFiber: false
    }
    this.#open.add(round)
    return round
  }

  #lookAt(round: Round): void {
    if (isOver(round)) {
      this.#stop(round)
      this.#open.delete(round)
      return
    }
    if (!round.draining && [...round.expected.keys()].some((slot) => !round.arrived.has(slot))) return
    // A round that drains already begins again: whom it waits for has changed.
    round.draining = true
    const targets = this.#targetsOf(round)
    // Most rounds have nothing left to drain, and need no fiber to find out.
    const isTraced = this.#host.settled.trace !== undefined
    if (targets.length === 0 || (!isTraced && targets.every((target) => this.#isDrained(round, target)))) {
      this.#stop(round)
      return this.#release(round, targets)
    }
    // In a turn of its own: who is waited for may change in the moment in which the waiting begins, and whatever begins
    // again then has to find this one in its place.
    const draining = Effect.andThen(Effect.yieldNow, this.#drain(round, targets)).pipe(
      Effect.matchEffect({
        onFailure: (lost) => Effect.sync(() => this.#break(round, lost)),
        onSuccess: () => Effect.sync(() => this.#release(round, targets))
      })
    )
    round.hasFiber = true
    this.#host.start(round.id, draining)
  }

  #stop(round: Round): void {
    if (round.hasFiber) this.#host.stop(round.id)
  }

  #targetsOf(round: Round): ReadonlyArray<DrainTarget> {
    if (round.mode === "rendezvous" || this.#host.settled.drain === "off") return []
    const arrivals = [...round.kept, ...[...round.arrived.values()].map(({ arrival }) => arrival)]
    return furthest(arrivals.flatMap(({ drainTargets }) => drainTargets))
  }

  #exemptionsOf(round: Round): ReadonlyArray<Exemption> {
    return [...round.arrived.values()].flatMap(({ arrival, member }) =>
      arrival.exempt.map((ring) => ({ member, ring }))
    )
  }

  // One child fiber a target: a death, a departure or the end of the coordinator interrupts exactly these.
  #drain(round: Round, targets: ReadonlyArray<DrainTarget>): Effect.Effect<void, RangeLost> {
    const one = (target: DrainTarget) =>
      round.mode === "processingFence" ? this.#handledByAll(round, target) : this.#deliveredHere(round, target)
    return Effect.forEach(targets, one, { concurrency: "unbounded", discard: true })
  }

  #deliveredHere(round: Round, target: DrainTarget): Effect.Effect<void, RangeLost> {
    const { mesh, settled } = this.#host
    const source = mesh.source(target.ring)
    if (source === undefined || this.#isExempt(round, mesh.self, target.ring)) return Effect.void
    return Effect.asVoid(drain(source, target, "delivered", this.#drainingOf(round), settled.trace))
  }

  #handledByAll(round: Round, target: DrainTarget): Effect.Effect<void, RangeLost> {
    const { mesh, ring, settled } = this.#host
    const waitedFor = this.#waitedFor(round, target)
    return drainEverywhere(ring, mesh.source(target.ring), waitedFor, target, this.#drainingOf(round), settled.trace)
  }

  #isDrained(round: Round, target: DrainTarget): boolean {
    const { mesh, ring } = this.#host
    if (round.mode === "processingFence") {
      const { deaf, handled } = leastHandled(ring, this.#waitedFor(round, target), target)
      return deaf === undefined && handled >= target.position
    }
    const source = mesh.source(target.ring)
    if (source === undefined || this.#isExempt(round, mesh.self, target.ring)) return true
    return source.lost === undefined && source.hasReached(target, "delivered")
  }

  /** Whose handlers a processing fence waits for. */
  #waitedFor(round: Round, { ring }: DrainTarget): ReadonlyArray<MemberId> {
    return [...round.expected.values()].filter((member) => !this.#isExempt(round, member, ring))
  }

  #drainingOf({ id, mode, name }: Round): DrainingOf {
    return { round: id, name, mode, member: this.#host.mesh.self, side: "coordinator" }
  }

  #isExempt(round: Round, member: MemberId, ring: number): boolean {
    return round.arrived.get(member.slot)?.arrival.exempt.includes(ring) ?? false
  }

  #release(round: Round, targets: ReadonlyArray<DrainTarget>): void {
    // A draining that was begun again may have been through in the same turn.
    if (!this.#open.delete(round)) return
    const { departed, group, id, mode, name, withdrawn } = round
    const arrivals = [...round.arrived.values()].map(({ arrival: { amendment, attempt }, member }) => ({
      member,
      attempt,
      amendment
    }))
    this.#host.notify({
      _tag: "Released",
      round: id,
      name,
      group,
      mode,
      arrivals,
      departed,
      withdrawn,
      targets,
      exempt: this.#exemptionsOf(round),
      drain: this.#host.settled.drain === "on"
    })
  }

  #break(round: Round, { from, member = this.#host.mesh.self, ring, to }: RangeLost): void {
    if (!this.#open.delete(round)) return
    const { group, name } = round
    const arrivals = [...round.arrived.values()].map(({ arrival: { attempt }, member }) => ({ member, attempt }))
    this.#host.notify({ _tag: "Broken", name, group, arrivals, member, ring, from, to })
  }
}
