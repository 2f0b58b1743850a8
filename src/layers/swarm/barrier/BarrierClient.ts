/**
 * A member's side of the barriers: arrives, and waits for the release.
 *
 * Fibers that enter the same round merge into one arrival of their process. Who comes after the coordinator has
 * counted is told by the release, which names the last amendment it knew, and arrives anew.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import {
  ArrivalRefused,
  type BarrierError,
  type BarrierOptions,
  type BarrierResult,
  BarrierTimedOut,
  ModeMismatch,
  RangeLost
} from "../../../services/Barrier.ts"
import { waitMillis } from "../../../services/input/DurationInput.ts"
import type { BarrierMode } from "../../../services/schema/BarrierArrival.ts"
import { type CoordinatorLost, isSame, type MemberId, ShuttingDown } from "../../../services/schema/Member.ts"
import type { CoordinatorClient } from "../control/CoordinatorClient.ts"
import type { Answer, Notice, Released, Request } from "../control/CoordinatorProtocol.ts"
import { allMembers } from "../control/Membership.ts"
import { Pauses } from "../control/Pauses.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import { type Alarm, DeadlineTimer } from "../transport/DeadlineTimer.ts"
import { CurrentHandlers } from "../transport/HandlerContext.ts"
import type { Mesh } from "../transport/Mesh.ts"
import { Returns } from "./Returns.ts"

type Outcome =
  | { readonly _tag: "Released"; readonly release: Released }
  /** The release came, and this fiber was too late for it. */
  | { readonly _tag: "Missed" }
  | { readonly _tag: "Expired" }
  | { readonly _tag: "Failed"; readonly error: BarrierError }

/** What a fiber enters. */
interface Entering {
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
  /** Rings whose handlers it is in. */
  readonly exempt: ReadonlyArray<number>
  readonly untilMillis: number
}

/** A fiber in an arrival. */
interface Waiting {
  readonly untilMillis: number
  /** Lets it go on. Another one once the deadline has passed: what the coordinator says then is still awaited. */
  complete: (outcome: Outcome) => void
  /** Which of the arrival's amendments is its own: none before it is written. */
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

export interface BarrierClientParts {
  readonly link: CoordinatorClient
  readonly mesh: Mesh
  readonly settled: ResolvedOptions
  readonly clock: Clock.Clock
  readonly alarm: Alarm
}

export class BarrierClient {
  readonly #link: CoordinatorClient
  readonly #mesh: Mesh
  readonly #returns: Returns
  readonly #deadlines: DeadlineTimer
  /** By group and name: what the next fiber joins. */
  readonly #open = new Map<string, Arrived>()
  /** By attempt: what may yet be released. */
  readonly #arrived = new Map<number, Arrived>()
  readonly #refusals = new Pauses()
  #attempts = 0

