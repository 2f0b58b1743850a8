/**
 * Collects the blocks of one group. Appending copies a batch once and computes its checksum; nothing else happens until
 * the group is written.
 */
import { batchBytes, writeBatch } from "../format/batch.ts"
import { type Bytes, crcOf, makeBytes } from "../format/bytes.ts"
import { block } from "../format/layout.ts"
import { identitiesOf } from "../segment/scan.ts"
import { behind } from "../segment/SegmentWalker.ts"
import type { Place, StoredBatch, StoredIdentity } from "../StoredTopic.ts"

const firstBytes = 16 * 1024

export class StagingBuffer {
  readonly most: number
  #held: Bytes = makeBytes(firstBytes)
  #used = 0
  #groupCrc = 0
  #batches = 0
  #next: Place = { index: 0, position: 0 }
  #orderedMillis = 0
  readonly #identities = new Map<string, StoredIdentity>()

  /** Takes up to `most` bytes; a single larger batch too. */
  constructor(most: number) {
    this.most = most
  }

  get used(): number {
    return this.#used
  }

  get groupCrc(): number {
    return this.#groupCrc
  }

  get batches(): number {
    return this.#batches
  }

  /** Behind the last batch. */
  get next(): Place {
    return this.#next
  }

  /** The largest of the group, 0 if it has none. */
  get orderedMillis(): number {
    return this.#orderedMillis
  }

  get identities(): ReadonlyMap<string, StoredIdentity> {
    return this.#identities
  }

  /** The blocks from a place in the group on, until the buffer is cleared. */
  bytesFrom(at: number): Uint8Array {
    return this.#held.bytes.subarray(at, this.#used)
  }

  append(batch: StoredBatch): boolean {
    const bytes = batchBytes(batch)
    if (this.#used > 0 && this.#used + bytes > this.most) return false
    this.#grow(this.#used + bytes)
    writeBatch(this.#held, this.#used, batch)
    this.#groupCrc = crcOf(this.#held, this.#used, this.#used + block.length.at, this.#groupCrc)
    this.#used += bytes
    this.#batches += 1
    this.#next = behind(batch)
    this.#orderedMillis = Math.max(this.#orderedMillis, batch.orderedMillis)
    if (batch.identity !== undefined) {
      for (const [name, said] of identitiesOf([batch])) this.#identities.set(name, said)
    }
    return true
  }

  /** Empties it. A buffer that had to grow for one large batch gives its memory back. */
  clear(): void {
    if (this.#held.bytes.length > this.most) this.#held = makeBytes(firstBytes)
    this.#used = 0
    this.#groupCrc = 0
    this.#batches = 0
    this.#orderedMillis = 0
    this.#identities.clear()
  }

  #grow(wanted: number): void {
    const { bytes } = this.#held
    if (wanted <= bytes.length) return
    const larger = makeBytes(Math.max(wanted, Math.min(2 * bytes.length, this.most)))
    larger.bytes.set(bytes.subarray(0, this.#used))
    this.#held = larger
  }
}

/** The staging buffers of a directory. Topics take one while they have batches to write, so idle topics hold none. */
export class StagingBuffers {
  readonly #most: number
  readonly #free: Array<StagingBuffer> = []

  constructor(most: number) {
    this.#most = most
  }

  take(): StagingBuffer {
    return this.#free.pop() ?? new StagingBuffer(this.#most)
  }

  give(buffer: StagingBuffer): void {
    buffer.clear()
    if (buffer.most === this.#most && this.#free.length < freeMax) this.#free.push(buffer)
  }
}

// --- internal ---

/** One that is filled and one that is written. */
const freeMax = 2
