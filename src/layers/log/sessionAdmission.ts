/**
 * Bounds the opening of a session: the server admits it within a deadline, or the opening fails and leaves nothing
 * behind.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../services/CxlMemory.ts"
import { millisOf } from "../../services/input/DurationInput.ts"
import type { PublisherOptions } from "../../services/Publisher.ts"
import { type ProcessId, showPid } from "../../services/schema/ProcessId.ts"
import { fullTable, RegionError } from "../../services/schema/RegionError.ts"
import { unanswered } from "../../services/schema/Server.ts"
import { formatCount, formatMillis } from "../../services/text/quantities.ts"
import type { LogWaiter } from "../ports/Waiter.ts"
import { keptWhenOpened } from "./keptWhenOpened.ts"

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

/**
 * Runs the opening of a session within `openDeadline`. Resources that it acquired live as long as the scope; if it
 * fails, they are released at once. It fails at once when the log's server is gone. An opening that gets no slot in time
 * is refused for the sessions that are `untaken` then, if there are any.
 */
export const admittedInTime = <A, E, R>(
  region: string,
  waiter: LogWaiter,
  options: PublisherOptions | undefined,
  untaken: () => UntakenSessions | undefined,
  open: (opening: SessionOpening) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | RegionError | RegionLost, R | Scope.Scope> =>
  Effect.suspend(() => {
    const deadlineMillis = millisOf("openDeadline", options?.openDeadline ?? defaultDeadline)
    const opening: SessionOpening = { hasSlot: false }
    const tooLate = () => {
      const held = opening.hasSlot ? undefined : untaken()
      return waiter.lost() ??
        (held ? noSlot(region, deadlineMillis, held) : notAdmitted(region, deadlineMillis, waiter))
    }
    return keptWhenOpened(
      Effect.raceFirst(open(opening), waiter.untilLost).pipe(
        Effect.timeoutOrElse({ duration: deadlineMillis, orElse: () => Effect.fail(tooLate()) })
      )
    )
  })

// --- internal ---

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

// A pid of another namespace names another process here: do not suggest a signal.
const nextStep = ({ foreignPid, own, pid }: UntakingReader): string => {
  if (own) return "take and release them, or close that subscriber"
  if (foreignPid === true) return "continue that process, if it is stopped, or end it"
  return `\`kill -CONT ${pid}\` continues it, if it is stopped; or end it`
}
