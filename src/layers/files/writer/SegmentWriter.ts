/**
 * Creates segments and appends groups to them. A writer appends only to segments that it has created itself, and to none
 * after a failure: what the system has done with bytes it could not write, it does not say.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { randomInt } from "node:crypto"
import { DiskError, type DiskFile } from "../../ports/Disk.ts"
import { writeCommit } from "../format/commit.ts"
import { type SegmentHeader, writeHeader } from "../format/header.ts"
import { sizes } from "../format/layout.ts"
import { creatingName, join, segmentName } from "../segment/names.ts"
import type { TopicPlace } from "../segment/openSegment.ts"
import type { Place } from "../StoredTopic.ts"
import type { StagingBuffer } from "./StagingBuffer.ts"

/** Where a segment stands: behind the last group that is durable. */
export interface Written {
  readonly place: Place
  readonly orderedMillis: number
}

export class SegmentWriter {
  readonly path: string
  readonly firstIndex: number
  readonly term: number
  readonly #place: TopicPlace
  readonly #file: DiskFile
  readonly #scope: Scope.Closeable
  readonly #salt: number
  /** The header, until it is written ahead of the first block. */
  #beginning: Uint8Array | undefined
  #isNamed = false
  /** Behind the last durable group. */
  #offset: number
  /** Behind the last commit block, whose group may not be durable yet: there the next group begins. */
  #end: number
  /** The next group, once it is being written ahead, and its bytes that are. */
  #next: StagingBuffer | undefined
  #ahead = 0
  /** The group whose commit block is written, while it is being synced. */
  #syncing: StagingBuffer | undefined
  /** What kept them from being written. */
  #failure: DiskError | undefined
  /** One write at a time: a file is closed, or given up, behind it. A sync is none. */
  readonly #writing = Semaphore.makeUnsafe(1)
  #proves = false

  private constructor(place: TopicPlace, file: DiskFile, scope: Scope.Closeable, header: SegmentHeader) {
    this.path = join(place.dir, segmentName(header.firstIndex))
    this.firstIndex = header.firstIndex
    this.term = header.term
    this.#place = place
    this.#file = file
    this.#scope = scope
    this.#salt = randomInt(2 ** 32)
    this.#beginning = writeHeader(this.#salt, header)
    this.#offset = this.#end = this.#beginning.length
  }

  /**
   * Opens a segment, in which nothing is written yet. It gets its name once its first group is durable, so that a file of that
   * name always has a valid header and a valid group; it takes the place of a file of that name, which was never finished.
   */
  static open(place: TopicPlace, header: SegmentHeader): Effect.Effect<SegmentWriter, DiskError> {
    return Effect.uninterruptible(
      Effect.flatMap(
        Scope.make(),
        (scope) =>
          place.disk.open(join(place.dir, creatingName(header.firstIndex)), "create").pipe(
            Scope.provide(scope),
            Effect.map((file) => new SegmentWriter(place, file, scope, header)),
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
          )
      )
    )
  }

