/**
 * One publisher's share of the input: a range of the files' bytes, concatenated and repeated.
 */
import * as Schema from "effect/Schema"
import { closeSync, openSync, readSync } from "node:fs"
import { InputFile } from "../cli/input-files.ts"
import { formatBytes } from "../cli/units.ts"

/** A range of bytes in the endless repetition of the files. */
export const InputRange = Schema.Struct({
  files: Schema.Array(InputFile),
  from: Schema.Int,
  to: Schema.Int
})
export type InputRange = typeof InputRange.Type

/** The file has changed since the input was collected. */
export class InputChanged extends Schema.TaggedError<InputChanged>()("InputChanged", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.path} changed while it was being published: ${this.detail}`
  }
}

/** Splits `total` bytes into shares of whole records; the last record of the last share may be shorter. */
export const split = (
  files: ReadonlyArray<InputFile>,
  total: number,
  recordBytes: number,
  shares: number
): ReadonlyArray<InputRange> => {
  const records = Math.ceil(total / recordBytes)
  const begin = (share: number) => Math.min(total, Math.floor(records * share / shares) * recordBytes)
  return Array.from({ length: shares }, (_, share) => ({ files, from: begin(share), to: begin(share + 1) }))
}

/** Files that are repeated are kept in memory up to this size: to read them again takes a third of a publisher's time. */
const keptBytesMax = 64 * 1024 * 1024

/** Reads a share from its beginning: each file once, and again from memory where the files are repeated. Throws `InputChanged`. */
export class InputReader {
  readonly #range: InputRange
  readonly #cycle: number
  /** What was read, by its place in the files: all of it, once a whole cycle was read. */
  readonly #kept: Uint8Array | undefined
  #at: number
  #file = 0
  #offset: number
  #descriptor: number | undefined

  constructor(range: InputRange) {
    this.#range = range
    this.#at = range.from
    this.#cycle = range.files.reduce((sum, { bytes }) => sum + bytes, 0)
    const repeats = range.to - range.from > this.#cycle
    this.#kept = repeats && this.#cycle <= keptBytesMax ? new Uint8Array(this.#cycle) : undefined
    let offset = range.from % this.#cycle
    while (offset >= this.#current.bytes) {
      offset -= this.#current.bytes
      this.#file += 1
    }
    this.#offset = offset
  }

  get #current(): InputFile {
    return this.#range.files[this.#file] as InputFile
  }

  /** Fills the buffer with the next bytes of the share, partly only at its end. */
  fill(buffer: Uint8Array): number {
    const wanted = Math.min(buffer.length, this.#range.to - this.#at)
    for (let filled = 0; filled < wanted;) filled += this.#next(buffer, filled, wanted - filled)
    return wanted
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #next(buffer: Uint8Array, at: number, wanted: number): number {
    const kept = this.#kept
    const from = this.#at % this.#cycle
    const again = kept !== undefined && this.#at - this.#range.from >= this.#cycle
    const read = again
      ? copyOf(kept, from, Math.min(wanted, this.#cycle - from), buffer, at)
      : this.#read(buffer, at, wanted)
    if (!again) kept?.set(buffer.subarray(at, at + read), from)
    this.#at += read
    return read
  }

  #read(buffer: Uint8Array, at: number, wanted: number): number {
    const { bytes, path } = this.#current
    const read = this.#attempt(buffer, at, Math.min(wanted, bytes - this.#offset))
    if (read === 0) {
      throw new InputChanged({ path, detail: `it ended at ${formatBytes(this.#offset)} of ${formatBytes(bytes)}` })
    }
    this.#offset += read
    if (this.#offset === bytes) this.#nextFile()
    return read
  }

  #attempt(buffer: Uint8Array, at: number, wanted: number): number {
    const { path } = this.#current
    try {
      this.#descriptor ??= openSync(path, "r")
      return readSync(this.#descriptor, buffer, at, wanted, this.#offset)
    } catch (error) {
      throw new InputChanged({ path, detail: error instanceof Error ? error.message : String(error) })
    }
  }

  #nextFile(): void {
    this.close()
    this.#offset = 0
    this.#file = (this.#file + 1) % this.#range.files.length
  }
}

// --- internal ---

const copyOf = (source: Uint8Array, from: number, bytes: number, target: Uint8Array, at: number): number => {
  target.set(source.subarray(from, from + bytes), at)
  return bytes
}
