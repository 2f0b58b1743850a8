/**
 * A member's side of the barriers: arrives, awaits the release, and drains its own readers.
 *
 * Fibers of one process that enter the same round merge into one arrival, which each of them amends. The release names
 * the last amendment that the coordinator has counted; a later fiber arrives anew, in the next round.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import {
  ArrivalRefused,
  type BarrierError,
  type BarrierOptions,
  type BarrierResult,
  BarrierTimedOut,
  type Drained,
  ModeMismatch,
  RangeLost
} from "../../../services/Barrier.ts"
import { waitMillis } from "../../../services/input/DurationInput.ts"
import type { BarrierMode } from "../../../services/schema/BarrierArrival.ts"
import { type CoordinatorLost, isSame, type MemberId, ShuttingDown } from "../../../services/schema/Member.ts"
import type { RingPorts } from "../../ports/RingPorts.ts"
import type { Answer, Notice, PayloadOf, RequestRefused, SuccessOf } from "../control/ControlCodec.ts"
import type { CoordinatorClient } from "../control/CoordinatorClient.ts"
import type { Broken, Released, RoundOver } from "../control/CoordinatorProtocol.ts"
import { allMembers } from "../control/Membership.ts"
import { Pauses } from "../control/Pauses.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import { type Alarm, DeadlineTimer } from "../transport/DeadlineTimer.ts"
import { CurrentHandlers } from "../transport/HandlerContext.ts"
import type { Mesh } from "../transport/Mesh.ts"
import type { Cursor } from "../transport/RingConsumer.ts"
import { Drain } from "./Drain.ts"

/** The barrier that a fiber enters, and its deadline. */
interface Entering {
  readonly name: string
  readonly group: string
  readonly mode: BarrierMode
  /** Rings whose handlers the fiber runs in. */
  readonly exempt: ReadonlyArray<number>
  readonly deadlineMillis: number
  readonly untilMillis: number
}

/** A fiber's result of waiting. `missed`: the round was released without this fiber's amendment. */
type Outcome = Effect.Effect<Released | "missed", BarrierError>

/** A fiber in an arrival. */
interface Entrant {
  readonly deadlineMillis: number
  readonly untilMillis: number
  /** Resumes the fiber. After its deadline it only records the coordinator's decision, in `decided`. */
  complete: (outcome: Outcome) => void
  decided: Outcome | undefined
  /** The number of its own amendment of the arrival, set when that is written. */
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
  readonly waiting: Set<Entrant>
  readonly exempt: Set<number>
  /** The fibers by the number of their requests: a refusal fails only the fiber whose request it answers. */
  readonly requests: Map<number, Entrant>
  amendments: number
  /** No fiber joins a `withdrawing` arrival, which may still be released. An `ended` one has its outcome. */
  state: "open" | "withdrawing" | "ended"
}

/** In milliseconds: most fibers give no deadline, and reading a duration costs as much as a round's own bookkeeping. */
const defaultDeadlineMillis = 30_000

/** How long a withdrawal may take before the coordinator counts as silent. */
const withdrawMillis = 1000

export interface BarrierClientParts {
  readonly coordinator: CoordinatorClient
  readonly mesh: Mesh
  readonly ring: RingPorts["Service"]
  readonly resolved: ResolvedOptions
  readonly clock: Clock.Clock
  readonly alarm: Alarm
}

export class BarrierClient {
  readonly #coordinator: CoordinatorClient
  readonly #mesh: Mesh
  readonly #drain: Drain
  readonly #deadlines: DeadlineTimer
  /** By group and name: the arrivals that the next fiber joins. */
  readonly #open = new Map<string, Arrived>()
  /** By attempt: the arrivals that may still be released. */
  readonly #arrived = new Map<number, Arrived>()
  readonly #refusals = new Pauses()
  #attempts = 0

  constructor({ alarm, clock, coordinator, mesh, ring, resolved }: BarrierClientParts) {
    this.#coordinator = coordinator
    this.#mesh = mesh
    this.#drain = new Drain({ mesh, ring, trace: resolved.trace })
    this.#deadlines = new DeadlineTimer(clock, alarm, (nowMillis) => this.#expire(nowMillis))
    coordinator.onNotice((notice) => this.#onNotice(notice))
    coordinator.onLoss((reason) => this.#lose(reason))
  }

  enter(name: string, options: BarrierOptions = {}): Effect.Effect<BarrierResult, BarrierError> {
    const { deadline } = options
    if (deadline === undefined) return this.#enterFor(defaultDeadlineMillis, name, options)
    return Effect.flatMap(
      waitMillis("deadline", deadline),
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
        this.#enter({ name, group, mode, exempt, deadlineMillis, untilMillis }),
        "RangeLost",
        (lost) => this.#refuse(lost, untilMillis)
      )
    })
  }

