/**
 * The records that a session left uncommitted, in order, until they are appended again.
 */
import type { UncommittedBatch } from "../../ports/LanePort.ts"

export class UncommittedRecords {
  #batches: ReadonlyArray<UncommittedBatch> = []
  /** The first record that is left: of which batch, which of its records, and where in its payload. */
  #batch = 0
  #record = 0
  #offset = 0

  /** Records that are left. */
  get count(): number {
    const [first, ...rest] = this.#batches.slice(this.#batch)
    return first === undefined
      ? 0
      : first.messages - this.#record + rest.reduce((sum, { messages }) => sum + messages, 0)
  }

  get isEmpty(): boolean {
    return this.#batch === this.#batches.length
  }

  /** Puts these batches before those that are left. */
  prepend(batches: ReadonlyArray<UncommittedBatch>): void {
    const [first, ...rest] = this.#batches.slice(this.#batch)
    const left = first === undefined ? [] : [behind(first, this.#record, this.#offset), ...rest]
    this.#batches = [...batches, ...left].filter(({ messages }) => messages > 0)
    this.#batch = this.#record = this.#offset = 0
  }

  /** The next record; `undefined` when none is left. */
  peek(): Uint8Array | undefined {
    const batch = this.#batches[this.#batch]
    return batch?.payload.subarray(this.#offset, this.#offset + lengthOf(batch, this.#record))
  }

  /** Drops that record. */
  pass(): void {
    const batch = this.#batches[this.#batch]
    if (batch === undefined) return
    this.#offset += lengthOf(batch, this.#record)
    this.#record += 1
    if (this.#record < batch.messages) return
    this.#batch += 1
    this.#record = this.#offset = 0
    // Its copies are garbage once the last is appended.
    if (this.#batch === this.#batches.length) this.prepend([])
  }
}

// --- internal ---

const lengthOf = ({ lengths, uniformBytes }: UncommittedBatch, record: number): number =>
  uniformBytes === 0 ? lengths[record] as number : uniformBytes

const behind = (batch: UncommittedBatch, record: number, offset: number): UncommittedBatch => ({
  firstMessage: batch.firstMessage + record,
  messages: batch.messages - record,
  payload: batch.payload.subarray(offset),
  uniformBytes: batch.uniformBytes,
  lengths: batch.lengths.subarray(record)
})
