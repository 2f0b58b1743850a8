/**
 * A part of a file in memory, which moves forward through it chunk by chunk.
 *
 *     former      [ room │ ..... blocks in use ..... │ kept ]
 *     present                             [ room     │ kept │ a chunk ........ │ kept ]
 *     read ahead                                                          [ room      │ the next chunk ........ ]
 *
 * Only the block in which a chunk ends moves, in front of the next chunk: the others stay where they were read until
 * `letGo`. Where a file is read through, the chunks that follow are read meanwhile.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { DiskError, DiskFile } from "../../ports/Disk.ts"
import { type Bytes, makeBytes } from "../format/bytes.ts"
import { aligned, alignment } from "../format/layout.ts"

/** What is read at first: most looks at a file end there. */
const firstBytes = 4096

/** What is read at once later, unless a block is larger. Each read wakes a thread, which costs as much as half a MiB. */
const chunkBytes = 4 * 1024 * 1024

/** Room for what is kept in front of a chunk, unless a block is larger. */
const roomBytes = 1024 * 1024

/** More room than this is for one block and goes with it. */
const roomBytesMax = 16 * 1024 * 1024

/** Chunks that are read ahead: one that the disk reads while the other waits to be used. */
const aheadMax = 2

/** Free buffers that are kept. */
const freeMax = 4

/** A buffer, and where its chunk begins. */
interface Chunk {
  readonly buffer: Bytes
  readonly room: number
}

/** Buffers of chunks, kept from one file to the next. */
export class ReadBuffers {
  readonly #free: Array<Chunk> = []
  #room = roomBytes
  /** Whether files are read through: then the next one is too. */
  isReadThrough = false

  /** A buffer with room for that much ahead of its chunk. */
  take(kept = 0): Chunk {
    if (kept > this.#room && kept <= roomBytesMax) {
      this.#room = aligned(Math.min(roomBytesMax, 2 * kept))
      this.#free.length = 0
    }
    const room = Math.max(this.#room, aligned(kept))
    const free = room === this.#room ? this.#free.pop() : undefined
    return free ?? { buffer: makeBytes(room + Math.max(room, chunkBytes)), room }
  }

  give(chunk: Chunk | undefined): void {
    if (chunk?.room === this.#room && this.#free.length < freeMax) this.#free.push(chunk)
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
  readonly chunk: Chunk
  readonly reading: Fiber.Fiber<number, DiskError>
}

export class FileWindow {
  readonly #file: DiskFile
  /** Without it nothing is read ahead. */
  readonly #scope: Scope.Scope | undefined
  readonly #buffers: ReadBuffers
  readonly #first = makeBytes(firstBytes)
  #from: number
  #filled = 0
  #held = this.#first
  /** Of `#held`; none while that is what was read at first. */
  #present: Chunk | undefined
  /** Those before it whose blocks may be in use. */
  #former: Array<Chunk> = []
  #ahead: Array<Ahead> = []
  /** Whether its file has been read to its end once: what follows comes as the file grows. */
  #wasReset = false

  /** A window that begins at a multiple of 8 in the file. */
  constructor(file: DiskFile, from: number, reading?: ReadingAhead) {
    this.#file = file
    this.#from = from
    this.#scope = reading?.scope
    this.#buffers = reading?.buffers ?? new ReadBuffers()
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

  /** Ends the use of all bytes that former windows held. */
  letGo(): void {
    for (const chunk of this.#former) this.#buffers.give(chunk)
    this.#former = []
  }

  /** Forgets what was read, and ends its use: the file may have changed. */
  reset(from: number): void {
    this.letGo()
    this.#buffers.give(this.#present)
    this.#present = undefined
    this.#held = this.#first
    this.#from = from
    this.#filled = 0
    this.#wasReset = true
    this.#dropAhead()
  }

  /**
   * Reads on until the window holds `wanted` bytes from that place in it, or more, or reaches the end of the file. The window
   * may begin there then; what is before stays as it is until {@link letGo}. Returns whether it holds them.
   */
  advance(from: number, wanted: number): Effect.Effect<boolean, DiskError> {
    return Effect.gen({ self: this }, function*() {
      if (this.#filled === 0 && this.#buffers.isReadThrough && !this.#wasReset) yield* this.#readAhead(from)
      const left = () => wanted - (this.#from + this.#filled - from)
      while (left() > 0) {
        const ahead = this.#takeAhead(from)
        if (ahead === undefined) {
          yield* this.#read(from, wanted)
          break
        }
        this.#switch(from, ahead.chunk, yield* Fiber.join(ahead.reading))
      }
      // A chunk that is full is one of a file that is being read through.
      if (this.#present !== undefined && this.#filled === this.#held.bytes.length) {
        yield* this.#readAhead(this.#from + this.#filled)
      }
      return left() <= 0
    })
  }

  /** Fills the buffer, or another one if what is wanted does not fit into this one. */
  #read(from: number, wanted: number): Effect.Effect<void, DiskError> {
    return Effect.suspend(() => {
      if (from - this.#from + wanted > this.#held.bytes.length) this.#switch(from, this.#buffers.take(wanted), 0)
      const { bytes } = this.#held
      return Effect.map(this.#file.read(this.#from + this.#filled, bytes.subarray(this.#filled)), (count) => {
        this.#filled += count
      })
    })
  }

  /** What was read ahead, if the window ends where it begins, and there is room for what is kept. */
  #takeAhead(from: number): Ahead | undefined {
    const [ahead] = this.#ahead
    const end = this.#from + this.#filled
    if (ahead?.at === end && hasRoom(ahead.chunk, end - from)) return this.#ahead.shift()
    this.#dropAhead()
    return undefined
  }

  /** The system uses a buffer until it has answered: such a one is not given back. */
  #dropAhead(): void {
    for (const { chunk, reading } of this.#ahead) if (reading.pollUnsafe() !== undefined) this.#buffers.give(chunk)
    this.#ahead = []
  }

  /** Goes on with that chunk, of which so much was read: what is kept goes in front of it. */
  #switch(from: number, chunk: Chunk, count: number): void {
    const kept = this.#held.bytes.subarray(from - this.#from, this.#filled)
    const start = chunk.room - aligned(kept.length)
    chunk.buffer.bytes.set(kept, start)
    this.#held = viewFrom(chunk.buffer, start)
    if (this.#present !== undefined) this.#former.push(this.#present)
    this.#present = chunk
    this.#filled = kept.length + count
    this.#from = from
  }

  /** Begins to read what lies from there on, unless it is being read. */
  #readAhead(from: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      if (this.#scope === undefined) return
      this.#buffers.isReadThrough = true
      while (this.#ahead.length < aheadMax) {
        const last = this.#ahead.at(-1)
        const at = last === undefined ? from : last.at + chunkOf(last.chunk).length
        const chunk = this.#buffers.take()
        const reading = yield* Effect.forkIn(this.#file.read(at, chunkOf(chunk)), this.#scope, {
          startImmediately: true
        })
        this.#ahead.push({ at, chunk, reading })
      }
    })
  }
}

// --- internal ---

/** Blocks stand at multiples of 8, also in memory. */
const hasRoom = ({ room }: Chunk, kept: number): boolean => kept <= room && kept % alignment === 0

const chunkOf = ({ buffer, room }: Chunk): Uint8Array<ArrayBuffer> => buffer.bytes.subarray(room)

const viewFrom = ({ bytes: { buffer } }: Bytes, start: number): Bytes => ({
  bytes: new Uint8Array(buffer, start),
  view: new DataView(buffer, start)
})
