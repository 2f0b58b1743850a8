/**
 * Creates segments and appends groups to them. A writer appends only to segments that it has created itself, and to none
 * after a failure: what the system has done with bytes it could not write, it does not say.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
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
  readonly #file: DiskFile
  readonly #scope: Scope.Closeable
  readonly #salt: number
  #offset: number
  #proves = false

  private constructor(path: string, file: DiskFile, scope: Scope.Closeable, salt: number, offset: number) {
    this.path = path
    this.#file = file
    this.#scope = scope
    this.#salt = salt
    this.#offset = offset
  }

  /**
   * Creates a segment with its first group. It gets its name once its bytes are durable, so that a file of that name
   * always has a valid header and a valid group; it takes the place of a file of that name, which was never finished.
   */
  static create(
    { dir, disk }: TopicPlace,
    header: SegmentHeader,
    group: StagingBuffer
  ): Effect.Effect<SegmentWriter, DiskError> {
    const unfinished = join(dir, creatingName(header.firstIndex))
    const path = join(dir, segmentName(header.firstIndex))
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const creating = Effect.gen(function*() {
        const file = yield* Scope.provide(disk.open(unfinished, "create"), scope)
        const salt = randomInt(2 ** 32)
        const beginning = writeHeader(salt, header)
        const writer = new SegmentWriter(path, file, scope, salt, beginning.length)
        const end = writer.#end(group.used)
        yield* file.write(0, [beginning, group.bytes, writer.#commit(end, group, header.orderedMillis)])
        yield* file.sync
        yield* disk.rename(unfinished, path)
        yield* disk.syncDirectory(dir)
        writer.#offset = end
        return writer
      })
      return yield* Effect.onExit(creating, (exit) =>
        Exit.isSuccess(exit)
          ? Effect.void
          : Effect.andThen(Scope.close(scope, exit), Effect.ignore(disk.remove(unfinished))))
    })
  }

  /** Behind the last durable group. */
  get offset(): number {
    return this.#offset
  }

  /** Appends a group and makes it durable. After a failure nothing may be appended any more. */
  append(group: StagingBuffer, before: Written): Effect.Effect<void, DiskError> {
    return Effect.suspend(() => {
      const end = this.#end(group.used)
      const parts = [group.bytes, this.#commit(end, group, before.orderedMillis)]
      return Effect.mapError(
        Effect.map(Effect.andThen(this.#file.write(this.#offset, parts), this.#file.sync), () => {
          this.#offset = end
          this.#proves = true
        }),
        // The file was opened under the name that it had while it was created.
        ({ code, op }) => new DiskError({ op, path: this.path, code })
      )
    })
  }

  /**
   * Closes the file. In good order it ends with a commit block of no batches: that proves to the next process that the
   * last group is durable, which it would have to write again otherwise.
   */
  close(inGoodOrder: boolean, { orderedMillis, place }: Written): Effect.Effect<void> {
    const closing = Effect.suspend(() => {
      if (!inGoodOrder || !this.#proves) return Effect.void
      const [previousEnd, end] = [this.#offset, this.#end(0)]
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
    return Effect.andThen(closing, Scope.close(this.#scope, Exit.void))
  }

  #end(groupBytes: number): number {
    return this.#offset + groupBytes + sizes.commit
  }

  #commit(end: number, group: StagingBuffer, orderedBefore: number): Uint8Array {
    return writeCommit(this.#salt, {
      groupCrc: group.groupCrc,
      previousEnd: this.#offset,
      end,
      nextIndex: group.next.index,
      nextPosition: group.next.position,
      orderedMillis: Math.max(orderedBefore, group.orderedMillis),
      batches: group.batches
    })
  }
}
