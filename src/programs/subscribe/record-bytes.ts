/**
 * The bytes of records within a lent batch, without a copy where possible.
 */
import type { IndexedBatch } from "../../services/Subscriber.ts"

/** Records `first` to `end` (not included) of one batch. */
export interface BatchPart {
  readonly batch: IndexedBatch
  readonly first: number
  readonly end: number
}

/** The part of the batch from `position` on, at most `most` records. */
export const partFrom = (batch: IndexedBatch, position: number, most: number): BatchPart => {
  const first = Math.min(Math.max(0, position - batch.position), batch.messageCount)
  return { batch, first, end: Math.min(batch.messageCount, first + most) }
}

export const recordsIn = ({ end, first }: BatchPart): number => end - first

/** The records back to back, as they lie in the log. */
export const contiguousBytes = ({ batch, end, first }: BatchPart): Uint8Array => {
  if (first === 0 && end === batch.messageCount) return batch.payload
  const begin = offsetOf(batch, 0, first)
  return batch.payload.subarray(begin, begin + offsetOf(batch, first, end))
}

/** A copy of the records with a separator after each. */
export const separatedBytes = (part: BatchPart, separator: number): Uint8Array => {
  const { batch, end, first } = part
  const records = contiguousBytes(part)
  const separated = Buffer.allocUnsafe(records.length + recordsIn(part))
  let from = 0
  let to = 0
  for (let i = first; i < end; i += 1) {
    const bytes = recordBytes(batch, i)
    separated.set(records.subarray(from, from + bytes), to)
    from += bytes
    to += bytes
    separated[to] = separator
    to += 1
  }
  return separated
}

// --- internal ---

const recordBytes = ({ lengths, uniformBytes }: IndexedBatch, record: number): number =>
  lengths === undefined ? uniformBytes : lengths[record] as number

/** Bytes of the records `first` to `end`. */
const offsetOf = (batch: IndexedBatch, first: number, end: number): number => {
  if (batch.lengths === undefined) return (end - first) * batch.uniformBytes
  let bytes = 0
  for (let i = first; i < end; i += 1) bytes += batch.lengths[i] as number
  return bytes
}
