/**
 * Reads a segment group by group, and trusts only groups that a valid commit block covers. Reading, recovery and
 * verification are all loops over it.
 */
import * as Effect from "effect/Effect"
import type { DiskError, DiskFile } from "../../ports/Disk.ts"
import { readBatch } from "../format/batch.ts"
import { crcOf } from "../format/bytes.ts"
import { type Commit, readCommit } from "../format/commit.ts"
import { alignment, block, kinds, sizes } from "../format/layout.ts"
import type { Place, StoredBatch } from "../StoredTopic.ts"
import { FileWindow, type ReadingAhead } from "./FileWindow.ts"

/** A valid group. Its batches are lent until the walker's next step. */
export interface Group {
  readonly kind: "group"
  readonly batches: ReadonlyArray<StoredBatch>
  readonly commit: Commit
}

/** What follows the last valid group: nothing, or bytes that are no whole group, and why. */
export interface Tail {
  readonly kind: "tail"
  /** Where it begins: behind the last valid commit block. */
  readonly offset: number
  /** Where the first invalid block begins, and what is wrong with it. None at the very end of the file. */
  readonly fault: { readonly offset: number; readonly detail: string } | undefined
}

export class SegmentWalker {
  readonly #file: DiskFile
  readonly #salt: number
  readonly #window: FileWindow
  #offset: number
  #place: Place
  /** The group under way: its batches so far, the bytes of their blocks, and the checksum of their checksums. */
  #batches: Array<StoredBatch | undefined> = []
  #bytes = 0
  #groupCrc = 0

  /**
   * Begins at a group: place `offset` of the file, where the batch at `place` begins. The scope of what is read ahead ends before
   * the file is closed.
   */
  constructor(file: DiskFile, salt: number, offset: number, place: Place, ahead?: ReadingAhead) {
    this.#file = file
    this.#salt = salt
    this.#window = new FileWindow(file, offset, ahead)
    this.#offset = offset
    this.#place = place
  }

  /** Behind the last valid group. */
  get offset(): number {
    return this.#offset
  }

  get place(): Place {
    return this.#place
  }

  /** The next valid group. After a tail it looks at the same place again: the file may have grown. */
  readonly next: Effect.Effect<Group | Tail, DiskError> = Effect.suspend(() => {
    this.#window.letGo()
    return this.#follow
  })

  readonly #follow: Effect.Effect<Group | Tail, DiskError> = Effect.suspend(() => {
    const found = this.#parse()
    return typeof found === "number" ? this.#readOn(found) : Effect.succeed(found)
  })

  #readOn(wanted: number): Effect.Effect<Group | Tail, DiskError> {
    const at = this.#offset + this.#bytes
    const reading = Effect.flatMap(
      this.#window.advance(at, wanted),
      (held) => held ? this.#follow : Effect.succeed(this.#cut(this.#window.from + this.#window.filled))
    )
    if (wanted <= this.#window.bytes.bytes.length) return reading
    // Ask first: a damaged length must not make the window grow beyond the file.
    return Effect.flatMap(this.#file.size, (size) => at + wanted <= size ? reading : Effect.succeed(this.#cut(size)))
  }

  /** `end`: of the file, or of what was read of it. */
  #cut(end: number): Tail {
    return end <= this.#offset ? this.#tail(undefined) : this.#fault("the file ends within it")
  }

  /** A group, a tail, or the bytes from the next block's beginning that must be read to know. */
  #parse(): Group | Tail | number {
    const { bytes, filled, from } = this.#window
    const start = this.#offset - from
    for (;;) {
      const at = start + this.#bytes
      if (at + sizes.block > filled) return sizes.block
      const length = bytes.view.getUint32(at + block.length.at, true)
      const kind = bytes.view.getUint32(at + block.kind.at, true)
      const wrong = wrongBlock(kind, length)
      if (wrong !== undefined) return this.#fault(wrong)
      if (at + length > filled) return length
      if (kind === kinds.commit) return this.#commit(at)
      const crc = crcOf(bytes, at + block.length.at, at + length)
      if (bytes.view.getUint32(at + block.crc.at, true) !== crc) return this.#fault("its checksum is wrong")
      this.#groupCrc = crcOf(bytes, at, at + block.length.at, this.#groupCrc)
      this.#batches.push(readBatch(bytes, at))
      this.#bytes += length
    }
  }

  #commit(at: number): Group | Tail {
    const { bytes } = this.#window
    const commit = readCommit(bytes, at, this.#offset + this.#bytes, this.#salt)
    if (commit === undefined) return this.#fault("its checksum is wrong, or it was written for another place")
    if (
      commit.previousEnd !== this.#offset || commit.batches !== this.#batches.length
      || commit.groupCrc !== this.#groupCrc
    ) return this.#fault("it covers other blocks than those before it")
    const batches = this.#inOrder()
    if (typeof batches === "string") return this.#fault(batches)
    const last = batches.at(-1)
    const next = last === undefined ? this.#place : behind(last)
    if (commit.nextIndex !== next.index || commit.nextPosition !== next.position) {
      return this.#fault("it says that other batches follow")
    }
    this.#offset = commit.end
    this.#place = next
    this.#forget()
    return { kind: "group", batches, commit }
  }

  #inOrder(): ReadonlyArray<StoredBatch> | string {
    const batches: Array<StoredBatch> = []
    let place = this.#place
    for (const batch of this.#batches) {
      if (batch === undefined) return "the numbers of a batch do not add up"
      if (batch.index !== place.index || batch.position !== place.position) return "a batch is not the next one"
      batches.push(batch)
      place = behind(batch)
    }
    return batches
  }

  #fault(detail: string): Tail {
    return this.#tail({ offset: this.#offset + this.#bytes, detail })
  }

  /** Forgets what was read of it, because a writer may be at it. */
  #tail(fault: Tail["fault"]): Tail {
    this.#window.reset(this.#offset)
    this.#forget()
    return { kind: "tail", offset: this.#offset, fault }
  }

  #forget(): void {
    this.#batches = []
    this.#bytes = 0
    this.#groupCrc = 0
  }
}

/** The place behind a batch. */
export const behind = ({ index, messageCount, position }: StoredBatch): Place => ({
  index: index + 1,
  position: position + messageCount
})

// --- internal ---

const wrongBlock = (kind: number, length: number): string | undefined => {
  if (kind !== kinds.batch && kind !== kinds.commit) return "it is no block"
  const fits = kind === kinds.commit ? length === sizes.commit : length >= sizes.batch && length % alignment === 0
  return fits ? undefined : "its length is wrong"
}