  constructor({ alarm, clock, link, mesh, settled }: BarrierClientParts) {
    this.#link = link
    this.#mesh = mesh
    this.#returns = new Returns(mesh, clock, settled.trace)
    this.#deadlines = new DeadlineTimer(clock, alarm, (nowMillis) => this.#expire(nowMillis))
    link.onNotice((notice) => this.#take(notice))
    link.onLoss((reason) => this.#lose(reason))
  }

  enter(name: string, options: BarrierOptions = {}): Effect.Effect<BarrierResult, BarrierError> {
    return Effect.flatMap(
      waitMillis("deadline", options.deadline ?? defaultDeadline),
      (deadlineMillis) => this.#enterFor(deadlineMillis, name, options)
    )
  }

  #enterFor(
    deadlineMillis: number,
    name: string,
    { group = allMembers, mode = "deliveryFence" }: BarrierOptions
  ): Effect.Effect<BarrierResult, BarrierError> {
    return Effect.withFiber((fiber) => {
      const exempt = fiber.getRef(CurrentHandlers).filter(({ running }) => running).map(({ ring }) => ring)
      const untilMillis = this.#deadlines.nowMillis + deadlineMillis
      return Effect.catchTag(
        this.#arrive({ name, group, mode, exempt, untilMillis }),
        "RangeLost",
        (lost) => this.#refuse(lost, untilMillis)
      )
    })
  }

  /** Ends what is late by that time. */
  look(nowMillis: number): void {
    this.#deadlines.look(nowMillis)
  }

  /** This member takes part no more. */
  close(): void {
    for (const arrived of this.#arrived.values()) this.#end(arrived, () => failed(new ShuttingDown()))
  }

  // --- arriving ---

  // One step: nobody is interrupted between an arrival and the wait for its release.
  #arrive(entering: Entering): Effect.Effect<BarrierResult, BarrierError> {
    return Effect.callback((resume) => {
      const { mode, name, untilMillis } = entering
      const arrived = this.#open.get(keyOf(entering)) ?? this.#begin(entering)
      if (arrived.mode !== mode) {
        return resume(Effect.fail(new ModeMismatch({ name, asked: mode, round: arrived.mode })))
      }
      const waiting: Waiting = {
        untilMillis,
        complete: (outcome) => resume(this.#goOn(entering, arrived, waiting, outcome)),
        amendment: Infinity,
        leaving: false
      }
      for (const ring of entering.exempt) arrived.exempt.add(ring)
      arrived.waiting.add(waiting)
      this.#deadlines.add(untilMillis)
      if (!this.#offer(arrived, waiting)) resume(this.#arriveSlowly(entering, arrived, waiting))
      return this.#gone(arrived, waiting)
    })
  }

  // What was lost stays lost: members that enter again at once would do so thousands of times a second.
  #refuse(lost: RangeLost, untilMillis: number): Effect.Effect<never, RangeLost> {
    const { nowMillis } = this.#deadlines
    const pauseMillis = Math.min(this.#refusals.after(nowMillis), Math.max(0, untilMillis - nowMillis))
    return Effect.andThen(pauseMillis === 0 ? Effect.void : Effect.sleep(pauseMillis), Effect.fail(lost))
  }

  #begin({ group, mode, name }: Entering): Arrived {
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
    this.#open.set(keyOf(arrived), arrived)
    this.#arrived.set(arrived.attempt, arrived)
    return arrived
  }

  #goOn(
    entering: Entering,
    arrived: Arrived,
    waiting: Waiting,
    outcome: Outcome
  ): Effect.Effect<BarrierResult, BarrierError> {
    switch (outcome._tag) {
      case "Released":
        return this.#returns.after(outcome.release, entering.untilMillis)
      case "Missed":
        return this.#arrive(entering)
      case "Failed":
        return Effect.ensuring(Effect.fail(outcome.error), this.#gone(arrived, waiting))
      case "Expired":
        return this.#withdraw(arrived, waiting).pipe(
          Effect.flatMap((outcome) => this.#goOn(entering, arrived, waiting, outcome)),
          Effect.ensuring(this.#gone(arrived, waiting))
        )
    }
  }

  #offer(arrived: Arrived, waiting: Waiting): boolean {
    let asked: number | undefined
    const isWritten = this.#link.offer((number) => {
      asked = number
      return this.#arrival(arrived, waiting, number)
    })
    if (!isWritten && asked !== undefined) this.#unsay(arrived, waiting, asked)
    return isWritten
  }

  // It was made and not written: the coordinator does not know an amendment of what it has never heard.
  #unsay(arrived: Arrived, waiting: Waiting, number: number): void {
    arrived.requests.delete(number)
    arrived.amendments = waiting.amendment
    waiting.amendment = Infinity
  }

