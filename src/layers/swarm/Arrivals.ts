/**
 * A member's side of the barriers: arrives, waits for the release, and then until its own readers have come as far as
 * the release says.
 *
 * Fibers that enter the same round merge into one arrival of their process. Who comes after the coordinator has
 * counted is told by the release, which names the last amendment it knew, and arrives anew.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import {
  ArrivalRefused,
  type BarrierError,
  type BarrierMode,
  type BarrierOptions,
  type BarrierResult,
  BarrierTimedOut,
  type Drained,
  ModeMismatch,
  RangeLost
} from "../../services/Barrier.ts"
import { CoordinatorLost, isSame, type MemberId } from "../../services/Member.ts"
import type { RingTarget } from "../../services/Ring.ts"
import type { ControlLink } from "./ControlLink.ts"
import type { Answer, Notice, Released } from "./ControlMessages.ts"
import { CurrentDeliveries } from "./Delivery.ts"
import { drain, type DrainingOf } from "./Draining.ts"
import type { Mesh } from "./Mesh.ts"
import type { Settled } from "./Options.ts"
import { allMembers } from "./Roster.ts"

type Outcome =
  | { readonly _tag: "Released"; readonly release: Released }
  /** The release came, and this fiber was too late for it. */
  | { readonly _tag: "Missed" }
  | { readonly _tag: "Expired" }

interface Waiting {
  readonly amendment: number
  readonly untilMillis: number
  /** Another one once the deadline has passed: what the coordinator says then is still awaited. */
  outcome: Deferred.Deferred<Outcome, BarrierError>
  isExpired: boolean
}

/** One arrival of this process, with the fibers that wait in it. */
interface Arrived {
  readonly attempt: number
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
  readonly waiting: Set<Waiting>
  readonly exempt: Set<number>
  amendment: number
  /** Numbers of the requests that may be refused. */
  readonly requests: Set<number>
}

const defaultDeadline = "30 seconds"

/** How long a withdrawal may take before the coordinator counts as silent. */
const withdrawMillis = 1000

export class Arrivals {
  readonly #link: ControlLink
  readonly #mesh: Mesh
  readonly #settled: Settled
  readonly #arrived = new Map<string, Arrived>()
  #attempts = 0

  constructor(link: ControlLink, mesh: Mesh, settled: Settled) {
    this.#link = link
    this.#mesh = mesh
    this.#settled = settled
    link.onNotice((notice) => this.#take(notice))
    link.onLoss((reason) => this.#lose(new CoordinatorLost({ reason })))
  }

  enter(name: string, options: BarrierOptions = {}): Effect.Effect<BarrierResult, BarrierError> {
    return Effect.gen({ self: this }, function*() {
      const nowMillis = yield* Clock.currentTimeMillis
      const deadline = Duration.toMillis(Duration.fromInputUnsafe(options.deadline ?? defaultDeadline))
      const until = nowMillis + deadline
      const mode = options.mode ?? "deliveryFence"
      const exempt = (yield* CurrentDeliveries).filter(({ running }) => running).map(({ ring }) => ring)
      while (true) {
        const released = yield* this.#arrive(name, options.group ?? allMembers, mode, exempt, until)
        if (released !== undefined) return yield* this.#drain(released, until)
      }
    })
  }

  /** Looks after the deadlines: together, for a timer each would cost more than the arrival. */
  look(nowMillis: number): void {
    for (const { waiting } of this.#arrived.values()) {
      for (const one of waiting) {
        if (!one.isExpired && nowMillis >= one.untilMillis) expire(one)
      }
    }
  }

  // --- arriving ---

  #arrive(name: string, group: string, mode: BarrierMode, exempt: ReadonlyArray<number>, untilMillis: number) {
    return Effect.gen({ self: this }, function*() {
      const arrived = yield* this.#joinOrBegin(name, group, mode)
      for (const ring of exempt) arrived.exempt.add(ring)
      const { amendment } = arrived
      const waiting: Waiting = { amendment, untilMillis, outcome: Deferred.makeUnsafe(), isExpired: false }
      arrived.waiting.add(waiting)
      const outcome = yield* this.#send(arrived, untilMillis).pipe(
        Effect.andThen(this.#awaitOutcome(arrived, waiting)),
        Effect.ensuring(Effect.sync(() => this.#gone(arrived, waiting))),
        Effect.onInterrupt(() => this.#abandon(arrived))
      )
      return outcome._tag === "Released" ? outcome.release : undefined
    })
  }

  #joinOrBegin(name: string, group: string, mode: BarrierMode): Effect.Effect<Arrived, ModeMismatch> {
    return Effect.suspend(() => {
      const key = keyOf(group, name)
      const present = this.#arrived.get(key)
      if (present === undefined) {
        const attempt = ++this.#attempts
        const fresh = { waiting: new Set<Waiting>(), exempt: new Set<number>(), requests: new Set<number>() }
        const arrived: Arrived = { attempt, name, group, mode, amendment: 0, ...fresh }
        this.#arrived.set(key, arrived)
        return Effect.succeed(arrived)
      }
      if (present.mode !== mode) return Effect.fail(new ModeMismatch({ name, asked: mode, round: present.mode }))
      present.amendment += 1
      return Effect.succeed(present)
    })
  }

  // The targets are taken here: whatever this member has sent before it arrived lies below them.
  #send({ amendment, attempt, exempt, group, mode, name, requests }: Arrived, untilMillis: number) {
    return Effect.flatMap(Clock.currentTimeMillis, (nowMillis) =>
      this.#link.tell({
        _tag: "Arrive",
        arrival: {
          name,
          group,
          mode,
          epoch: this.#link.roster.epoch,
          attempt,
          amendment,
          deadlineMillis: Math.max(0, untilMillis - nowMillis),
          drainTargets: mode === "rendezvous" ? [] : [this.#mesh.target()],
          exempt: [...exempt]
        }
      })).pipe(Effect.map((number) => void requests.add(number)))
  }

  #awaitOutcome(arrived: Arrived, waiting: Waiting): Effect.Effect<Outcome, BarrierError> {
    return Effect.flatMap(
      Deferred.await(waiting.outcome),
      (outcome) => outcome._tag === "Expired" ? this.#withdraw(arrived, waiting) : Effect.succeed(outcome)
    )
  }

