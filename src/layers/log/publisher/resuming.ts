/**
 * Resumes a publisher whose session has outlived its lease:
 *
 *     wait for the open claim ─► copy what is not committed ─► leave the lanes ─► open another session ─► append it again
 *
 * Until the last record is appended the publisher accepts nothing, so the records keep their order. An attempt that is cut
 * short goes on where it was: the copies, the claim of the next session and the open session are kept.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import { type OpenPublisherError, PublisherFenced } from "../../../services/Publisher.ts"
import { plural } from "../../../services/text/quantities.ts"
import type { LanePort } from "../../ports/LanePort.ts"
import type { Admission } from "../sessionAdmission.ts"
import type { OpenPublisher } from "./OpenPublisher.ts"
import { UncommittedRecords } from "./UncommittedRecords.ts"

/**
 * Begins to open a session, which ends with the scope. `continues`: the incarnation of the identity that this publisher has
 * had, so that it does not take the identity from a newer publisher; 0 takes it.
 */
export type AdmitLanes = (continues: number) => Effect.Effect<Admission, never, Scope.Scope>

/** A session in a scope of its own: it ends long before its publisher, when another takes its place. */
export interface OwnedLanes {
  readonly lanes: LanePort
  readonly close: Effect.Effect<void>
}

/** An opening in a scope of its own. */
interface OwnedAdmission extends Admission {
  readonly close: Effect.Effect<void>
}

const admitOwned = (
  parent: Scope.Scope,
  admitting: Effect.Effect<Admission, never, Scope.Scope>
): Effect.Effect<OwnedAdmission> =>
  Effect.gen(function*() {
    const own = yield* Scope.fork(parent)
    const admission = yield* Scope.provide(admitting, own)
    return { ...admission, close: Scope.close(own, Exit.void) }
  })

/** Opens a session or leaves nothing behind. Only the wait for it can be interrupted: lanes that are open are kept. */
export const openOwned = (
  parent: Scope.Scope,
  admitting: Effect.Effect<Admission, never, Scope.Scope>
): Effect.Effect<OwnedLanes, OpenPublisherError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { close, lanes } = yield* admitOwned(parent, admitting)
      return { lanes: yield* Effect.onError(restore(lanes), () => close), close }
    })
  )

/** Ends once the publisher has resumed, or its session has ended for good. Fails when no session can be opened now. */
export const makeResuming = (
  publisher: OpenPublisher,
  parent: Scope.Scope,
  admitLanes: AdmitLanes,
  first: OwnedLanes
) => {
  const { builder, topic } = publisher
  const rest = new UncommittedRecords()
  let session: OwnedLanes | undefined = first
  /** The session that is to take its place, over all attempts that wait for it. */
  let next: OwnedAdmission | undefined
  /** The session from which it resumes. */
  let former = first.lanes
  let moved = 0

  const leave = Effect.gen(function*() {
    if (builder.claimed) yield* publisher.unclaimed.await
    const batches = builder.takeUncommitted()
    if (batches === undefined) return builder.endAs("corrupt")
    rest.prepend(batches)
    moved = Math.max(moved, rest.count)
    const left = session
    session = undefined
    yield* left?.close ?? Effect.void
  })

  // An attempt that is given up leaves its claim in place for the next one: the sequencer may be about to adopt it, and
  // another claim would then come too late for the identity, and be fenced by a session that nobody has.
  const reopen = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      next ??= yield* admitOwned(parent, admitLanes(builder.lanes.identity?.incarnation ?? 0))
      const { close, hasFailed, lanes } = next
      const drop = Effect.suspend(() => {
        if (!hasFailed()) return Effect.void
        next = undefined
        return close
      })
      const opened = yield* Effect.onError(restore(lanes), () => drop)
      next = undefined
      session = { lanes: opened, close }
      builder.continueOn(opened)
    })
  ).pipe(
    Effect.catchIf(isFenced, () => Effect.sync(() => builder.endAs("fenced")))
  )

  const appendRest = (lanes: LanePort): Effect.Effect<true, RegionLost> => {
    const append = (): true | undefined => {
      for (let record = rest.peek(); record !== undefined; record = rest.peek()) {
        if (!builder.appendAgain(record)) break
        rest.pass()
      }
      return rest.isEmpty || builder.hasOutlived || builder.ended() !== undefined ? true : undefined
    }
    return Effect.andThen(Effect.sync(() => lanes.wantRoom()), lanes.waiter.until(append))
  }

  return Effect.gen(function*() {
    while (builder.isResuming && builder.ended() === undefined) {
      if (builder.hasOutlived) yield* leave
      else if (session === undefined) yield* reopen
      else {
        yield* appendRest(session.lanes)
        if (!rest.isEmpty || builder.hasOutlived) continue
        const line = resumedLine(topic.name, former, session.lanes, moved)
        former = session.lanes
        moved = 0
        builder.resumed()
        yield* Effect.logWarning(line)
      }
    }
    const end = builder.ended()
    if (end !== undefined) builder.endAs(end)
    publisher.resumed.openUnsafe()
  })
}

/** Resumes whenever the session has outlived its lease, and tries again until it has. */
export const resumingAlways = (
  publisher: OpenPublisher,
  outlived: Latch.Latch,
  resume: Effect.Effect<void, OpenPublisherError>
): Effect.Effect<void> => {
  const { builder } = publisher
  // The wait that nothing wakes but an end: it costs nothing under load.
  const ended = Effect.suspend(() =>
    builder.lanes.waiter.untilEnded((): true | undefined => builder.hasOutlived ? true : undefined)
  )
  const once = Effect.gen(function*() {
    if (!builder.isResuming) yield* Effect.raceFirst(outlived.await, ended)
    outlived.closeUnsafe()
    builder.ended()
    yield* resume
  })
  const noted = (error: OpenPublisherError) =>
    Effect.sync(() => {
      publisher.resumeFailure = error.message
    })
  const trial: Effect.Effect<void> = once.pipe(
    Effect.andThen(Effect.sync(() => {
      publisher.resumeFailure = undefined
    })),
    Effect.catch((error) => Effect.andThen(noted(error), hasEnded(error) ? Effect.never : Effect.sleep(retryMillis))),
    Effect.andThen(Effect.suspend(() => trial))
  )
  return trial
}

// --- internal ---

/** How soon it tries again: no slot may be free, or no process may serve the log. */
const retryMillis = 100

const hasEnded = (error: OpenPublisherError): boolean => error._tag === "RegionLost" && error.reason === "stopped"

const isFenced = (error: OpenPublisherError): error is PublisherFenced => error instanceof PublisherFenced

const resumedLine = (topic: string, former: LanePort, { identity, sessionId }: LanePort, moved: number): string => {
  const who = identity === undefined ? "" : ` of identity "${identity.name}"`
  return `topic "${topic}": session ${former.sessionId}${who} outlived its lease, because this process left a batch of it `
    + `unpublished for too long; session ${sessionId} goes on with ${plural(moved, "record")} that were not committed`
}
