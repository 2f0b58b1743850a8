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
import { CoordinatorLost, isSame, type MemberId, ShuttingDown } from "../../services/Member.ts"
import type { RingTarget } from "../../services/Ring.ts"
import type { ControlLink } from "./ControlLink.ts"
import type { Answer, Notice, Released, Request } from "./ControlMessages.ts"
import { CurrentDeliveries } from "./Delivery.ts"
import { drain, type DrainingOf } from "./Draining.ts"
import type { Mesh } from "./Mesh.ts"
import type { Cursor } from "./MessageSource.ts"
import type { Settled } from "./Options.ts"
import { allMembers } from "./Roster.ts"

type Outcome =
  | { readonly _tag: "Released"; readonly release: Released }
  /** The release came, and this fiber was too late for it. */
  | { readonly _tag: "Missed" }
  | { readonly _tag: "Expired" }

/** A fiber in an arrival. */
interface Waiting {
  readonly untilMillis: number
  /** Another one once the deadline has passed: what the coordinator says then is still awaited. */
  outcome: Deferred.Deferred<Outcome, BarrierError>
  /** Which of the arrival's amendments is its own, once it is written. */
  amendment: number
  /** Its deadline has passed: it stays only until the coordinator has decided. */
  leaving: boolean
}

/** One arrival of this process, with the fibers that wait in it. */
interface Arrived {
  readonly attempt: number
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
  readonly waiting: Set<Waiting>
  readonly exempt: Set<number>
  /** Who sent what may be refused, by the numbers of the requests. */
  readonly requests: Map<number, Waiting>
  amendments: number
  /** `withdrawing` is joined by nobody any more, and may yet be released. `ended` has its outcome. */
  state: "open" | "withdrawing" | "ended"
}

const defaultDeadline = "30 seconds"

/** How long a withdrawal may take before the coordinator counts as silent. */
const withdrawMillis = 1000

export class Arrivals {
  readonly #link: ControlLink
  readonly #mesh: Mesh
  readonly #settled: Settled
  /** By group and name: what the next fiber joins. */
  readonly #open = new Map<string, Arrived>()
  /** By attempt: what may yet be released. */
  readonly #arrived = new Map<number, Arrived>()
  #attempts = 0

  constructor(link: ControlLink, mesh: Mesh, settled: Settled) {
    this.#link = link
    this.#mesh = mesh
    this.#settled = settled
    link.onNotice((notice) => this.#take(notice))
    link.onLoss((reason) => this.#lose(reason))
  }

  enter(name: string, options: BarrierOptions = {}): Effect.Effect<BarrierResult, BarrierError> {
    return Effect.gen({ self: this }, function*() {
      const nowMillis = yield* Clock.currentTimeMillis
      const deadline = Duration.toMillis(Duration.fromInputUnsafe(options.deadline ?? defaultDeadline))
      const untilMillis = nowMillis + deadline
      const mode = options.mode ?? "deliveryFence"
      const exempt = (yield* CurrentDeliveries).filter(({ running }) => running).map(({ ring }) => ring)
      while (true) {
        const outcome = yield* this.#arrive(name, options.group ?? allMembers, mode, exempt, untilMillis)
        if (outcome._tag === "Released") return yield* this.#drain(outcome.release, untilMillis)
      }
    })
  }

  /** Looks after the deadlines: together, for a timer each would cost more than the arrival. */
  look(nowMillis: number): void {
    for (const { waiting } of this.#arrived.values()) {
      for (const one of waiting) if (!one.leaving && nowMillis >= one.untilMillis) expire(one)
    }
  }

  /** This member takes part no more. */
  close(): void {
    for (const arrived of this.#arrived.values()) this.#end(arrived, () => Effect.fail(new ShuttingDown()))
  }

  // --- arriving ---

  #arrive(
    name: string,
    group: string,
    mode: BarrierMode,
    exempt: ReadonlyArray<number>,
    untilMillis: number
  ): Effect.Effect<Outcome, BarrierError> {
    return Effect.acquireUseRelease(
      this.#join(name, group, mode, exempt, untilMillis),
      ({ arrived, waiting }) => Effect.andThen(this.#send(arrived, waiting), this.#outcome(arrived, waiting)),
      ({ arrived, waiting }) => this.#gone(arrived, waiting)
    )
  }

  #join(name: string, group: string, mode: BarrierMode, exempt: ReadonlyArray<number>, untilMillis: number) {
    return Effect.suspend(() => {
      const arrived = this.#open.get(keyOf(group, name)) ?? this.#begin(name, group, mode)
      if (arrived.mode !== mode) return Effect.fail(new ModeMismatch({ name, asked: mode, round: arrived.mode }))
      for (const ring of exempt) arrived.exempt.add(ring)
      const waiting: Waiting = { untilMillis, outcome: Deferred.makeUnsafe(), amendment: 0, leaving: false }
      arrived.waiting.add(waiting)
      return Effect.succeed({ arrived, waiting })
    })
  }

  #begin(name: string, group: string, mode: BarrierMode): Arrived {
    this.#attempts += 1
    const arrived: Arrived = {
      attempt: this.#attempts,
      name,
      group,
      mode,
      waiting: new Set(),
      exempt: new Set(),
      requests: new Map(),
      amendments: 0,
      state: "open"
    }
    this.#open.set(keyOf(group, name), arrived)
    this.#arrived.set(arrived.attempt, arrived)
    return arrived
  }

  // A coordinator that does not listen must not hold anybody beyond the deadline.
  #send(arrived: Arrived, waiting: Waiting): Effect.Effect<void, CoordinatorLost> {
    return Effect.flatMap(Clock.currentTimeMillis, (nowMillis) => {
      const duration = Math.max(0, waiting.untilMillis - nowMillis)
      const told = this.#link.tell((number) => this.#arrival(arrived, waiting, number, duration))
      return this.#link.listens ? told : Effect.timeoutOrElse(told, { duration, orElse: () => Effect.void })
    })
  }

