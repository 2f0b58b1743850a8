/**
 * CRC-32, the checksum of blocks.
 *
 * The platform's computes 4 GB a second, and that was half of what reading history cost. A library that multiplies without
 * carries computes 24, but its calls cost more than the platform's do.
 */
import { createRequire } from "node:module"
import { crc32 as ofPlatform } from "node:zlib"

/** Continues the checksum `seed` over these bytes. */
export type Crc32 = (bytes: Uint8Array, seed: number) => number

export const crc32: Crc32 = (bytes, seed) => bytes.length < longBytes ? ofPlatform(bytes, seed) : ofLong(bytes, seed)

/** The library's, or the platform's where the library has no module for this machine or was installed without it. */
export const crc32OfLong = (load: () => { readonly crc32: Crc32 }): Crc32 => {
  try {
    return load().crc32
  } catch {
    return ofPlatform
  }
}

// --- internal ---

/** From here on the library is faster: below, its calls cost more than they save. */
const longBytes = 512

/** Loaded with the first long range: most processes read and write no files. */
let ofLong: Crc32 = (bytes, seed) => {
  ofLong = crc32OfLong(() => createRequire(import.meta.url)("@node-rs/crc32") as { readonly crc32: Crc32 })
  return ofLong(bytes, seed)
}
