/**
 * Looks at a ring over coherent memory without a native call.
 *
 * It finds what a look finds nearly always: that more frames are published, and nothing else has happened. A position has
 * 64 bits, and is stored in one step; its lower half is loaded here, and says how far the writer is ahead of this reader,
 * since no ring is as long as 4 GiB. The upper half is compared with what it must be then: so a position that was damaged
 * is left to the native module, and so is everything else that is not as this reader left it.
 *
 * SYNC: `Atomics.load` of the position is an acquiring load, and pairs with the publish in RingWriter::publish and with
 * the store in RingPublication.ts. The fate is loaded behind it: the writer publishes an eviction before it publishes
 * frames over the evicted room (RingWriter::evict).
 */
import type { RingReaderHandle } from "../../../native/binding.ts"
import { halfAt, halfRange, ringLead, ringReaderFate, ringReaderLine } from "./sharedLines.ts"

export class RingSight {
  readonly #reader: RingReaderHandle
  readonly #ringBytes: number
  readonly #lead: Int32Array
  readonly #fate: Int32Array
  readonly #claim: Int32Array
  readonly #line: Int32Array
  /** Lower halves of the generations by which the reader has its place. */
  #generation = 0
  #claimed = 0
  #former = 0

  /** None of a ring that is too long. */
  static of(reader: RingReaderHandle): RingSight | undefined {
    const { ringBytes } = reader.info()
    return ringBytes < halfRange ? new RingSight(reader, ringBytes) : undefined
  }

  private constructor(reader: RingReaderHandle, ringBytes: number) {
    this.#reader = reader
    this.#ringBytes = ringBytes
    this.#lead = new Int32Array(reader.leadWindow())
    this.#fate = new Int32Array(reader.fateWindow())
    this.#claim = new Int32Array(reader.claimWindow())
    this.#line = new Int32Array(reader.lineWindow())
    this.begin()
  }

  /** After the reader began, or began again. */
  begin(): void {
    const { claimed, former, generation } = this.#reader.place()
    this.#generation = generation | 0
    this.#claimed = claimed | 0
    this.#former = former | 0
  }

  /**
   * A glance: whether frames are published above `read`, or the reader was evicted. The writer looks for sleepers after it
   * has published, so a reader that is about to sleep and finds nothing new is woken for it.
   */
  isStirred(read: number): boolean {
    return this.#lead.length === 0 || Atomics.load(this.#lead, positionAt) !== (read | 0)
      || Atomics.load(this.#fate, evictedAt) === this.#generation
  }

  /**
   * The position below which frames may be read, to a reader with these cursors. 0 when no more are published, or only the
   * native module can tell.
   */
  publishedAfter(read: number, released: number): number {
    if (this.#lead.length === 0) return 0
    const ahead = (Atomics.load(this.#lead, positionAt) - read) >>> 0
    const position = read + ahead
    const isPossible = position - released <= this.#ringBytes &&
      this.#lead[positionAt + 1] === (position / halfRange | 0)
    return isPossible && this.#isInPlace(released) ? position : 0
  }

  // Whether the place still holds what this reader wrote: only then does the writer spare what the reader has not released.
  #isInPlace(released: number): boolean {
    const line = this.#line
    return Atomics.load(this.#fate, evictedAt) !== this.#generation
      && this.#fate[endedAt] !== this.#generation
      && this.#claim[0] === this.#claimed
      && line[attachedAt] === this.#generation
      && line[detachedAt] === this.#former
      && line[releasedAt] === (released | 0)
      && line[releasedAt + 1] === (released / halfRange | 0)
  }
}

// --- internal ---

const positionAt = halfAt(ringLead.position)
const evictedAt = halfAt(ringReaderFate.evictedGeneration)
const endedAt = halfAt(ringReaderFate.endedGeneration)
const attachedAt = halfAt(ringReaderLine.attachedGeneration)
const detachedAt = halfAt(ringReaderLine.detachedGeneration)
const releasedAt = halfAt(ringReaderLine.released)
