/**
 * Takes a named cursor for a subscriber, waits while another holds it, and gives it back with the scope.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { millisOf } from "../../../services/input/DurationInput.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../../services/schema/Topic.ts"
import { defaultCursorExpiry, type SubscriberOptions } from "../../../services/Subscriber.ts"
import type { HeldCursor, TakeCursor } from "../../ports/CursorPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"

/** How a backend takes cursors. */
export interface Cursors {
  readonly take: TakeCursor
  readonly waiter: LogWaiter
}

/** A cursor in force, with the waiter of the live log: a subscriber that reads files has one of its own. */
export interface Holding {
  readonly held: HeldCursor
  readonly waiter: LogWaiter
}

/**
 * Opens a subscriber, holding its cursor if it has one: it then begins at what was committed. An opening that fails gives
 * the cursor back at once.
 */
export const openWithCursor = <A, E, R>(
  topic: Topic<any>,
  options: SubscriberOptions | undefined,
  cursors: Cursors,
  open: (options: SubscriberOptions | undefined, holding: Holding | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | TopicError | RegionError | RegionLost, R | Scope.Scope> => {
  const name = options?.cursor
  if (name === undefined) return open(options, undefined)
  return Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* Effect.flatMap(
      hold(topic, name, options, cursors),
      (held) =>
        open(held.committed === undefined ? options : { ...options, from: { position: held.committed } }, {
          held,
          waiter: cursors.waiter
        })
    ).pipe(Scope.provide(scope), Effect.onError(() => Scope.close(scope, Exit.void)))
  })
}

// --- internal ---

/** How soon the next holder takes over. */
const lookMillis = 50

const hold = (
  topic: Topic<any>,
  name: string,
  options: SubscriberOptions | undefined,
  { take, waiter }: Cursors
): Effect.Effect<HeldCursor, TopicError | RegionError | RegionLost, Scope.Scope> => {
  const expiresMillis = millisOf("cursorExpiry", options?.cursorExpiry ?? defaultCursorExpiry)
  const takeOver = options?.takeOver === true
  const mustExist = options?.mustExist === true
  const trial = Effect.flatMap(
    Clock.currentTimeMillis,
    (nowMillis) => take(topic, { name, expiresMillis, nowMillis, takeOver }, { mustExist })
  )
  // Only the waits can be interrupted: a cursor that was taken is always given back.
  return Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      let isTold = false
      while (true) {
        const taken = yield* trial
        if (!("heldBy" in taken)) {
          yield* Scope.addFinalizer(yield* Effect.scope, leaving(taken))
          yield* Effect.forkScoped(restore(keeping(taken, expiresMillis)))
          return taken
        }
        if (!isTold) yield* Effect.logInfo(`${taken.heldBy}: waiting until it is free`)
        isTold = true
        yield* restore(Effect.raceFirst(waiter.untilLost, Effect.sleep(lookMillis)))
      }
    })
  )
}

/** A lock that a stopped process holds is not waited for at the end: the process's own end gives the cursor back too. */
const leaving = (held: HeldCursor): Effect.Effect<void> =>
  Effect.ignore(Effect.flatMap(Clock.currentTimeMillis, held.leave))

// A process that is killed leaves no time: without these touches its cursor might expire with it.
const keeping = (held: HeldCursor, expiresMillis: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, held.touch).pipe(
    Effect.ignore,
    Effect.delay(Math.max(expiresMillis / 4, 1)),
    Effect.repeat(Schedule.forever),
    Effect.asVoid
  )
