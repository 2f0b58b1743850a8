/**
 * Kills a process of a log trial on the way, and measures how long the log's acknowledgements pause.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Diagnostics, type LogSnapshot } from "../../services/Diagnostics.ts"
import type { Topic } from "../../services/schema/Topic.ts"
import { Subscriber } from "../../services/Subscriber.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import * as Children from "../processes/spawn.ts"

export const killableRoles = ["sequencer", "publisher", "subscriber", "replica"] as const
export type KillableRole = typeof killableRoles[number]

/** Which process a run kills, and at which fraction of its records, by the acknowledgements. */
export interface KillPlan {
  readonly role: KillableRole
  readonly fraction: number
}

/** A process that was killed. */
export interface Killed {
  readonly name: string
  readonly pid: number
  /** Records acknowledged when its end was noticed. */
  readonly acknowledged: number
  /** From the kill to the first acknowledgement after the process had ended; of a durable topic, of a later record. */
  readonly pauseMillis: number
  /** Of a durable topic: records that came into the order during the pause. */
  readonly orderedMeanwhile?: number
  /** Its session, if it was a publisher. */
  readonly sessionId?: number
}

/** The processes of a run that kills one of them. */
export interface Cast<E, R> {
  readonly victim: Children.Child<unknown>
  /** Each keeps records back until the word `finish`. */
  readonly publishers: ReadonlyArray<Children.Child<unknown>>
  /** A failure of any of these ends the run. */
  readonly others: ReadonlyArray<Children.Child<unknown>>
  /** Runs once the victim has ended. */
  readonly replace: Effect.Effect<void, E, R>
}

/** Kills the victim at this fraction of the records, and lets the publishers finish. */
export const killOnTheWay = <E, R>(fraction: number, records: number, cast: Cast<E, R>) => {
  const { others, publishers, replace, victim } = cast
  const failing = Effect.andThen(Children.all(others, ({ result }) => result), Effect.never)
  const finish = Children.all(publishers, ({ tell }) => tell("finish"))
  // At least one acknowledgement must be left to come behind the kill.
  const at = Math.min(Math.ceil(fraction * records), records - publishers.length)
  return until((found) => acknowledgedIn(found) >= at).pipe(
    Effect.andThen(killAndMeasure(victim, Effect.andThen(finish, replace))),
    Effect.raceFirst(failing)
  )
}

/** Kills the child and waits for the first new acknowledgement. `ended` runs once the child has ended. */
export const killAndMeasure = <E, R>(
  child: Children.Child<unknown>,
  ended: Effect.Effect<void, E, R>
): Effect.Effect<Killed, E, R | Diagnostics> =>
  Effect.gen(function*() {
    const { snapshot } = yield* Diagnostics
    const atKill = yield* snapshot
    const session = atKill.sessions.find(({ pid }) => pid === child.pid)
    const begun = monotonicMillis()
    process.kill(child.pid, "SIGKILL")
    yield* Effect.ignore(child.finished)
    // What was acknowledged while the process ended does not count as new. A killed publisher's session ends meanwhile, so
    // the others' sessions tell.
    const atEnd = yield* snapshot
    const isDurable = isDurableIn(atEnd)
    // What replicas have is acknowledged late: of a record that came behind the end it is new.
    const before = isDurable ? committedIn(atEnd) : acknowledgedIn(atEnd, child.pid)
    const isNew = (found: LogSnapshot) => acknowledgedIn(found, child.pid) > before
    const pause = Effect.map(until(isNew), (found) => ({ found, pauseMillis: monotonicMillis() - begun }))
    const [{ found, pauseMillis }] = yield* Effect.all([pause, ended], { concurrency: 2 })
    const { name, pid } = child
    return {
      name,
      pid,
      acknowledged: isDurable ? Math.max(acknowledgedIn(atKill), acknowledgedIn(atEnd)) : committedIn(atEnd),
      pauseMillis,
      ...isDurable ? { orderedMeanwhile: committedIn(found) - before } : {},
      ...session === undefined ? {} : { sessionId: session.sessionId }
    }
  })

/** Keeps all records of the topics for a subscriber that will begin again at the first. Returns the end of it. */
export const keepAll = Effect.fnUntraced(function*(topics: ReadonlyArray<Topic<any>>) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
  for (const topic of topics) {
    // The start is always there.
    const opening = Effect.catchTag(
      Subscriber.open(topic, { from: "start", name: "keeper" }),
      "PositionTrimmed",
      Effect.die
    )
    yield* Scope.provide(opening, scope)
  }
  return Scope.close(scope, Exit.void)
})

// --- internal ---

/** As often as a timer of the event loop allows. */
const lookMillis = 1

const isDurableIn = ({ topics }: LogSnapshot): boolean => topics.some(({ durability }) => durability !== undefined)

/** Over all sessions but those of one process; of a durable topic what the required replicas have of all sessions. */
const acknowledgedIn = (snapshot: LogSnapshot, exceptPid?: number): number =>
  isDurableIn(snapshot) ? durableIn(snapshot) : acknowledgedOf(snapshot, exceptPid)

const durableIn = ({ topics }: LogSnapshot): number =>
  topics.reduce((sum, { durability }) => sum + (durability?.records ?? 0), 0)

const acknowledgedOf = ({ sessions }: LogSnapshot, exceptPid?: number): number =>
  sessions.reduce((sum, { acks, pid }) => pid === exceptPid ? sum : sum + acks.acknowledged, 0)

/** What is committed is acknowledged in the same pass, and does not go with the session of a killed publisher. */
const committedIn = ({ topics }: LogSnapshot): number =>
  topics.reduce((sum, { committedMessages }) => sum + committedMessages, 0)

const until = (isEnough: (snapshot: LogSnapshot) => boolean): Effect.Effect<LogSnapshot, never, Diagnostics> =>
  Effect.gen(function*() {
    const { snapshot } = yield* Diagnostics
    for (;;) {
      const found = yield* snapshot
      if (isEnough(found)) return found
      yield* Effect.sleep(lookMillis)
    }
  })
