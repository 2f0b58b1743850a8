/**
 * Bounds the opening of a session: who waits for the server to admit it gives up at a deadline. The opening itself goes on
 * until its scope closes, so that a session that the server adopts behind the deadline still has its owner.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { RegionLost } from "../../services/CxlMemory.ts"
import { millisOf } from "../../services/input/DurationInput.ts"
import type { OpenPublisherError, PublisherOptions } from "../../services/Publisher.ts"
import { continueOrEnd, type ProcessId, showPid } from "../../services/schema/ProcessId.ts"
import { fullTable, RegionError } from "../../services/schema/RegionError.ts"
import { unanswered } from "../../services/schema/Server.ts"
import { formatCount, formatMillis } from "../../services/text/quantities.ts"
import type { LanePort } from "../ports/LanePort.ts"
import type { LogWaiter } from "../ports/Waiter.ts"

const defaultDeadline: Duration.Input = "10 seconds"

/** A subscriber that is attached to a topic of order `none`. */
export interface UntakingReader extends ProcessId {
  readonly name: string
  readonly own: boolean
}

/** Sessions of order `none` that have closed or died and keep their slots, because a subscriber needs their records. */
export interface UntakenSessions {
  readonly count: number
  /** Session slots of the region. */
  readonly slots: number
  readonly topic: string
  readonly reader: UntakingReader
}

/** An opening under way. */
export interface SessionOpening {
  /** Whether it has a slot: then only the server is waited for. */
  hasSlot: boolean
}

/** An opening that was begun. */
export interface Admission {
  /**
   * Waits for the session's lanes, for `openDeadline` at most. Fails at once when the log's server is gone. Can be run
   * again: what it fails with does not end an opening that is not over.
   */
  readonly lanes: Effect.Effect<LanePort, OpenPublisherError>
  /** Whether the opening itself has failed, so that another must be begun. */
  readonly hasFailed: () => boolean
}

/**
 * Begins the opening of a session. It goes on, and what it acquires lives, until the scope closes. Whoever waits for one
 * that gets no slot in time is refused for the sessions that are `untaken` then, if there are any.
 */
export const admitting = (
  region: string,
  waiter: LogWaiter,
  options: PublisherOptions | undefined,
  untaken: () => UntakenSessions | undefined,
  open: (opening: SessionOpening) => Effect.Effect<LanePort, OpenPublisherError, Scope.Scope>
): Effect.Effect<Admission, never, Scope.Scope> =>
  Effect.gen(function*() {
    const deadlineMillis = millisOf("openDeadline", options?.openDeadline ?? defaultDeadline)
    const opening: SessionOpening = { hasSlot: false }
    const tooLate = () => {
      const held = opening.hasSlot ? undefined : untaken()
      return waiter.lost() ??
        (held ? noSlot(region, deadlineMillis, held) : notAdmitted(region, deadlineMillis, waiter))
    }
    // Below the fiber's own: a scope closes in the opposite order, and the fiber must not claim again what is released.
    const acquired = yield* Scope.fork(yield* Effect.scope)
    const fiber = yield* open(opening).pipe(
      Scope.provide(acquired),
      Effect.interruptible,
      Effect.forkScoped({ startImmediately: true })
    )
    const failed = () => {
      const exit = fiber.pollUnsafe()
      return exit !== undefined && Exit.isFailure(exit)
    }
    const lanes = Effect.raceFirst(Fiber.join(fiber), waiter.untilLost).pipe(
      Effect.timeoutOrElse({ duration: deadlineMillis, orElse: () => Effect.fail(tooLate()) })
    )
    return { lanes, hasFailed: failed }
  })

/**
 * Waits for what the server answers to a claim. A claim outlives its server, whose successor answers it: so only a log that
 * has ended fails it.
 */
export const answered = <A>(waiter: LogWaiter, check: () => A | undefined): Effect.Effect<A, RegionLost> =>
  Effect.catchIf(
    waiter.until(check),
    ({ reason }) => reason !== "stopped",
    () => Effect.andThen(Effect.sleep(retryMillis), answered(waiter, check))
  )

// --- internal ---

const retryMillis = 100

const notAdmitted = (region: string, deadlineMillis: number, waiter: LogWaiter): RegionError => {
  const { detail, hint } = unanswered(waiter.server())
  const waited = `the session was not admitted within ${formatMillis(deadlineMillis)}`
  return new RegionError({ fault: "notAnswering", region, detail: `${waited}: ${detail}`, hint })
}

const noSlot = (
  region: string,
  deadlineMillis: number,
  { count, reader, slots, topic }: UntakenSessions
): RegionError => {
  const waited = `no session slot came free within ${formatMillis(deadlineMillis)}`
  const taken = `${formatCount(count)} of the ${formatCount(slots)} are taken by closed sessions of topic "${topic}"`
  const who = `subscriber "${reader.name}" (${showPid(reader)}${reader.own ? ", this process" : ""})`
  const full = fullTable(region, `${waited}: ${taken} whose records ${who} has not taken`, "clients")
  return new RegionError({ ...full, hint: `${nextStep(reader)}; or ${full.hint}` })
}

const nextStep = (reader: UntakingReader): string =>
  reader.own ? "take and release them, or close that subscriber" : continueOrEnd(reader)
