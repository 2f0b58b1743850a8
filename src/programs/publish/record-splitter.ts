/**
 * Splits a stream of bytes into records: lines, or pieces of equal length.
 */

/** Lines, without the newline, which may be missing after the last line. */
export const lineCutter = (): RecordCutter => new RecordCutter((chunk, at) => chunk.indexOf(newline, at), 1)

/** Records of `recordBytes` bytes; the last may be shorter. */
export const pieceCutter = (recordBytes: number): RecordCutter =>
  new RecordCutter((chunk, at, keptBytes) => {
    const end = at + recordBytes - keptBytes
    return end <= chunk.length ? end : -1
  }, 0)

/**
 * The end of the record that begins at `at`, after `keptBytes` from earlier chunks; -1 if it does not end in this
 * chunk.
 */
type EndOf = (chunk: Uint8Array, at: number, keptBytes: number) => number

export class RecordCutter {
  readonly #endOf: EndOf
  readonly #separatorBytes: number
  /** The beginning of an incomplete record. */
  #kept: Array<Uint8Array> = []
  #keptBytes = 0

  constructor(endOf: EndOf, separatorBytes: number) {
    this.#endOf = endOf
    this.#separatorBytes = separatorBytes
  }

  /** Bytes kept of an incomplete record. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** Records within a chunk are views of it: use or copy each before splitting the next chunk. */
  *cut(chunk: Uint8Array): Iterable<Uint8Array> {
    let at = 0
    for (;;) {
      const end = this.#endOf(chunk, at, this.#keptBytes)
      if (end < 0) break
      yield this.#completed(chunk.subarray(at, end))
      at = end + this.#separatorBytes
    }
    if (at < chunk.length) this.#keep(chunk.subarray(at))
  }

  /** The last record, if the end of the input completes one. */
  *end(): Iterable<Uint8Array> {
    if (this.#keptBytes > 0) yield this.#completed(nothing)
  }

  // Copies the part, because the caller reuses the chunk.
  #keep(part: Uint8Array): void {
    this.#kept.push(part.slice())
    this.#keptBytes += part.length
  }

  #completed(last: Uint8Array): Uint8Array {
    if (this.#keptBytes === 0) return last
    const record = Buffer.concat([...this.#kept, last])
    this.#kept = []
    this.#keptBytes = 0
    return record
  }
}

// --- internal ---

const newline = 0x0a
const nothing = new Uint8Array(0)