  /** Gives up a segment that has no name. */
  readonly discard: Effect.Effect<void> = Effect.suspend(() =>
    this.#alone(
      Effect.andThen(Scope.close(this.#scope, Exit.void), Effect.ignore(this.#place.disk.remove(this.#creating)))
    )
  )

  /** Behind the last durable group. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes of a group that fit behind the last commit block, in a segment of that size. */
  roomIn(segmentBytes: number): number {
    return segmentBytes - this.#end - sizes.commit
  }

  /** Bytes of this group that are written ahead, or about to be; `undefined` where none are. */
  aheadOf(group: StagingBuffer): number | undefined {
    return this.#next === group ? this.#ahead : undefined
  }

  /** Whether all of the group is written, and a sync of it goes on. */
  isSyncing(group: StagingBuffer): boolean {
    return this.#syncing === group
  }

  /**
   * Writes the blocks of the group that {@link append} is given next, as far as it has come. That may be while the group before
   * is being synced: without a commit block they are nothing yet. `group` is asked when no other write goes on. A failure is
   * told by `append`. Returns the bytes.
   */
  readonly writeAhead = (group: () => StagingBuffer | undefined): Effect.Effect<number> =>
    this.#alone(Effect.suspend(() => {
      const next = group()
      if (next === undefined || this.#failure !== undefined) return Effect.succeed(0)
      this.#next = next
      const bytes = next.bytesFrom(this.#ahead)
      return Effect.match(this.#write(this.#ahead, [bytes]), {
        onSuccess: () => {
          this.#ahead += bytes.length
          return bytes.length
        },
        onFailure: (failure) => {
          this.#failure = failure
          return 0
        }
      })
    }))

  /**
   * Appends a group and makes it durable. The group before is durable by now: each commit block is the proof of the one before
   * it. The first one gives the segment its name. After a failure nothing may be appended any more.
   */
  append(group: StagingBuffer, before: Written): Effect.Effect<void, DiskError> {
    const writing = this.#alone(Effect.suspend(() => {
      if (this.#failure !== undefined) return Effect.fail(this.#failure)
      const [from, end, ahead] = [this.#end, this.#end + group.used + sizes.commit, this.aheadOf(group) ?? 0]
      const parts = [group.bytesFrom(ahead), this.#commit(from, end, group, before.orderedMillis)]
      return Effect.map(this.#write(ahead, parts), () => {
        this.#end = end
        this.#next = undefined
        this.#ahead = 0
        this.#syncing = group
      })
    }))
    const durable = Effect.mapError(
      Effect.andThen(writing, this.#file.sync),
      // The file was opened under the name that it had while it was created.
      ({ code, op }) => new DiskError({ op, path: this.path, code })
    )
    return Effect.suspend(() => {
      const isNamed = this.#isNamed
      const ended = Effect.sync(() => {
        this.#syncing = undefined
      })
      return Effect.map(Effect.ensuring(isNamed ? durable : Effect.andThen(durable, this.#name), ended), () => {
        this.#offset = this.#end
        // Its name is the proof of the first group.
        this.#proves = isNamed
      })
    })
  }

  /**
   * Closes the file. In good order it ends with a commit block of no batches: that proves to the next process that the
   * last group is durable, which it would have to write again otherwise.
   */
  close(inGoodOrder: boolean, { orderedMillis, place }: Written): Effect.Effect<void> {
    const closing = Effect.suspend(() => {
      if (!inGoodOrder || !this.#proves || this.#failure !== undefined) return Effect.void
      const [previousEnd, end] = [this.#offset, this.#offset + sizes.commit]
      const commit = writeCommit(this.#salt, {
        groupCrc: 0,
        previousEnd,
        end,
        nextIndex: place.index,
        nextPosition: place.position,
        orderedMillis,
        batches: 0
      })
      return Effect.ignore(this.#file.write(previousEnd, [commit]))
    })
    return this.#alone(Effect.andThen(closing, Scope.close(this.#scope, Exit.void)))
  }

  get #creating(): string {
    return join(this.#place.dir, creatingName(this.firstIndex))
  }

  get #name(): Effect.Effect<void, DiskError> {
    const { dir, disk } = this.#place
    return Effect.map(Effect.andThen(disk.rename(this.#creating, this.path), disk.syncDirectory(dir)), () => {
      this.#isNamed = true
    })
  }

  /** Writes behind the last commit block and so many bytes. */
  #write(ahead: number, parts: ReadonlyArray<Uint8Array>): Effect.Effect<void, DiskError> {
    const beginning = this.#beginning
    if (beginning === undefined) return this.#file.write(this.#end + ahead, parts)
    return Effect.map(this.#file.write(0, [beginning, ...parts]), () => {
      this.#beginning = undefined
    })
  }

  /** The system uses the buffers until it has answered. */
  #alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptible(Semaphore.withPermit(this.#writing, effect))
  }

  #commit(previousEnd: number, end: number, group: StagingBuffer, orderedBefore: number): Uint8Array {
    return writeCommit(this.#salt, {
      groupCrc: group.groupCrc,
      previousEnd,
      end,
      nextIndex: group.next.index,
      nextPosition: group.next.position,
      orderedMillis: Math.max(orderedBefore, group.orderedMillis),
      batches: group.batches
    })
  }
}
