/**
 * One topic of one replica: takes batches from the live log, or from the files of another replica while memory no longer
 * holds them, and appends them to the topic's files.
 *
 *     memory ─► live port ───┐
 *                            ├─► append ─► commit (synced) ─► release in the live port
 *     a peer's files ─► read ┘
 *
 * What it releases in the live port is what its disk has: so publishers learn what is durable.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Topic } from "../../../services/schema/Topic.ts"
import type { CursorLook } from "../../ports/CursorPort.ts"
import type { DiskError } from "../../ports/Disk.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { TopicFiles } from "../ReplicaFiles.ts"
import type { StoredBatch, StoredReader } from "../StoredTopic.ts"
import { CursorStore, type StoreTime } from "./CursorStore.ts"

/** Few, so that a poll of one topic does not delay the others. */
const batchesPolledMax = 64

/** Most bytes copied in one turn of the event loop, in which the disk answers too. */
const sliceBytes = 1024 * 1024

/** As many bytes are written ahead of their commit at once. */
const aheadBytes = 1024 * 1024

export class TopicFollower {
  readonly topic: Topic
  readonly files: TopicFiles
  readonly #parent: Scope.Scope
  #source: { readonly live: IndexPort } | { readonly peer: StoredReader } | undefined
  #scope: Scope.Closeable | undefined
  /** Batches that were taken and are not appended yet, from `#at` on. */
  #taken: ReadonlyArray<StoredBatch> = []
  #at = 0
  #isAhead = false
  readonly #cursors: CursorStore
  /** Why it cannot catch up, if it cannot. */
  stuck: string | undefined
  /** Whether it was detached because it held up publishers, and has not come back. */
  isLapped = false
  /** Whether it has taken all that another replica has. */
  isAtPeersEnd = false

  /** `parent`: the scope of all that it opens. */
  constructor(topic: Topic, files: TopicFiles, parent: Scope.Scope) {
    this.topic = topic
    this.files = files
    this.#cursors = new CursorStore(files)
    this.#parent = parent
  }

  get isLive(): boolean {
    return this.#source !== undefined && "live" in this.#source
  }

  get hasPeer(): boolean {
    return this.#source !== undefined && "peer" in this.#source
  }

  /** Whether all that was taken is on the disk. */
  get isSynced(): boolean {
    return this.#at === this.#taken.length && this.files.stagedBytes() === 0
  }

  /** Whether the live log has a batch that was not taken yet. */
  hasMore(): boolean {
    const live = this.#live
    return this.#at < this.#taken.length || (live !== undefined && live.committed() > live.next())
  }

  /** Why the live log cannot be read. */
  damage(): string | undefined {
    return this.#live?.damage()
  }

  /** Opens a source in a scope of its own; it takes the place of the former one. */
  readonly open = <E>(
    opening: Effect.Effect<{ readonly live: IndexPort } | { readonly peer: StoredReader }, E, Scope.Scope>
  ): Effect.Effect<void, E> =>
    Effect.gen({ self: this }, function*() {
      yield* this.leave
      const scope = yield* Scope.fork(this.#parent)
      this.#source = yield* Scope.provide(opening, scope).pipe(Effect.onError(() => Scope.close(scope, Exit.void)))
      this.#scope = scope
    })

  /** Gives its source up. What was taken and not appended is taken again from the next one. */
  readonly leave: Effect.Effect<void> = Effect.suspend(() => {
    const scope = this.#scope
    this.#scope = undefined
    this.#source = undefined
    this.#taken = []
    this.#at = 0
    this.#cursors.forget()
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })

  /**
   * Appends a part of what the live log has, as long as less than `mostBytes` wait for the next commit. `full`: there is no
   * room for more before a commit.
   */
  appendLive(mostBytes: number): "full" | "more" | "all" {
    const live = this.#live
    if (live === undefined) return "all"
    if (this.files.waitingBytes() >= mostBytes) return "full"
    if (this.#at === this.#taken.length) {
      this.#taken = live.poll(batchesPolledMax)
      this.#at = 0
    }
    const until = Math.min(mostBytes, this.files.waitingBytes() + sliceBytes)
    if (!this.#append(until) || this.files.waitingBytes() >= mostBytes) return "full"
    return this.hasMore() ? "more" : "all"
  }

  /**
   * Takes the next batches from the peer's files and appends them. At their end, and when they cannot be read, it gives
   * them up.
   */
  readonly appendFromPeer: Effect.Effect<"full" | "more" | "all"> = Effect.gen({ self: this }, function*() {
    const source = this.#source
    if (source === undefined || "live" in source) return "all"
    if (!this.#append()) return "full"
    const pulled = yield* Effect.result(source.peer.pull)
    if (pulled._tag === "Failure" || pulled.success.length === 0) {
      this.isAtPeersEnd = pulled._tag === "Success"
      this.stuck = pulled._tag === "Failure" ? pulled.failure.message : undefined
      yield* this.leave
      return "all"
    }
    this.#taken = pulled.success
    this.#at = 0
    return this.#append() ? "more" : "full"
  })

  /** Whether enough waits to be written ahead of its commit; all that waits when no more is appended before that. */
  hasUnwritten(mostBytes: number): boolean {
    const unwritten = this.files.unwrittenBytes()
    return unwritten >= aheadBytes
      || (unwritten > 0 && this.files.waitingBytes() >= mostBytes)
  }

  /** Writes it, and what has come meanwhile, unless a fiber is at it. */
  readonly writeAhead = (mostBytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.#isAhead || !this.hasUnwritten(mostBytes)) return Effect.void
      this.#isAhead = true
      const writing = Effect.gen({ self: this }, function*() {
        while (this.hasUnwritten(mostBytes) && (yield* this.files.writeAhead) > 0) {
          // goes on as long as there is more
        }
      })
      return Effect.ensuring(writing, Effect.sync(() => this.#isAhead = false))
    })

  /** Makes what was appended durable, and tells the log. Returns the bytes. */
  readonly commit: Effect.Effect<number, DiskError> = Effect.suspend(() => {
    const bytes = this.files.stagedBytes()
    if (bytes === 0) return Effect.succeed(0)
    return Effect.map(this.files.commit, ({ index }) => {
      this.#live?.release(index)
      return bytes
    })
  })

  /** Whether a holder waits until the commit of its cursor is on the disk, and it can be written now. */
  hasCursors(look: () => CursorLook): boolean {
    return this.isLive && this.#cursors.hasWanted(look())
  }

  /** Whether what cursors say is to be written, and can be. Only of the live log: other files are not waited for. */
  takesCursors(look: () => CursorLook, now: StoreTime): boolean {
    return this.isLive && this.#cursors.take(look(), now)
  }

  /** Makes what cursors say durable, as it was taken, and tells the log. */
  readonly storeCursors = (nowMillis: number): Effect.Effect<void, DiskError> =>
    this.#cursors.store(nowMillis, (stamp) => this.#live?.storedCursors?.(stamp))

  get #live(): IndexPort | undefined {
    return this.#source !== undefined && "live" in this.#source ? this.#source.live : undefined
  }

  /** Up to about so many waiting bytes. False when there is no room for more. */
  #append(untilBytes = Infinity): boolean {
    for (; this.#at < this.#taken.length && this.files.waitingBytes() < untilBytes; this.#at += 1) {
      if (!this.files.append(this.#taken[this.#at] as StoredBatch)) return false
    }
    return true
  }
}
