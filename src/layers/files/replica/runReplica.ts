/**
 * Runs one replica: one fiber follows the log in all its durable topics.
 *
 *     look for topics ─► connect ─► append what is new ─► commit when enough or late ─► wait
 *
 * The group commit is that of a directory: batches of all its topics are synced together, each topic's in its own file.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Order, TopicError } from "../../../services/schema/Topic.ts"
import * as Topic from "../../../services/schema/Topic.ts"
import type { DiskError } from "../../ports/Disk.ts"
import type { ReplicaOpenError } from "../ReplicaError.ts"
import type { ReplicaFiles } from "../ReplicaFiles.ts"
import { connect, refuseDiverged, type ReplicaDiverged } from "./connecting.ts"
import { CursorStore } from "./CursorStore.ts"
import type { Member, ReplicaWork } from "./Member.ts"
import { openMember, openTopicFiles } from "./openMember.ts"
import { TopicFollower } from "./TopicFollower.ts"

/**
 * The replica ends once the log has ended and all that is committed is on its disk. Until then it tries again whatever
 * fails. Given `opened`, it does so only once it has opened its directory: a failure of that completes `opened`, and ends it.
 */
export const runReplica = (
  work: ReplicaWork,
  member: Member,
  opened?: Deferred.Deferred<void, WritingError>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let pause = pauseMillis;;) {
      // Also after an interruption: the next writer of this replica must not find readers that are detached.
      const forget = Effect.sync(() => member.followers.clear())
      const onOpen = Effect.suspend(() => {
        pause = pauseMillis
        return opened === undefined ? Effect.void : Deferred.succeed(opened, undefined)
      })
      const exit = yield* Effect.exit(Effect.scoped(writing(work, member, onOpen)).pipe(Effect.ensuring(forget)))
      if (Exit.isSuccess(exit)) break
      if (opened !== undefined && (yield* Deferred.failCause(opened, exit.cause))) break
      const error = Exit.findErrorOption(exit)
      // A defect, or the end of a server that is not waited for.
      if (error._tag === "None") return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
      tellFailure(member, error.value)
      if (work.isEnding) break
      yield* Effect.raceFirst(Effect.sleep(pause), work.ending.await)
      pause = Math.min(2 * pause, pauseMillisMax)
    }
    member.condition.set("stopped")
  })

/** What keeps a replica from following the log. */
export type WritingError = ReplicaOpenError | ReplicaDiverged | RegionError | TopicError | RegionLost

// --- internal ---

/** How long it waits before it tries again what failed: longer each time. */
const pauseMillis = 100
const pauseMillisMax = 5000

/** How often it looks for what does not wake it. */
const idleMillis = 100

/** How often retention may look at the segments. */
const retainMillis = 5000

const tellFailure = ({ condition }: Member, error: WritingError): void => {
  switch (error._tag) {
    case "ReplicaBusy":
      return condition.set("waiting", error.message)
    case "ReplicaDamaged":
    case "ReplicaForeign":
    case "ReplicaDiverged":
      return condition.set("damaged", error.message)
    default:
      return condition.set("failing", error.message)
  }
}

/** The state of one writer between its turns. */
interface Drive {
  readonly work: ReplicaWork
  readonly member: Member
  readonly files: ReplicaFiles
  readonly scope: Scope.Scope
  /** Since when something waits to be synced. */
  stagedMillis: number | undefined
  lookedMillis: number
  retainedMillis: number
  /** Whether the last commit failed, and how long to wait before the next. */
  failure: DiskError | undefined
  pause: number
}

const writing = (
  work: ReplicaWork,
  member: Member,
  onOpen: Effect.Effect<unknown>
): Effect.Effect<void, WritingError, Scope.Scope> =>
  Effect.gen(function*() {
    const files = yield* openMember(work, member)
    yield* onOpen
    const drive: Drive = {
      work,
      member,
      files,
      scope: yield* Effect.scope,
      stagedMillis: undefined,
      lookedMillis: -Infinity,
      retainedMillis: yield* Clock.currentTimeMillis,
      failure: undefined,
      pause: pauseMillis
    }
    // The last turn of a replica that ends begins after the log has ended.
    for (let isLast = work.isEnding;; isLast = work.isEnding) {
      const moved = yield* turn(drive)
      if (isLast && !moved && isDone(member)) return yield* files.setInSync(isLive(member))
      if (!moved) yield* waiting(drive)
    }
  })

/** True when there may be more to do at once. */
const turn = (drive: Drive): Effect.Effect<boolean, WritingError> =>
  Effect.gen(function*() {
    const { files, member, work } = drive
    yield* followTopics(drive)
    let isFull = false
    let moved = false
    for (const follower of member.followers.values()) {
      const found = follower.isLive
        ? follower.appendLive(member.options.syncBytes)
        : yield* follower.appendFromPeer
      isFull = isFull || found === "full"
      moved = moved || found === "more"
      if (follower.damage() !== undefined) member.condition.set("failing", follower.damage())
    }
    const committed = yield* commitDue(drive, isFull)
    if (drive.failure === undefined) {
      yield* files.setInSync(isLive(member))
      const failure = yield* storeCursors(drive)
      if (failure === undefined) tellCondition(member)
      else member.condition.set("failing", failure.message)
    }
    return drive.failure === undefined && (moved || isFull || (committed && work.isEnding))
  })

const isLive = ({ followers }: Member): boolean => [...followers.values()].every((follower) => follower.isLive)

