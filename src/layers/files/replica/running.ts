/**
 * Runs the replicas of one process, each in a fiber of its own: begun, ended in good order, or killed.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import type { Member, ReplicaWork } from "./Member.ts"
import { runReplica, type WritingError } from "./runReplica.ts"

export interface Running {
  /** Begins to write, unless it has. */
  readonly start: Effect.Effect<void>
  /** The same, for a process that writes only these: fails if a directory cannot be opened, and writes none of them then. */
  readonly startOpened: Effect.Effect<void, WritingError>
  /** Writes what is committed, and ends: after five seconds also without it, which a log line says. */
  readonly end: Effect.Effect<void>
  /** Ends at once, as a process does that is killed. */
  readonly kill: Effect.Effect<void>
}

export const makeRunning = (
  share: Omit<ReplicaWork, "ending" | "isEnding">,
  members: ReadonlyArray<Member>
): Running => {
  let present: {
    readonly work: ReplicaWork
    readonly scope: Scope.Closeable
    readonly fibers: Array<Fiber.Fiber<void>>
  } | undefined

  const run = Effect.fnUntraced(function*(opened?: ReadonlyArray<Deferred.Deferred<void, WritingError>>) {
    if (present !== undefined) return
    const work: ReplicaWork = { ...share, ending: Latch.makeUnsafe(false), isEnding: false }
    const scope = yield* Scope.make()
    const fibers: Array<Fiber.Fiber<void>> = []
    present = { work, scope, fibers }
    for (const [at, member] of members.entries()) {
      fibers.push(yield* Effect.forkIn(runReplica(work, member, opened?.[at]), scope))
    }
  })

  const close = Effect.suspend(() => {
    const ended = present
    present = undefined
    return ended === undefined ? Effect.void : Scope.close(ended.scope, Exit.void)
  })

  const startOpened = Effect.gen(function*() {
    const opened = members.map(() => Deferred.makeUnsafe<void, WritingError>())
    yield* run(opened)
    yield* Effect.forEach(opened, Deferred.await, { discard: true }).pipe(Effect.onError(() => close))
  })

  const end = Effect.suspend(() => {
    if (present === undefined) return Effect.void
    const { fibers, work } = present
    work.isEnding = true
    work.ending.openUnsafe()
    return Fiber.awaitAll(fibers).pipe(
      Effect.timeoutOrElse({ duration: endMillis, orElse: () => Effect.logWarning(lateLine(members)) }),
      Effect.andThen(close)
    )
  })

  return { start: Effect.suspend(() => run()), startOpened, end, kill: close }
}

// --- internal ---

/** How long a process that ends waits for the disks of its replicas. */
const endMillis = 5000

const lateLine = (members: ReadonlyArray<Member>): string => {
  const late = members.filter(({ condition }) => condition.condition !== "stopped")
  const who = late.map(({ condition, options }) => `${options.dir} (${condition.condition}: ${condition.detail})`)
  return `this process ends without the last records in the replicas ${
    who.join(", ")
  }: none of them was acknowledged by these`
}