  /** Ends the waits whose deadline has passed by that time. */
  tick(nowMillis: number): void {
    this.#deadlines.tick(nowMillis)
  }

  /** Ends all arrivals: this member takes part in no further round. */
  close(): void {
    for (const arrived of this.#arrived.values()) this.#end(arrived, () => Effect.fail(new ShuttingDown()))
  }

  // --- internal ---

  #enter(entering: Entering): Effect.Effect<BarrierResult, BarrierError> {
    return Effect.flatMap(
      this.#awaitRelease(entering),
      (release) => release === "missed" ? this.#enter(entering) : this.#drainHere(release, entering)
    )
  }

  // Delay repeated refusals: the loss is permanent, and a program that retries at once would do so thousands of times a
  // second.
  #refuse(lost: RangeLost, untilMillis: number): Effect.Effect<never, RangeLost> {
    const { nowMillis } = this.#deadlines
    const pauseMillis = Math.min(this.#refusals.after(nowMillis), Math.max(0, untilMillis - nowMillis))
    return Effect.andThen(pauseMillis === 0 ? Effect.void : Effect.sleep(pauseMillis), Effect.fail(lost))
  }

  // --- arriving ---

  /**
   * Joins this member's arrival, or begins one, and waits. Joining and waiting are one step, so that no interruption
   * can come between; a fiber that is interrupted while it waits, or that fails, leaves its arrival.
   */
  #awaitRelease(entering: Entering): Outcome {
    return Effect.callback((resume) => {
      const { deadlineMillis, mode, name, untilMillis } = entering
      const arrived = this.#open.get(keyOf(entering)) ?? this.#begin(entering)
      if (arrived.mode !== mode) {
        return resume(Effect.fail(new ModeMismatch({ barrier: name, asked: mode, round: arrived.mode })))
      }
      const entrant: Entrant = {
        deadlineMillis,
        untilMillis,
        complete: resume,
        decided: undefined,
        amendment: Infinity,
        leaving: false
      }
      for (const ring of entering.exempt) arrived.exempt.add(ring)
      arrived.waiting.add(entrant)
      this.#deadlines.add(untilMillis)
      if (!this.#offer(arrived, entrant)) resume(this.#arriveSlowly(arrived, entrant))
      return this.#leave(arrived, entrant)
    })
  }