  // The targets are taken as it is written: whatever this member has sent before it arrived lies below them.
  #arrival(arrived: Arrived, waiting: Waiting, number: number, deadlineMillis: number): Request {
    const { attempt, exempt, group, mode, name } = arrived
    waiting.amendment = arrived.amendments
    arrived.amendments += 1
    arrived.requests.set(number, waiting)
    return {
      _tag: "Arrive",
      arrival: {
        name,
        group,
        mode,
        epoch: this.#link.roster.epoch,
        attempt,
        amendment: waiting.amendment,
        deadlineMillis,
        drainTargets: mode === "rendezvous" ? [] : [this.#mesh.target()],
        exempt: [...exempt]
      }
    }
  }

  #outcome(arrived: Arrived, waiting: Waiting): Effect.Effect<Outcome, BarrierError> {
    return Effect.flatMap(
      Deferred.await(waiting.outcome),
      (outcome) => outcome._tag === "Expired" ? this.#withdraw(arrived, waiting) : Effect.succeed(outcome)
    )
  }

  // --- too late ---

  // The coordinator's answer alone decides, so that no two members ever see two outcomes of a round.
  #withdraw(arrived: Arrived, waiting: Waiting): Effect.Effect<Outcome, BarrierError> {
    return Effect.suspend(() => {
      const undecided = new BarrierTimedOut({ name: arrived.name, absent: [], undrained: [], undecided: true })
      if (arrived.requests.size === 0) return Effect.fail(undecided)
      return this.#takeBack(arrived).pipe(
        Effect.catchTag("CoordinatorLost", (lost) => Effect.fail(lost.reason === "silent" ? undecided : lost)),
        Effect.flatMap((answer) => {
          if (answer._tag === "Withdrawn") return Effect.fail(timedOut(arrived, answer.absent))
          // The release is out, and was taken in before this answer.
          return Deferred.isDoneUnsafe(waiting.outcome) ? Deferred.await(waiting.outcome) : Effect.fail(undecided)
        })
      )
    })
  }

  // The arrival stays as long as any of its fibers does.
  #takeBack(arrived: Arrived): Effect.Effect<Answer, CoordinatorLost> {
    const { attempt } = arrived
    const stay = [...arrived.waiting].some(({ leaving }) => !leaving)
    if (!stay) this.#close(arrived)
    return Effect.timeoutOrElse(this.#link.request({ _tag: "Withdraw", attempt, stay }), {
      duration: withdrawMillis,
      orElse: () => Effect.fail(new CoordinatorLost({ reason: "silent" }))
    })
  }

  #gone(arrived: Arrived, waiting: Waiting): Effect.Effect<void> {
    return Effect.suspend(() => {
      arrived.waiting.delete(waiting)
      const forgotten = arrived.state === "open" && ![...arrived.waiting].some(({ leaving }) => !leaving)
      const takenBack = forgotten && arrived.requests.size > 0 && this.#link.state === "up"
        ? Effect.ignore(this.#takeBack(arrived))
        : Effect.void
      if (forgotten) this.#close(arrived)
      return Effect.ensuring(
        takenBack,
        Effect.sync(() => {
          if (arrived.waiting.size === 0) this.#arrived.delete(arrived.attempt)
        })
      )
    })
  }

  /** Who comes from now on arrives anew. */
  #close(arrived: Arrived): void {
    if (arrived.state === "open") arrived.state = "withdrawing"
    const key = keyOf(arrived.group, arrived.name)
    if (this.#open.get(key) === arrived) this.#open.delete(key)
  }

  // --- what the coordinator says ---

  #take(notice: Notice): void {
    if (notice._tag === "Released") this.#released(notice)
    if (notice._tag === "Answered") this.#answered(notice.number, notice.answer)
    if (notice._tag === "Broken") {
      const { arrivals, from, ring, to } = notice
      this.#end(this.#mine(arrivals)?.arrived, () => Effect.fail(new RangeLost({ ring, from, to })))
    }
  }

  #released(release: Released): void {
    const mine = this.#mine(release.arrivals)
    this.#end(mine?.arrived, ({ amendment }) =>
      Effect.succeed<Outcome>(
        amendment <= (mine?.listed.amendment ?? 0) ? { _tag: "Released", release } : { _tag: "Missed" }
      ))
  }

  #mine<Listed extends { readonly member: MemberId; readonly attempt: number }>(arrivals: ReadonlyArray<Listed>) {
    const listed = arrivals.find(({ member }) => isSame(member, this.#mesh.self))
    const arrived = listed === undefined ? undefined : this.#arrived.get(listed.attempt)
    return listed === undefined || arrived === undefined ? undefined : { listed, arrived }
  }

  #answered(number: number, answer: Answer): void {
    if (answer._tag !== "Refused" && answer._tag !== "Mismatch" && answer._tag !== "Done") return
    for (const arrived of this.#arrived.values()) {
      const waiting = arrived.requests.get(number)
      if (waiting === undefined) continue
      // The coordinator does not know the arrival that was to be amended.
      if (answer._tag === "Done") this.#end(arrived, () => Effect.succeed<Outcome>({ _tag: "Missed" }))
      else Deferred.doneUnsafe(waiting.outcome, Effect.fail(refusalOf(arrived, answer)))
    }
  }

  // The name is free for the next round before anybody of this one goes on.
  #end(arrived: Arrived | undefined, outcome: (waiting: Waiting) => Effect.Effect<Outcome, BarrierError>): void {
    if (arrived === undefined || arrived.state === "ended") return
    this.#close(arrived)
    arrived.state = "ended"
    this.#arrived.delete(arrived.attempt)
    for (const waiting of arrived.waiting) Deferred.doneUnsafe(waiting.outcome, outcome(waiting))
  }

  #lose(reason: CoordinatorLost["reason"]): void {
    for (const arrived of this.#arrived.values()) {
      // One that was not sent yet is for whoever coordinates next.
      if (arrived.requests.size === 0) continue
      if (reason !== "silent") this.#end(arrived, () => Effect.fail(new CoordinatorLost({ reason })))
      // The coordinator lives and knows it: each fiber takes it back as it goes.
      else {for (const { outcome } of arrived.waiting) {
          Deferred.doneUnsafe(outcome, Effect.fail(new CoordinatorLost({ reason })))
        }}
    }
  }

  // --- draining ---

  #drain(release: Released, untilMillis: number): Effect.Effect<BarrierResult, BarrierError> {
    if (!release.drain) return Effect.succeed(resultOf(release, []))
    const targets = release.targets.filter(({ ring }) => !isExempt(release, this.#mesh.self, ring))
    const reached = (concurrency: 1 | "unbounded") =>
      Effect.forEach(targets, (target) => this.#reached(release, target), { concurrency })
    const cursor = cursorOf(release)
    const isThere = targets.every((target) => this.#mesh.source(target.ring)?.hasReached(target, cursor) ?? false)
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
    return drain(source, target, cursorOf(release), of, this.#settled.trace)
  }

  #undrained(release: Released, targets: ReadonlyArray<RingTarget>): BarrierTimedOut {
    const undrained = targets.filter(({ position, ring }) =>
      (this.#mesh.source(ring)?.position(cursorOf(release)) ?? 0) < position
    )
    return new BarrierTimedOut({ name: release.name, absent: [], undrained, undecided: false })
  }
}

const expire = (waiting: Waiting): void => {
  const { outcome } = waiting
  waiting.leaving = true
  waiting.outcome = Deferred.makeUnsafe()
  Deferred.doneUnsafe(outcome, Effect.succeed({ _tag: "Expired" }))
}

// What a processing fence waits for is over when it is released: the members look, and find out what was lost.
const cursorOf = ({ mode }: Released): Cursor => mode === "processingFence" ? "handled" : "delivered"

const keyOf = (group: string, name: string): string => JSON.stringify([group, name])

const timedOut = ({ name }: Arrived, absent: ReadonlyArray<MemberId>) =>
  new BarrierTimedOut({ name, absent, undrained: [], undecided: false })

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
