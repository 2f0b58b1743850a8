/**
 * Bytes with a view of them as numbers, kept together: a view is not made for each block.
 */
import { crc32 } from "./crc32.ts"

export interface Bytes {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
}

/** Begins at a multiple of 8 in memory, as blocks need for their lengths to be read in place. */
export const makeBytes = (count: number): Bytes => {
  const buffer = new ArrayBuffer(count)
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) }
}

/** Checksum of a range, continued from `seed`. */
export const crcOf = ({ bytes }: Bytes, from: number, to: number, seed = 0): number =>
  crc32(bytes.subarray(from, to), seed)