  // Bound the wait for room: a coordinator that does not read must not hold the fiber beyond its deadline.
  #arriveSlowly(arrived: Arrived, entrant: Entrant): Outcome {
    const decided = Deferred.makeUnsafe<Outcome>()
    entrant.complete = (outcome) => void Deferred.doneUnsafe(decided, Effect.succeed(outcome))
    const told = this.#coordinator.tell("Arrive", (number) => this.#arrival(arrived, entrant, number))
    const outcome = Effect.raceFirst(Effect.andThen(told, Deferred.await(decided)), Deferred.await(decided))
    return Effect.onError(Effect.flatten(outcome), () => this.#leave(arrived, entrant))
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

  #offer(arrived: Arrived, entrant: Entrant): boolean {
    let asked: number | undefined
    const isWritten = this.#coordinator.offer("Arrive", (number) => {
      asked = number
      return this.#arrival(arrived, entrant, number)
    })
    if (!isWritten && asked !== undefined) this.#undoAmendment(arrived, entrant, asked)
    return isWritten
  }

  // Undoes an amendment that was made but not written: the coordinator would not know it.
  #undoAmendment(arrived: Arrived, entrant: Entrant, number: number): void {
    arrived.requests.delete(number)
    arrived.amendments = entrant.amendment
    entrant.amendment = Infinity
  }

  // Take the targets when the arrival is written, so that all messages sent before it lie below them.
  #arrival(arrived: Arrived, entrant: Entrant, number: number): PayloadOf<"Arrive"> {
    const { attempt, exempt, group, mode, name } = arrived
    entrant.amendment = arrived.amendments
    arrived.amendments += 1
    arrived.requests.set(number, entrant)
    return {
      name,
      group,
      mode,
      epoch: this.#coordinator.membership.epoch,
      attempt,
      amendment: entrant.amendment,
      deadlineMillis: Math.max(0, entrant.untilMillis - this.#deadlines.nowMillis),
      drainTargets: mode === "rendezvous" ? [] : [this.#mesh.target()],
      exempt: [...exempt]
    }
  }

  // --- draining ---

  /** Drains this member's readers, and returns the fiber's result. */
  #drainHere(release: Released, { deadlineMillis, untilMillis }: Entering): Effect.Effect<BarrierResult, BarrierError> {
    if (!release.drain) return Effect.succeed(resultOf(release, []))
    const { mode, name, round, term } = release
    const targets = release.targets.filter(({ ring }) => !isExempt(release, this.#mesh.self, ring))
    // A processing fence is released when all have handled the messages; check again here, to find what was lost.
    const cursor: Cursor = mode === "processingFence" ? "handled" : "delivered"
    const late = Effect.suspend(() => {
      const undrained = this.#drain.undrained(targets, cursor)
      return Effect.fail(new BarrierTimedOut({ ...timedOut(name, deadlineMillis), undrained }))
    })
    const expired = Effect.suspend(() =>
      Effect.andThen(Effect.sleep(Math.max(1, untilMillis - this.#deadlines.nowMillis)), late)
    )
    const drained = this.#drain.here({ term, round, name, mode, side: "member" }, targets, cursor, expired)
    return Effect.map(drained, (all) => resultOf(release, all))
  }

  // --- too late ---

  #expire(nowMillis: number): number {
    let nextMillis = Infinity
    for (const arrived of this.#arrived.values()) {
      for (const one of arrived.waiting) {
        if (one.leaving) continue
        if (nowMillis < one.untilMillis) nextMillis = Math.min(nextMillis, one.untilMillis)
        else this.#withdrawLate(arrived, one)
      }
    }
    return nextMillis
  }

  #withdrawLate(arrived: Arrived, entrant: Entrant): void {
    const resume = entrant.complete
    entrant.leaving = true
    entrant.complete = (outcome) => {
      entrant.decided ??= outcome
    }
    resume(Effect.ensuring(this.#withdraw(arrived, entrant), this.#leave(arrived, entrant)))
  }

  // Only the coordinator's answer decides, so that no two members see different outcomes of a round.
  #withdraw(arrived: Arrived, entrant: Entrant): Outcome {
    return Effect.suspend((): Outcome => {
      const undecided = new BarrierTimedOut({ ...timedOut(arrived.name, entrant.deadlineMillis), undecided: true })
      if (arrived.requests.size === 0) return Effect.fail(undecided)
      return Effect.matchEffect(this.#takeBack(arrived), {
        onSuccess: ({ absent }) => Effect.fail(this.#timedOutWithout(absent, arrived, entrant)),
        onFailure: (error): Outcome => {
          // This member has read the release before this answer.
          if (error._tag === "RoundOver") return entrant.decided ?? Effect.fail(undecided)
          return Effect.fail(error.reason === "silent" ? undecided : error)
        }
      })
    })
  }

  #timedOutWithout(absent: ReadonlyArray<MemberId>, { name }: Arrived, { deadlineMillis }: Entrant): BarrierTimedOut {
    const { membership } = this.#coordinator
    const infos = absent.flatMap((id) => membership.find(id) ?? [])
    return new BarrierTimedOut({ ...timedOut(name, deadlineMillis), absent, infos })
  }

  // The arrival stays while any of its fibers stays.
  #takeBack(arrived: Arrived): Effect.Effect<SuccessOf<"Withdraw">, RoundOver | CoordinatorLost> {
    const { attempt } = arrived
    const stay = [...arrived.waiting].some(({ leaving }) => !leaving)
    if (!stay) this.#close(arrived)
    return Effect.timeoutOrElse(this.#coordinator.request("Withdraw", { attempt, stay }), {
      duration: withdrawMillis,
      orElse: () => Effect.fail(this.#coordinator.lossBy("silent"))
    })
  }

  /** Removes a fiber from its arrival. The last fiber withdraws the arrival. */
  #leave(arrived: Arrived, entrant: Entrant): Effect.Effect<void> {
    return Effect.suspend(() => {
      arrived.waiting.delete(entrant)
      const forgotten = arrived.state === "open" && ![...arrived.waiting].some(({ leaving }) => !leaving)
      const takenBack = forgotten && arrived.requests.size > 0 && this.#coordinator.state === "up"
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

  /** Closes the arrival to further fibers: they arrive anew. */
  #close(arrived: Arrived): void {
    if (arrived.state === "open") arrived.state = "withdrawing"
    const key = keyOf(arrived)
    if (this.#open.get(key) === arrived) this.#open.delete(key)
  }

  // --- notices and answers of the coordinator ---

  #onNotice(notice: Notice): void {
    if (notice._tag === "Released") this.#released(notice)
    if (notice._tag === "Answered") this.#answered(notice.number, notice.answer)
    if (notice._tag === "Broken") this.#broken(notice)
  }

  #broken(notice: Broken): void {
    const lost = Effect.fail(this.#lossOf(notice))
    this.#end(this.#ownArrival(notice.arrivals)?.arrived, () => lost)
  }

  /** The error by whose readers lost the range, which determines the next step. */
  #lossOf({ from, member, ring, to }: Broken): RangeLost {
    const { membership } = this.#coordinator
    if (isSame(member, membership.coordinator)) return new RangeLost({ ring, from, to, byCoordinator: true })
    if (isSame(member, this.#mesh.self)) return new RangeLost({ ring, from, to })
    const info = membership.find(member)
    return new RangeLost({ ring, from, to, member, ...info === undefined ? {} : { info } })
  }

  #released(release: Released): void {
    const mine = this.#ownArrival(release.arrivals)
    const counted = mine?.listed.amendment ?? 0
    this.#end(mine?.arrived, ({ amendment }) => amendment <= counted ? Effect.succeed(release) : missed)
  }

  #ownArrival<Listed extends { readonly member: MemberId; readonly attempt: number }>(arrivals: ReadonlyArray<Listed>) {
    const listed = arrivals.find(({ member }) => isSame(member, this.#mesh.self))
    const arrived = listed === undefined ? undefined : this.#arrived.get(listed.attempt)
    return listed === undefined || arrived === undefined ? undefined : { listed, arrived }
  }

  // The success of an arrival is the release, a notice to all.
  #answered(number: number, answer: Answer): void {
    for (const arrived of this.#arrived.values()) {
      const entrant = arrived.requests.get(number)
      if (entrant === undefined) continue
      if (answer._tag === "RequestRefused") this.#fail(arrived, entrant, refusalOf(arrived, answer))
      if (answer._tag !== "Arrive" || Result.isSuccess(answer.outcome)) continue
      const { failure } = answer.outcome
      // The coordinator does not know the amended arrival: its round is over.
      if (failure._tag === "RoundOver") this.#end(arrived, () => missed)
      else this.#fail(arrived, entrant, failure)
    }
  }

  // Free the name for the next round before any fiber of this one continues.
  #end(arrived: Arrived | undefined, outcomeOf: (entrant: Entrant) => Outcome): void {
    if (arrived === undefined || arrived.state === "ended") return
    this.#close(arrived)
    arrived.state = "ended"
    this.#arrived.delete(arrived.attempt)
    for (const entrant of arrived.waiting) entrant.complete(outcomeOf(entrant))
  }

  /** Fails one fiber, which leaves its arrival. */
  #fail(arrived: Arrived, entrant: Entrant, error: BarrierError): void {
    entrant.complete(Effect.ensuring(Effect.fail(error), this.#leave(arrived, entrant)))
  }

  #lose(reason: CoordinatorLost["reason"]): void {
    // Copy first: a fiber that fails may enter again at once, and must not fail with these.
    for (const arrived of Array.from(this.#arrived.values())) {
      // An arrival that was not sent yet is for the next coordinator.
      if (arrived.requests.size === 0) continue
      const lost = this.#coordinator.lossBy(reason)
      if (reason !== "silent") this.#end(arrived, () => Effect.fail(lost))
      // The coordinator lives and knows the arrival: each fiber withdraws when it leaves.
      else for (const entrant of Array.from(arrived.waiting)) this.#fail(arrived, entrant, lost)
    }
  }
}

const missed = Effect.succeed("missed" as const)

const keyOf = ({ group, name }: { readonly group: string; readonly name: string }): string =>
  `${group.length} ${group} ${name}`

const timedOut = (barrier: string, deadlineMillis: number) => ({
  barrier,
  deadlineMillis,
  absent: [],
  infos: [],
  undrained: [],
  undecided: false
})

const isExempt = ({ exempt }: Released, self: MemberId, ring: number): boolean =>
  exempt.some((exemption) => exemption.ring === ring && isSame(exemption.member, self))

const resultOf = (
  { departed, exempt, mode, round, targets, term, withdrawn }: Released,
  drained: ReadonlyArray<Drained>
): BarrierResult => {
  const release = { term, round, mode, targets, exempt, drained }
  return departed.length + withdrawn.length === 0
    ? { _tag: "Satisfied", ...release }
    : { _tag: "Degraded", ...release, departed, withdrawn }
}

const refusalOf = ({ name }: Arrived, { detail, reason }: RequestRefused): ArrivalRefused =>
  new ArrivalRefused({ barrier: name, reason: reason === "notMember" ? "notInGroup" : reason, detail })
