/**
 * What one replica does on its disk: one piece of work at a time, in a fiber of its own, while the writer copies what comes
 * next.
 *
 *     writer   append ── append ── append ─────── append ── append ───…
 *     disk        commit, manifest, cursors ┘└ commit ──────────────┘└…
 *
 * The group commit is that of a directory: batches of all its topics are synced together, each topic's in its own file.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { CursorLook } from "../../ports/CursorPort.ts"
import type { DiskError } from "../../ports/Disk.ts"
import type { ReplicaFiles } from "../ReplicaFiles.ts"
import { CursorStore } from "./CursorStore.ts"
import type { Member, ReplicaWork } from "./Member.ts"
import type { TopicFollower } from "./TopicFollower.ts"

/** How long it waits before it tries again what failed: longer each time. */
export const pauseMillis = 100
export const pauseMillisMax = 5000

export class DiskWork {
  readonly #work: ReplicaWork
  readonly #member: Member
  readonly #files: ReplicaFiles
  readonly #scope: Scope.Scope
  #isBusy = false
  #running: Fiber.Fiber<void> | undefined
  /** Since when something waits for the next commit. */
  #waitingSince: number | undefined
  #retainedMillis: number
  /** What the last work failed with; it is tried again after a pause. */
  #failure: DiskError | undefined
  #pause = pauseMillis
  #againMillis = -Infinity

