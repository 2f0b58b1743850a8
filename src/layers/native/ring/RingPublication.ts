/**
 * Publishes a ring's frames over coherent memory without a native call.
 *
 * The lead's words have 64 bits, of which JavaScript stores the lower half in one atomic step. So it publishes only where
 * the upper half stays as it is, which it stores as it is; the native module publishes the others, once in 4 GiB. What a
 * process loads of such a word is one whole value, never halves of two.
 *
 * SYNC: `Atomics.store` of the position is a release store with a full fence behind it. It covers the frames below, as
 * the publish in RingWriter::publish does, and pairs with the loads of RingReaderPort.ts and with the observe in
 * RingReader::look. Behind it lie the looks at the version of the readers' table and at the sleep words: a reader writes
 * its word, fences, and looks at the ring once more before it sleeps (Waiter::arm). One of the two sees the other.
 */
import { type RingWriterHandle, sleepsFor } from "../../../native/binding.ts"
import { halfAt, halfRange, ringLead } from "./sharedLines.ts"

export class RingPublication {
  readonly #writer: RingWriterHandle
  readonly #lead: Int32Array
  readonly #version: Int32Array
  /** The version of the readers' table at which the native module looked through it last. */
  #watchedVersion = 0
  /** The sleep words of the processes that read the ring since. */
  #sleeps: ReadonlyArray<Int32Array> = []
  /** Where the upper halves of the position and of the count of frames change next. */
  #positionsEnd: number
  #framesEnd: number

  constructor(writer: RingWriterHandle) {
    const { frames, position } = writer.info()
    this.#writer = writer
    this.#lead = new Int32Array(writer.leadWindow())
    this.#version = new Int32Array(writer.readersVersionWindow())
    this.#framesEnd = nextCarryOf(frames)
    this.#positionsEnd = nextCarryOf(position)
    this.#watch()
  }

  /** Whether `publish` can publish up to there. Otherwise the native module does. */
  reaches(position: number, frames: number): boolean {
    return position < this.#positionsEnd && frames < this.#framesEnd
  }

  /**
   * Publishes the frames below that position, so many since the ring was born. True when the native module has to ring
   * readers.
   */
  publish(position: number, frames: number): boolean {
    const lead = this.#lead
    // A next writer takes the greater of the two positions, and looks at the frames between them: RingLead::announced.
    lead[framesAt] = frames
    lead[framesAt + 1] = frames / halfRange
    lead[announcedAt + 1] = lead[positionAt + 1] = position / halfRange
    lead[announcedAt] = position
    Atomics.store(lead, positionAt, position | 0)
    return Atomics.load(this.#version, 0) !== this.#watchedVersion || this.#isAwaited()
  }

  /** Behind a publication of the native module, which has looked for readers. */
  follow(published: number, frames: number): void {
    this.#positionsEnd = nextCarryOf(published)
    this.#framesEnd = nextCarryOf(frames)
    if (this.#version.length > 0 && Atomics.load(this.#version, 0) !== this.#watchedVersion) this.#watch()
  }

  #isAwaited(): boolean {
    for (const sleeps of this.#sleeps) if ((Atomics.load(sleeps, 0) & sleepsFor.frames) !== 0) return true
    return false
  }

  #watch(): void {
    const { sleeps, version } = this.#writer.watched()
    this.#watchedVersion = version | 0
    this.#sleeps = sleeps.map((word) => new Int32Array(word))
  }
}

// --- internal ---

const nextCarryOf = (count: number): number => (Math.floor(count / halfRange) + 1) * halfRange

const positionAt = halfAt(ringLead.position)
const announcedAt = halfAt(ringLead.announced)
const framesAt = halfAt(ringLead.frames)