  // A coordinator that does not listen must not hold anybody beyond the deadline.
  #arriveSlowly(
    entering: Entering,
    arrived: Arrived,
    waiting: Waiting
  ): Effect.Effect<BarrierResult, BarrierError> {
    const outcome = settledLater(waiting)
    const told = this.#link.tell((number) => this.#arrival(arrived, waiting, number))
    return Effect.raceFirst(Effect.andThen(told, outcome), outcome).pipe(
      Effect.flatMap((outcome) => this.#goOn(entering, arrived, waiting, outcome)),
      Effect.ensuring(this.#gone(arrived, waiting))
    )
  }

  // The targets are taken as it is written: whatever this member has sent before it arrived lies below them.
  #arrival(arrived: Arrived, waiting: Waiting, number: number): Request {
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
        epoch: this.#link.membership.epoch,
        attempt,
        amendment: waiting.amendment,
        deadlineMillis: Math.max(0, waiting.untilMillis - this.#deadlines.nowMillis),
        drainTargets: mode === "rendezvous" ? [] : [this.#mesh.target()],
        exempt: [...exempt]
      }
    }
  }

  // --- too late ---

  #expire(nowMillis: number): number {
    let nextMillis = Infinity
    for (const { waiting } of this.#arrived.values()) {
      for (const one of waiting) {
        if (one.leaving) continue
        if (nowMillis >= one.untilMillis) one.complete({ _tag: "Expired" })
        else nextMillis = Math.min(nextMillis, one.untilMillis)
      }
    }
    return nextMillis
  }

  // The coordinator's answer alone decides, so that no two members ever see two outcomes of a round.
  #withdraw(arrived: Arrived, waiting: Waiting): Effect.Effect<Outcome, BarrierError> {
    return Effect.suspend(() => {
      waiting.leaving = true
      let decided: Outcome | undefined
      waiting.complete = (outcome) => {
        decided ??= outcome
      }
      const undecided = new BarrierTimedOut({ name: arrived.name, absent: [], undrained: [], undecided: true })
      if (arrived.requests.size === 0) return Effect.fail(undecided)
      return this.#takeBack(arrived).pipe(
        Effect.catchTag("CoordinatorLost", (lost) => Effect.fail(lost.reason === "silent" ? undecided : lost)),
        Effect.flatMap((answer) => {
          if (answer._tag === "Withdrawn") return Effect.fail(timedOut(arrived, answer.absent))
          // The release is out, and was taken in before this answer.
          return decided === undefined ? Effect.fail(undecided) : Effect.succeed(decided)
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
      orElse: () => Effect.fail(this.#link.lossBy("silent"))
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
    const key = keyOf(arrived)
    if (this.#open.get(key) === arrived) this.#open.delete(key)
  }

  // --- what the coordinator says ---

  #take(notice: Notice): void {
    if (notice._tag === "Released") this.#released(notice)
    if (notice._tag === "Answered") this.#answered(notice.number, notice.answer)
    if (notice._tag === "Broken") this.#end(this.#mine(notice.arrivals)?.arrived, () => failed(this.#lossOf(notice)))
  }

  /** Whose loss it is says what helps. */
  #lossOf({ from, member, ring, to }: Extract<Notice, { readonly _tag: "Broken" }>): RangeLost {
    const { membership } = this.#link
    if (isSame(member, membership.coordinator)) return new RangeLost({ ring, from, to, byCoordinator: true })
    if (isSame(member, this.#mesh.self)) return new RangeLost({ ring, from, to })
    const info = membership.find(member)
    return new RangeLost({ ring, from, to, member, ...info === undefined ? {} : { info } })
  }

  #released(release: Released): void {
    const mine = this.#mine(release.arrivals)
    this.#end(
      mine?.arrived,
      ({ amendment }) => amendment <= (mine?.listed.amendment ?? 0) ? { _tag: "Released", release } : { _tag: "Missed" }
    )
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
      if (answer._tag === "Done") this.#end(arrived, () => ({ _tag: "Missed" }))
      else waiting.complete(failed(refusalOf(arrived, answer)))
    }
  }

  // The name is free for the next round before anybody of this one goes on.
  #end(arrived: Arrived | undefined, outcome: (waiting: Waiting) => Outcome): void {
    if (arrived === undefined || arrived.state === "ended") return
    this.#close(arrived)
    arrived.state = "ended"
    this.#arrived.delete(arrived.attempt)
    for (const waiting of arrived.waiting) waiting.complete(outcome(waiting))
  }

  #lose(reason: CoordinatorLost["reason"]): void {
    // Who enters again at once is not meant, neither in a new arrival nor in the same one.
    for (const arrived of Array.from(this.#arrived.values())) {
      // One that was not sent yet is for whoever coordinates next.
      if (arrived.requests.size === 0) continue
      const lost = () => failed(this.#link.lossBy(reason))
      if (reason !== "silent") this.#end(arrived, lost)
      // The coordinator lives and knows it: each fiber takes it back as it goes.
      else for (const waiting of Array.from(arrived.waiting)) waiting.complete(lost())
    }
  }
}

const failed = (error: BarrierError): Outcome => ({ _tag: "Failed", error })

/** How it is settled, waited for. */
const settledLater = (waiting: Waiting): Effect.Effect<Outcome> => {
  const outcome = Deferred.makeUnsafe<Outcome>()
  waiting.complete = (settled) => void Deferred.doneUnsafe(outcome, Effect.succeed(settled))
  return Deferred.await(outcome)
}

const keyOf = ({ group, name }: { readonly group: string; readonly name: string }): string =>
  `${group.length} ${group} ${name}`

const timedOut = ({ name }: Arrived, absent: ReadonlyArray<MemberId>) =>
  new BarrierTimedOut({ name, absent, undrained: [], undecided: false })

const reasons = ["reserved", "empty", "notInGroup", "malformed", "generation", "impossible"] as const

const refusalOf = ({ name }: Arrived, answer: Extract<Answer, { readonly _tag: "Refused" | "Mismatch" }>) => {
  if (answer._tag === "Mismatch") return new ModeMismatch({ name, asked: answer.asked, round: answer.round })
  const reason = reasons.find((known) => known === answer.reason) ?? "malformed"
  return new ArrivalRefused({ name, reason, detail: answer.detail })
}