  /** `scope` outlives it: see {@link stop}. */
  constructor(work: ReplicaWork, member: Member, files: ReplicaFiles, scope: Scope.Scope, nowMillis: number) {
    this.#work = work
    this.#member = member
    this.#files = files
    this.#scope = scope
    this.#retainedMillis = nowMillis
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Whether the manifest says how the files are. */
  get isTold(): boolean {
    return this.#files.manifest().inSync === this.#member.isLive
  }

  /** Begins what is due, unless work goes on. `isFull`: there is no room to append more. */
  readonly begin = (isFull: boolean): Effect.Effect<boolean> =>
    Effect.gen({ self: this }, function*() {
      const nowMillis = yield* Clock.currentTimeMillis
      if (this.#member.waitingBytes > 0) this.#waitingSince ??= nowMillis
      if (this.isBusy || !this.#isDue(isFull, nowMillis)) return false
      this.#isBusy = true
      const done = Effect.sync(() => {
        this.#isBusy = false
      })
      // It takes what waits at once, so that there is room to append more.
      this.#running = yield* Effect.forkIn(Effect.ensuring(this.#all, done), this.#scope, { startImmediately: true })
      return true
    })

  /** Begins to write what waits for the next commit, beside the work that goes on. */
  get writeAhead(): Effect.Effect<void> {
    return Effect.forEach(this.#followers, (follower) =>
      follower.hasUnwritten(this.#member.options.syncBytes)
        ? Effect.forkIn(follower.writeAhead(this.#member.options.syncBytes), this.#scope, { startImmediately: true })
        : Effect.void, { discard: true })
  }

  /** Returns when the work that goes on has ended; at once if none does. */
  readonly ended: Effect.Effect<void> = Effect.suspend(() =>
    this.#running === undefined || !this.#isBusy ? Effect.void : Effect.asVoid(Fiber.await(this.#running))
  )

  /** Ends without what has not begun. What goes on is not interrupted on the disk. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() =>
    this.#running === undefined ? Effect.void : Fiber.interrupt(this.#running)
  )

  /** The last work, once all that was appended is durable. */
  get last(): Effect.Effect<void, DiskError> {
    return Effect.andThen(
      this.#files.setInSync(this.#member.isLive),
      Effect.catch(
        this.#storeCursors(true),
        ({ message }) => Effect.sync(() => this.#member.condition.set("failing", message))
      )
    )
  }

  /** How long the writer may wait for what does not wake it. */
  leftMillis(nowMillis: number): number {
    if (this.#failure !== undefined) return Math.max(0, this.#againMillis - nowMillis)
    if (this.isBusy || this.#waitingSince === undefined) return Infinity
    return Math.max(0, this.#waitingSince + this.#member.options.syncMillis - nowMillis)
  }

  /** Whether a holder waits until the commit of its cursor is on the disk, and it can be written now. */
  hasCursors(): boolean {
    return !this.isBusy && this.#followers.some((follower) => follower.hasCursors(() => this.#look(follower)))
  }

  get #followers(): ReadonlyArray<TopicFollower> {
    return [...this.#member.followers.values()]
  }

  #look({ topic }: TopicFollower): CursorLook {
    return this.#work.log.cursors(topic.name)
  }

  #isDue(isFull: boolean, nowMillis: number): boolean {
    if (this.#failure !== undefined) return nowMillis >= this.#againMillis
    return this.#isCommitDue(isFull, nowMillis) || !this.isTold || this.#isRetentionDue(nowMillis) ||
      this.#followers.some((follower) =>
        follower.takesCursors(() => this.#look(follower), { isLast: false, nowMillis })
      )
  }

  #isCommitDue(isFull: boolean, nowMillis: number): boolean {
    const { options, stagedBytes } = this.#member
    if (stagedBytes === 0) return false
    return isFull || this.#work.isEnding || stagedBytes >= options.syncBytes
      || nowMillis - (this.#waitingSince ?? nowMillis) >= options.syncMillis
  }

  // Records grow old, and cursors that need them expire, also while no new ones come.
  #isRetentionDue(nowMillis: number): boolean {
    const { bytes, millis } = this.#member.options.retention
    return (bytes !== undefined || millis !== undefined) && nowMillis - this.#retainedMillis >= retainMillis
  }

  /** All that is due. A failure is kept, and ends this piece of work. */
  get #all(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const failed = yield* Effect.result(this.#inOrder)
      if (failed._tag === "Success") {
        this.#failure = undefined
        this.#pause = pauseMillis
        return
      }
      this.#failure = failed.failure
      this.#againMillis = (yield* Clock.currentTimeMillis) + this.#pause
      this.#pause = Math.min(2 * this.#pause, pauseMillisMax)
      this.#member.condition.set("failing", failed.failure.message)
    })
  }

  get #inOrder(): Effect.Effect<void, DiskError> {
    return Effect.gen({ self: this }, function*() {
      if (this.#member.stagedBytes > 0) yield* this.#commit
      yield* this.#files.setInSync(this.#member.isLive)
      yield* this.#storeCursors(false)
      yield* this.#retain
    })
  }

  get #commit(): Effect.Effect<void, DiskError> {
    return Effect.gen({ self: this }, function*() {
      this.#waitingSince = undefined
      const results = yield* Effect.forEach(this.#followers, ({ commit }) => Effect.result(commit), {
        concurrency: "unbounded"
      })
      this.#member.syncs += 1
      let failure: DiskError | undefined
      for (const result of results) {
        if (result._tag === "Failure") failure = result.failure
        else this.#member.syncedBytes += result.success
      }
      if (failure !== undefined) return yield* Effect.fail(failure)
    })
  }

  /** What cursors say, in each topic. */
  #storeCursors(isLast: boolean): Effect.Effect<void, DiskError> {
    return Effect.gen({ self: this }, function*() {
      const nowMillis = yield* Clock.currentTimeMillis
      for (const follower of this.#followers) {
        if (follower.takesCursors(() => this.#look(follower), { isLast, nowMillis })) {
          yield* follower.storeCursors(nowMillis)
        }
      }
    })
  }

  // A segment that cannot be removed is tried again: it does no harm but to take room.
  get #retain(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const now = yield* Clock.currentTimeMillis
      if (now - this.#retainedMillis < retainMillis) return
      this.#retainedMillis = now
      for (const follower of this.#followers) {
        yield* Effect.ignore(follower.files.retain(now, CursorStore.needed(this.#look(follower), now)))
      }
    })
  }
}

// --- internal ---

/** How often retention may look at the segments. */
const retainMillis = 5000