const isDone = ({ followers }: Member): boolean =>
  [...followers.values()].every((follower) => follower.isSynced && !follower.hasMore())

const tellCondition = ({ condition, followers }: Member): void => {
  const behind = [...followers.values()].find((follower) => !follower.isLive)
  if (behind === undefined) return condition.set("in sync")
  if (behind.stuck !== undefined) return condition.set("lapped", behind.stuck)
  const { topic } = behind
  condition.set(behind.isLapped ? "lapped" : "catching up", `topic "${topic.name}", from another replica's files`)
}

// Opens topics that were declared since, and connects those that are not live.
const followTopics = (drive: Drive): Effect.Effect<void, WritingError> =>
  Effect.gen(function*() {
    const { files, member, scope, work } = drive
    if (isLive(member) && !isLookDue(drive)) return
    for (const state of work.log.topics()) {
      let follower = member.followers.get(state.name)
      if (follower === undefined) {
        const opened = yield* openTopicFiles(work, member, files, state)
        yield* refuseDiverged(member.options.dir, state, opened.end())
        const topic = Topic.make(state.name, { order: state.order as Order, ack: "durable" })
        follower = new TopicFollower(topic, opened, scope)
        member.followers.set(state.name, follower)
      }
      if (!follower.isLive) yield* connect(work, member, files.manifest().replicaId, follower, state)
    }
  })

const isLookDue = (drive: Drive): boolean => {
  const now = performance.now()
  if (now - drive.lookedMillis < drive.work.lookMillis) return false
  drive.lookedMillis = now
  return true
}

const hasNewTopic = (drive: Drive): boolean =>
  isLookDue(drive) && drive.work.log.topics().some(({ name }) => {
    const isNew = !drive.member.followers.has(name)
    if (isNew) drive.lookedMillis = -Infinity
    return isNew
  })

const stagedBytes = ({ followers }: Member): number =>
  [...followers.values()].reduce((sum, { files }) => sum + files.stagedBytes(), 0)

/** Commits when there is enough, or something has waited long enough. True when it did. */
const commitDue = (drive: Drive, isFull: boolean): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    const { member, work } = drive
    const { syncBytes, syncMillis } = member.options
    const bytes = stagedBytes(member)
    const now = yield* Clock.currentTimeMillis
    if (bytes === 0) {
      drive.stagedMillis = undefined
      return false
    }
    drive.stagedMillis ??= now
    const isDue = isFull || work.isEnding || bytes >= syncBytes || now - drive.stagedMillis >= syncMillis
    if (!isDue) return false
    yield* commitAll(drive)
    return true
  })

/** What cursors say, in each topic. What failed is tried again with the next turn. */
const storeCursors = ({ member, work }: Drive): Effect.Effect<DiskError | undefined> =>
  Effect.gen(function*() {
    const nowMillis = yield* Clock.currentTimeMillis
    let failure: DiskError | undefined
    for (const { storeCursors, topic } of member.followers.values()) {
      const stored = yield* Effect.result(
        storeCursors(work.log.cursors(topic.name), { isLast: work.isEnding, nowMillis })
      )
      if (stored._tag === "Failure") failure = stored.failure
    }
    return failure
  })

const hasCursors = ({ member, work }: Drive): boolean =>
  [...member.followers.values()].some((follower) => follower.hasCursors(() => work.log.cursors(follower.topic.name)))

const commitAll = (drive: Drive): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { member } = drive
    const followers = [...member.followers.values()]
    const results = yield* Effect.forEach(followers, ({ commit }) => Effect.result(commit), {
      concurrency: "unbounded"
    })
    let failure: DiskError | undefined
    for (const result of results) {
      if (result._tag === "Failure") failure = result.failure
      else member.syncedBytes += result.success
    }
    member.syncs += 1
    drive.failure = failure
    drive.stagedMillis = undefined
    if (failure !== undefined) return member.condition.set("failing", failure.message)
    drive.pause = pauseMillis
    yield* retainDue(drive)
  })

// A segment that cannot be removed is tried again: it does no harm but to take room.
const retainDue = (drive: Drive): Effect.Effect<void> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    if (now - drive.retainedMillis < retainMillis) return
    drive.retainedMillis = now
    for (const { files, topic } of drive.member.followers.values()) {
      yield* Effect.ignore(files.retain(now, CursorStore.needed(drive.work.log.cursors(topic.name), now)))
    }
  })

const waiting = (drive: Drive): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { member, work } = drive
    if (drive.failure !== undefined) {
      const { pause } = drive
      drive.pause = Math.min(2 * pause, pauseMillisMax)
      return yield* Effect.raceFirst(Effect.sleep(pause), work.ending.await)
    }
    const now = yield* Clock.currentTimeMillis
    const left = drive.stagedMillis === undefined
      ? idleMillis
      : Math.max(0, drive.stagedMillis + member.options.syncMillis - now)
    const hasMore = (): true | undefined =>
      [...member.followers.values()].some((follower) => follower.hasMore()) || hasNewTopic(drive) || hasCursors(drive)
        ? true :
        undefined
    // The log's end is told by `ending`: until then a lost log is only waited for.
    const changed = Effect.catch(work.log.waiter.until(hasMore), () => Effect.never)
    const woken = Effect.andThen(member.woken.await, Effect.sync(() => member.woken.closeUnsafe()))
    const ending = work.isEnding ? Effect.never : work.ending.await
    yield* Effect.raceAllFirst([changed, woken, ending, Effect.sleep(Math.min(left, idleMillis))])
  })
