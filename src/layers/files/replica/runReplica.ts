/**
 * Runs one replica: one fiber follows the log in all its durable topics.
 *
 *     look for topics ─► connect ─► append what is new ─► begin the disk's work when enough or late ─► wait
 *
 * It goes on appending while the disk works (`DiskWork`).
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
import type { ReplicaOpenError } from "../ReplicaError.ts"
import type { ReplicaFiles } from "../ReplicaFiles.ts"
import { connect, refuseDiverged, type ReplicaDiverged } from "./connecting.ts"
import { DiskWork, pauseMillis, pauseMillisMax } from "./DiskWork.ts"
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

/** How often it looks for what does not wake it. */
const idleMillis = 100

/** While batches come in it looks for more about once for so many bytes, because a look costs a turn of the event loop. */
const lookBytes = 512 * 1024

/**
 * The shortest and the longest pause between two such looks; half the time after which a group is synced, if that is less. A
 * burst that fills the log's memory meanwhile waits so long.
 */
const [laterMillisMin, laterMillisMax] = [1, 5]

/** So little waits that a commit begins behind the copying of what has come since the last look. */
const littleBytes = 1024 * 1024

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
  readonly disk: DiskWork
  lookedMillis: number
  /** What was appended since it waited last. */
  appendedBytes: number
  /** How long it waits before it looks for more behind what it has. */
  laterMillis: number
}

const writing = (
  work: ReplicaWork,
  member: Member,
  onOpen: Effect.Effect<unknown>
): Effect.Effect<void, WritingError, Scope.Scope> =>
  Effect.gen(function*() {
    const files = yield* openMember(work, member)
    yield* onOpen
    const scope = yield* Effect.scope
    const disk = new DiskWork(work, member, files, scope, yield* Clock.currentTimeMillis)
    const drive: Drive = {
      work,
      member,
      files,
      scope,
      disk,
      lookedMillis: -Infinity,
      appendedBytes: 0,
      laterMillis: laterMillisMin
    }
    yield* following(drive).pipe(Effect.ensuring(disk.stop))
  })

const following = (drive: Drive): Effect.Effect<void, WritingError> =>
  Effect.gen(function*() {
    const { disk, member, work } = drive
    // The last turn of a replica that ends begins after the log has ended.
    for (let isLast = work.isEnding;; isLast = work.isEnding) {
      const found = yield* turn(drive)
      if (found === "more") yield* Effect.yieldNow
      else if (isLast && !disk.isBusy && isDone(member)) return yield* disk.last
      else yield* waiting(drive, found)
    }
  })

/** `more`: there may be more to do at once. `full`: nothing can be appended before the disk has answered. */
const turn = (drive: Drive): Effect.Effect<"more" | "full" | "all", WritingError> =>
  Effect.gen(function*() {
    const { disk, member } = drive
    yield* followTopics(drive)
    // Ahead of the copying, where that may be much: the disk is not to wait for it.
    let begun = member.waitingBytes >= littleBytes && (yield* disk.begin(false))
    const waitingBytes = member.waitingBytes
    let [isFull, moved] = [false, false]
    for (const follower of member.followers.values()) {
      const found = follower.isLive
        ? follower.appendLive(member.options.syncBytes)
        : yield* follower.appendFromPeer
      isFull = isFull || found === "full"
      moved = moved || found === "more"
    }
    drive.appendedBytes += member.waitingBytes - waitingBytes
    if (yield* disk.begin(isFull)) begun = true
    yield* disk.writeAhead
    if (disk.hasFailed) return "full"
    if (disk.isTold) tellCondition(member)
    if (moved || begun) return "more"
    return isFull ? "full" : "all"
  })

const isDone = ({ followers }: Member): boolean =>
  [...followers.values()].every((follower) => follower.isSynced && !follower.hasMore())

const tellCondition = ({ condition, followers }: Member): void => {
  const all = [...followers.values()]
  const damage = all.map((follower) => follower.damage()).find((found) => found !== undefined)
  if (damage !== undefined) return condition.set("failing", damage)
  const behind = all.find((follower) => !follower.isLive)
  if (behind === undefined) return condition.set("in sync")
  if (behind.stuck !== undefined) return condition.set("lapped", behind.stuck)
  const { topic } = behind
  condition.set(behind.isLapped ? "lapped" : "catching up", `topic "${topic.name}", from another replica's files`)
}

// Opens topics that were declared since, and connects those that are not live.
const followTopics = (drive: Drive): Effect.Effect<void, WritingError> =>
  Effect.gen(function*() {
    const { files, member, scope, work } = drive
    if (member.isLive && !hasNewTopic(drive)) return
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
  isLookDue(drive) && drive.work.log.topicNames().some((name) => {
    const isNew = !drive.member.followers.has(name)
    if (isNew) drive.lookedMillis = -Infinity
    return isNew
  })

/** Longer where little came since the last look, shorter where much did. */
const setPause = (drive: Drive): void => {
  const { appendedBytes, laterMillis, member: { options } } = drive
  const factor = appendedBytes > lookBytes ? 0.5 : appendedBytes < lookBytes / 2 ? 2 : 1
  const mostMillis = Math.min(options.syncMillis / 2, laterMillisMax)
  drive.laterMillis = Math.max(laterMillisMin, Math.min(factor * laterMillis, mostMillis))
  drive.appendedBytes = 0
}

const waiting = (drive: Drive, found: "full" | "all"): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { disk, member, work } = drive
    const ending = work.isEnding ? Effect.never : work.ending.await
    const leftMillis = disk.leftMillis(yield* Clock.currentTimeMillis)
    if (disk.hasFailed && !disk.isBusy) return yield* Effect.raceFirst(Effect.sleep(leftMillis), ending)
    const hasMore = (): true | undefined =>
      [...member.followers.values()].some((follower) => follower.hasMore()) || hasNewTopic(drive) || disk.hasCursors()
        ? true :
        undefined
    const looksLater = drive.appendedBytes > 0 && (member.waitingBytes > 0 || disk.isBusy)
    setPause(drive)
    const changed = found === "full" || looksLater
      ? Effect.never
      // The log's end is told by `ending`: until then a lost log is only waited for.
      : Effect.catch(work.log.waiter.until(hasMore), () => Effect.never)
    // While batches come in it looks now and then for more, and no sequencer need ring it for each: the next commit is not yet
    // due, or has to wait for the disk.
    const laterMillis = found === "full" || !looksLater ? idleMillis : drive.laterMillis
    const woken = Effect.andThen(member.woken.await, Effect.sync(() => member.woken.closeUnsafe()))
    const answered = disk.isBusy ? disk.ended : Effect.never
    yield* Effect.raceAllFirst([changed, answered, woken, ending, Effect.sleep(Math.min(leftMillis, laterMillis))])
  })
