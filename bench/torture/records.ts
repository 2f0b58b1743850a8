/**
 * Records that say who sent them, and of which every byte can be checked.
 *
 *     0         4      8        16         20
 *     publisher  life   number   checksum   filling, of 0 to 219 bytes
 */
import { crc32 } from "node:zlib"

export interface Stamp {
  readonly publisher: number
  readonly life: number
  readonly number: number
}

const headBytes = 20
const fillingBytes = 220

/** The bytes of a record: lengths differ from one to the next. */
export const recordOf = ({ life, number, publisher }: Stamp): Uint8Array => {
  const record = Buffer.alloc(headBytes + (number * 37 + publisher * 11) % fillingBytes, number & 0xff)
  record.writeUInt32LE(publisher, 0)
  record.writeUInt32LE(life, 4)
  record.writeDoubleLE(number, 8)
  record.writeUInt32LE(sumOf(record), 16)
  return record
}

/** `undefined` when the bytes are not those of a record. */
export const stampOf = (record: Uint8Array): Stamp | undefined => {
  if (record.length < headBytes) return undefined
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length)
  if (bytes.readUInt32LE(16) !== sumOf(bytes)) return undefined
  return { publisher: bytes.readUInt32LE(0), life: bytes.readUInt32LE(4), number: bytes.readDoubleLE(8) }
}

// --- internal ---

const sumOf = (record: Buffer): number => crc32(record.subarray(headBytes), crc32(record.subarray(0, 16)))
