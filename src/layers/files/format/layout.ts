/**
 * The bytes of a segment file: every field of every block, with its place, type and meaning. docs/file-format.md shows
 * these tables, and a test holds the page against them.
 *
 * All numbers are little-endian, and each block begins at a multiple of 8.
 */

export interface Field {
  readonly at: number
  /** `f64`: an IEEE double. `u64` is below 2^53. */
  readonly type: "bytes" | "u32" | "u64" | "f64"
  readonly says: string
}

/** The first bytes of every segment. */
export const magic = "ringfseg"

/** Readers refuse a segment of another format. */
export const format = 1

export const kinds = { header: 1, batch: 2, commit: 3 } as const

/** Every block is padded with zeros to a multiple of this. */
export const alignment = 8

/** At the beginning of the file. */
export const preamble = {
  magic: { at: 0, type: "bytes", says: "the text `ringfseg`" },
  format: { at: 8, type: "u32", says: "the version of this format: 1" },
  salt: {
    at: 12,
    type: "u32",
    says: "a random number: the checksums of the header and of commit blocks begin with it, so that no record can pass "
      + "for such a block"
  }
} as const satisfies Record<string, Field>

/** How every block begins. */
export const block = {
  crc: { at: 0, type: "u32", says: "CRC-32 (that of zlib) of the block from byte 4 to its end" },
  length: { at: 4, type: "u32", says: "bytes of the block, a multiple of 8, padding included" },
  kind: { at: 8, type: "u32", says: "1 header, 2 batch, 3 commit" }
} as const satisfies Record<string, Field>

export const headerBlock = {
  ...block,
  jsonBytes: { at: 12, type: "u32", says: "bytes of the text that follows: a JSON object" }
} as const satisfies Record<string, Field>

export const batchBlock = {
  ...block,
  messageCount: { at: 12, type: "u32", says: "records in the batch" },
  index: { at: 16, type: "u64", says: "index of the batch in the topic" },
  position: { at: 24, type: "u64", says: "position of its first record in the topic" },
  sessionId: { at: 32, type: "u64", says: "the session that published it" },
  batchSequence: { at: 40, type: "u64", says: "its number in its session" },
  firstMessage: { at: 48, type: "u64", says: "place of its first record in its session" },
  broker: { at: 56, type: "u32", says: "the broker that it came through" },
  uniformBytes: { at: 60, type: "u32", says: "bytes of every record, or 0: then the lengths follow" },
  publishedMillis: { at: 64, type: "f64", says: "when its publisher sealed it, wall clock" },
  orderedMillis: { at: 72, type: "f64", says: "when it was committed, wall clock; never less than in a batch before" },
  identityRecord: { at: 80, type: "u64", says: "place of its first record among those of its identity, or 0" },
  incarnation: { at: 88, type: "u64", says: "which session of its identity published it, from 1, or 0" },
  payloadBytes: { at: 96, type: "u32", says: "bytes of all records" },
  identityBytes: { at: 100, type: "u32", says: "bytes of the identity's name, or 0 without an identity" }
} as const satisfies Record<string, Field>

export const commitBlock = {
  ...block,
  groupCrc: {
    at: 12,
    type: "u32",
    says: "CRC-32 of the `crc` fields of the group's batch blocks, in order: the group is these blocks and no others"
  },
  previousEnd: { at: 16, type: "u64", says: "where the group begins: behind the commit block before, or the header" },
  end: { at: 24, type: "u64", says: "where this block ends, in the file" },
  nextIndex: { at: 32, type: "u64", says: "index of the batch that follows" },
  nextPosition: { at: 40, type: "u64", says: "position of the record that follows" },
  orderedMillis: {
    at: 48,
    type: "f64",
    says: "the largest `orderedMillis` up to here, those of earlier segments included"
  },
  batches: { at: 56, type: "u32", says: "batch blocks in the group; 0 in the closing commit block" },
  reserved: { at: 60, type: "u32", says: "0" }
} as const satisfies Record<string, Field>

/** Bytes before what a block holds besides its fields. */
export const sizes = { preamble: 16, block: 16, header: 16, batch: 104, commit: 64 } as const

/** No number in a file may be larger than JavaScript counts exactly. */
const highMax = 2 ** 21

export const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

export const putU64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

/** `NaN` for a number that JavaScript cannot count: it equals nothing that a reader expects. */
export const getU64 = (view: DataView, at: number): number => {
  const high = view.getUint32(at + 4, true)
  return high < highMax ? high * 2 ** 32 + view.getUint32(at, true) : Number.NaN
}
