/**
 * A part of a file in memory, which moves forward through it and grows to what is needed at once.
 *
 *     present  [ kept │ read ........ ]             in use: batches of it are lent
 *     spare               [ room for what is kept │ read ahead ........ ]
 *
 * Where a file is read through, what follows is read meanwhile, behind as much room as what is kept may need.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { DiskError, DiskFile } from "../../ports/Disk.ts"
import { type Bytes, makeBytes } from "../format/bytes.ts"

/** What is read at first: most looks at a file end there. */
const firstBytes = 4096

/** What is read at once later, unless more is needed in one piece. */
const chunkBytes = 1024 * 1024

/** Kept from one use to the next: a larger buffer was for one group and goes with it. */
const keptBytes = 16 * chunkBytes

/** What is read ahead at once, and the most that may be kept before it. */
const aheadBytes = 4 * chunkBytes
const roomBytes = 6 * chunkBytes

/** Buffers of windows that read ahead, kept from one file to the next: a reader of many files has two. */
export class ReadBuffers {
  readonly #free: Array<Bytes> = []
  #isReading = false

  /** Whether files are read through: then the next one is too. */
  get isReading(): boolean {
    return this.#isReading
  }

  take(): Bytes {
    this.#isReading = true
    return this.#free.pop() ?? makeBytes(roomBytes + aheadBytes)
  }

  give(buffer: Bytes | undefined): void {
    if (buffer !== undefined) this.#free.push(buffer)
  }
}

export interface ReadingAhead {
  /** Of what is read ahead. */
  readonly scope: Scope.Scope
  readonly buffers: ReadBuffers
}

interface Ahead {
  /** Place in the file. */
  readonly at: number
  readonly buffer: Bytes
  readonly reading: Fiber.Fiber<number, DiskError>
}

export class FileWindow {
  readonly #file: DiskFile
  /** Without it nothing is read ahead. */
  readonly #reading: ReadingAhead | undefined
  #from: number
  #filled = 0
  #held = makeBytes(firstBytes)
  #ahead: Ahead | undefined
  /** The buffer of the present window, if it was read ahead. */
  #present: Bytes | undefined

  /** A window that begins at a multiple of 8 in the file. */
  constructor(file: DiskFile, from: number, reading?: ReadingAhead) {
    this.#file = file
    this.#from = from
    this.#reading = reading
  }

  get bytes(): Bytes {
    return this.#held
  }

  /** Place in the file at which the window begins. */
  get from(): number {
    return this.#from
  }

  /** Bytes of the window that are read. */
  get filled(): number {
    return this.#filled
  }

  /** Forgets what was read: the file may have changed. */
  reset(from: number): void {
    this.#from = from
    this.#filled = 0
    // Its buffer is in use until it has been read.
    this.#ahead = undefined
    if (this.#present === undefined && this.#held.bytes.length <= keptBytes) return
    this.#reading?.buffers.give(this.#present)
    this.#present = undefined
    this.#held = makeBytes(firstBytes)
  }

  /**
   * Moves the window's beginning to a place in it, and reads on until it holds `wanted` bytes, or more, or reaches the end
   * of the file. Views of the former bytes end here. Returns whether it holds them.
   */
  advance(from: number, wanted: number): Effect.Effect<boolean, DiskError> {
    return Effect.gen({ self: this }, function*() {
      if (this.#filled === 0 && this.#reading?.buffers.isReading === true) yield* this.#readAhead(from)
      const ahead = this.#takeAhead()
      if (ahead === undefined || !fits(this.#from + this.#filled - from, wanted)) yield* this.#read(from, wanted)
      else {
        this.#switch(from, ahead, yield* Fiber.join(ahead.reading))
        if (this.#filled < wanted) yield* this.#read(from, wanted)
      }
      const { bytes } = this.#held
      // A window that is full is one of a file that is being read through.
      if (this.#filled === bytes.length && bytes.length >= chunkBytes) yield* this.#readAhead(this.#from + this.#filled)
      return this.#filled >= wanted
    })
  }

  #read(from: number, wanted: number): Effect.Effect<void, DiskError> {
    return Effect.suspend(() => {
      this.#move(from, wanted)
      const { bytes } = this.#held
      return Effect.map(this.#file.read(this.#from + this.#filled, bytes.subarray(this.#filled)), (count) => {
        this.#filled += count
      })
    })
  }

  /** What was read ahead, if the window ends where it begins. */
  #takeAhead(): Ahead | undefined {
    const ahead = this.#ahead
    this.#ahead = undefined
    return ahead?.at === this.#from + this.#filled ? ahead : undefined
  }

  /** Goes on with what was read ahead: what is kept goes in front of it. */
  #switch(from: number, { buffer }: Ahead, count: number): void {
    const kept = this.#held.bytes.subarray(from - this.#from, this.#filled)
    const start = roomBytes - kept.length
    buffer.bytes.set(kept, start)
    this.#held = viewFrom(buffer, start)
    this.#reading?.buffers.give(this.#present)
    this.#present = buffer
    this.#filled = kept.length + count
    this.#from = from
  }

  /** Begins to read what lies there, unless it is being read. */
  #readAhead(at: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const reading = this.#reading
      if (reading === undefined || this.#ahead !== undefined) return Effect.void
      const buffer = reading.buffers.take()
      const read = this.#file.read(at, buffer.bytes.subarray(roomBytes))
      return Effect.map(Effect.forkIn(read, reading.scope, { startImmediately: true }), (reading) => {
        this.#ahead = { at, buffer, reading }
      })
    })
  }

  #move(from: number, wanted: number): void {
    const { bytes } = this.#held
    const kept = bytes.subarray(from - this.#from, this.#filled)
    // A window that was read to its end is one of a file that is being read through.
    const capacity = this.#filled < bytes.length
      ? bytes.length
      : Math.max(bytes.length, Math.min(4 * bytes.length, chunkBytes))
    if (wanted > capacity || capacity > bytes.length) {
      const larger = makeBytes(wanted > capacity ? Math.max(wanted, Math.min(2 * capacity, keptBytes)) : capacity)
      larger.bytes.set(kept)
      this.#held = larger
    } else if (from > this.#from) bytes.set(kept)
    this.#filled = kept.length
    this.#from = from
  }
}

// --- internal ---

/** Blocks stand at multiples of 8, also in memory. */
const fits = (kept: number, wanted: number): boolean =>
  kept <= roomBytes && kept % 8 === 0 && wanted <= kept + aheadBytes

const viewFrom = ({ bytes: { buffer } }: Bytes, start: number): Bytes => ({
  bytes: new Uint8Array(buffer, start),
  view: new DataView(buffer, start)
})
