/**
 * Cuts a stream of bytes into records: lines, or pieces of one length.
 */

/** Lines, without the newline. A last line does not need one. */
export const lineCutter = (): RecordCutter => new RecordCutter((chunk, at) => chunk.indexOf(newline, at), 1)

/** Records of `recordBytes` bytes; the last may be shorter. */
export const pieceCutter = (recordBytes: number): RecordCutter =>
  new RecordCutter((chunk, at, keptBytes) => {
    const end = at + recordBytes - keptBytes
    return end <= chunk.length ? end : -1
  }, 0)

/** Where the record ends that begins at `at`, `keptBytes` of it being there already; -1 when not in this chunk. */
type EndOf = (chunk: Uint8Array, at: number, keptBytes: number) => number

export class RecordCutter {
  readonly #endOf: EndOf
  readonly #separatorBytes: number
  /** The beginning of a record whose end has not come yet. */
  #kept: Array<Uint8Array> = []
  #keptBytes = 0

  constructor(endOf: EndOf, separatorBytes: number) {
    this.#endOf = endOf
    this.#separatorBytes = separatorBytes
  }

  /** Bytes kept because their record is not complete yet. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** Records are views of the chunk where they lie within it: take or copy each before the next chunk is cut. */
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

  /** What is left at the end of the input: a last record, or none. */
  *end(): Iterable<Uint8Array> {
    if (this.#keptBytes > 0) yield this.#completed(nothing)
  }

  // Copied: a chunk is its owner's again once it is cut.
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
