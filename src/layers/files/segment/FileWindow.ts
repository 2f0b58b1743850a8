/**
 * A part of a file in memory, which moves forward through it and grows to what is needed at once.
 */
import * as Effect from "effect/Effect"
import type { DiskError, DiskFile } from "../../ports/Disk.ts"
import { type Bytes, makeBytes } from "../format/bytes.ts"

/** What is read at first: most looks at a file end there. */
const firstBytes = 4096

/** What is read at once later, unless more is needed in one piece. */
const chunkBytes = 1024 * 1024

/** Kept from one use to the next: a larger buffer was for one group and goes with it. */
const keptBytes = 16 * chunkBytes

export class FileWindow {
  readonly #file: DiskFile
  #from: number
  #filled = 0
  #held = makeBytes(firstBytes)

  /** A window that begins at a multiple of 8 in the file. */
  constructor(file: DiskFile, from: number) {
    this.#file = file
    this.#from = from
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
    if (this.#held.bytes.length > keptBytes) this.#held = makeBytes(chunkBytes)
  }

  /**
   * Moves the window's beginning to a place in it, and reads on until it holds `wanted` bytes, or more, or reaches the end
   * of the file. Views of the former bytes end here. Returns whether it holds them.
   */
  advance(from: number, wanted: number): Effect.Effect<boolean, DiskError> {
    return Effect.suspend(() => {
      this.#move(from, wanted)
      const { bytes } = this.#held
      return Effect.map(this.#file.read(this.#from + this.#filled, bytes.subarray(this.#filled)), (count) => {
        this.#filled += count
        return this.#filled >= wanted
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