  // --- too late ---

  // The coordinator's answer alone decides, so that no two members ever see two outcomes of a round.
  #withdraw(arrived: Arrived, waiting: Waiting): Effect.Effect<Outcome, BarrierError> {
    const { attempt, name } = arrived
    const stay = arrived.waiting.size > 1
    const answer = this.#link.request({ _tag: "Withdraw", attempt, stay }).pipe(
      Effect.timeoutOrElse({
        duration: withdrawMillis,
        orElse: () => Effect.fail(new CoordinatorLost({ reason: "silent" }))
      }),
      Effect.catchTag(
        "CoordinatorLost",
        (lost): Effect.Effect<Answer, BarrierTimedOut | CoordinatorLost> =>
          lost.reason === "silent"
            ? Effect.fail(new BarrierTimedOut({ name, absent: [], undrained: [], undecided: true }))
            : Effect.fail(lost)
      )
    )
    return Effect.flatMap(answer, (answer) =>
      answer._tag === "Withdrawn"
        ? Effect.fail(new BarrierTimedOut({ name, absent: answer.absent, undrained: [], undecided: false }))
        : Deferred.await(waiting.outcome))
  }

  #abandon(arrived: Arrived): Effect.Effect<void> {
    if (arrived.waiting.size > 0) return Effect.void
    return Effect.ignore(this.#link.tell({ _tag: "Withdraw", attempt: arrived.attempt, stay: false }))
  }

  #gone(arrived: Arrived, waiting: Waiting): void {
    arrived.waiting.delete(waiting)
    const key = keyOf(arrived.group, arrived.name)
    if (arrived.waiting.size === 0 && this.#arrived.get(key) === arrived) this.#arrived.delete(key)
  }

  // --- what the coordinator says ---

  #take(notice: Notice): void {
    if (notice._tag === "Released") this.#released(notice)
    if (notice._tag === "Answered") this.#answered(notice.number, notice.answer)
    if (notice._tag === "Broken") {
      const mine = notice.arrivals.find(({ member }) => isSame(member, this.#mesh.self))
      if (mine === undefined) return
      const { from, ring, to } = notice
      this.#end(this.#find(notice, mine.attempt), () => Effect.fail(new RangeLost({ ring, from, to })))
    }
  }

  #released(release: Released): void {
    const mine = release.arrivals.find(({ member }) => isSame(member, this.#mesh.self))
    if (mine === undefined) return
    this.#end(
      this.#find(release, mine.attempt),
      ({ amendment }) =>
        Effect.succeed<Outcome>(amendment <= mine.amendment ? { _tag: "Released", release } : { _tag: "Missed" })
    )
  }

  #answered(number: number, answer: Answer): void {
    if (answer._tag !== "Refused" && answer._tag !== "Mismatch") return
    for (const arrived of this.#arrived.values()) {
      if (arrived.requests.has(number)) this.#end(arrived, () => Effect.fail(refusalOf(arrived, answer)))
    }
  }

  #find({ group, name }: { readonly group: string; readonly name: string }, attempt: number): Arrived | undefined {
    const arrived = this.#arrived.get(keyOf(group, name))
    return arrived?.attempt === attempt ? arrived : undefined
  }

  // The name is free for the next round before anybody of this one goes on.
  #end(arrived: Arrived | undefined, outcome: (waiting: Waiting) => Effect.Effect<Outcome, BarrierError>): void {
    if (arrived === undefined) return
    this.#arrived.delete(keyOf(arrived.group, arrived.name))
    for (const waiting of arrived.waiting) Deferred.doneUnsafe(waiting.outcome, outcome(waiting))
  }

  #lose(lost: CoordinatorLost): void {
    // One that was not sent yet is for whoever coordinates next, and so is one that is made by those who go on here.
    const sent = Array.from(this.#arrived.values()).filter(({ requests }) => requests.size > 0)
    for (const arrived of sent) this.#end(arrived, () => Effect.fail(lost))
  }

  // --- draining ---

  #drain(release: Released, untilMillis: number): Effect.Effect<BarrierResult, BarrierError> {
    const targets = release.targets.filter(({ ring }) => !isExempt(release, this.#mesh.self, ring))
    const isWaiting = release.drain && release.mode === "deliveryFence"
    if (!isWaiting) return Effect.succeed(resultOf(release, []))
    const reached = (concurrency: 1 | "unbounded") =>
      Effect.forEach(targets, (target) => this.#reached(release, target), { concurrency })
    const isThere = targets.every((target) => this.#mesh.source(target.ring)?.hasReached(target, "delivered") ?? false)
    // What is there already is not late, however late the release came.
    const drained = isThere ?
      reached(1) :
      Effect.flatMap(Clock.currentTimeMillis, (nowMillis) =>
        Effect.timeoutOrElse(reached("unbounded"), {
          duration: Math.max(1, untilMillis - nowMillis),
          orElse: () => Effect.fail(this.#undrained(release, targets))
        }))
    return Effect.map(drained, (drained) => resultOf(release, drained))
  }

  #reached(release: Released, target: RingTarget): Effect.Effect<Drained, RangeLost> {
    const { mode, name, round } = release
    const of: DrainingOf = { round, name, mode, member: this.#mesh.self, side: "member" }
    const source = this.#mesh.source(target.ring)
    if (source === undefined) return Effect.fail(new RangeLost({ ring: target.ring, from: 0, to: target.position }))
    return drain(source, target, "delivered", of, this.#settled.trace)
  }

  #undrained({ name }: Released, targets: ReadonlyArray<RingTarget>): BarrierTimedOut {
    const undrained = targets.filter(({ position, ring }) =>
      (this.#mesh.source(ring)?.position("delivered") ?? 0) < position
    )
    return new BarrierTimedOut({ name, absent: [], undrained, undecided: false })
  }
}

const expire = (waiting: Waiting): void => {
  const { outcome } = waiting
  waiting.isExpired = true
  waiting.outcome = Deferred.makeUnsafe()
  Deferred.doneUnsafe(outcome, Effect.succeed({ _tag: "Expired" }))
}

const keyOf = (group: string, name: string): string => `${group}\n${name}`

const isExempt = ({ exempt }: Released, self: MemberId, ring: number): boolean =>
  exempt.some((exemption) => exemption.ring === ring && isSame(exemption.member, self))

const reasons = ["reserved", "empty", "notInGroup", "malformed", "generation", "impossible"] as const

const refusalOf = ({ name }: Arrived, answer: Extract<Answer, { readonly _tag: "Refused" | "Mismatch" }>) => {
  if (answer._tag === "Mismatch") return new ModeMismatch({ name, asked: answer.asked, round: answer.round })
  const reason = reasons.find((known) => known === answer.reason) ?? "malformed"
  return new ArrivalRefused({ name, reason, detail: answer.detail })
}

const resultOf = (
  { departed, exempt, mode, round, targets, withdrawn }: Released,
  drained: ReadonlyArray<Drained>
): BarrierResult => {
  const release = { round, mode, targets, exempt, drained }
  return departed.length + withdrawn.length === 0
    ? { _tag: "Satisfied", ...release }
    : { _tag: "Degraded", ...release, departed, withdrawn }
}
