/**
 * The blocks of a replica's files, read from the page that describes them (docs/file-format.md) and not with the code that
 * writes them: so a fault of that code is not repeated here.
 */
import { crc32 } from "node:zlib"
import type { Batch } from "./runs.ts"

export const preambleBytes = 16

export const kinds = { header: 1, batch: 2, commit: 3 } as const

/** A block's place and what its first fields say. */
export interface Block {
  readonly at: number
  readonly end: number
  readonly kind: number
}

/** The block at this place; `undefined` where there is none. */
export const blockAt = (bytes: Buffer, at: number): Block | undefined => {
  if (at + 16 > bytes.length) return undefined
  const length = bytes.readUInt32LE(at + 4)
  const isPossible = length >= 16 && length % 8 === 0 && at + length <= bytes.length
  return isPossible ? { at, end: at + length, kind: bytes.readUInt32LE(at + 8) } : undefined
}

/** Whether the block's checksum is right. That of a batch begins with 0, the others with the segment's salt. */
export const isWhole = (bytes: Buffer, { at, end, kind }: Block, salt: number): boolean =>
  crc32(bytes.subarray(at + 4, end), kind === kinds.batch ? 0 : salt) === bytes.readUInt32LE(at)

export interface StoredBlock extends Batch {
  readonly index: number
}

/** The batch in a block of that kind. */
export const batchIn = (bytes: Buffer, { at }: Block): StoredBlock => {
  const [messageCount, uniformBytes] = [bytes.readUInt32LE(at + 12), bytes.readUInt32LE(at + 60)]
  const lengthsAt = at + 104 + padded(bytes.readUInt32LE(at + 100))
  const counts = uniformBytes === 0 ? messageCount : 0
  const payloadAt = lengthsAt + padded(4 * counts)
  return {
    index: Number(bytes.readBigUInt64LE(at + 16)),
    position: positionIn(bytes, at),
    messageCount,
    sessionId: Number(bytes.readBigUInt64LE(at + 32)),
    firstMessage: Number(bytes.readBigUInt64LE(at + 48)),
    uniformBytes,
    lengths: counts === 0
      ? undefined
      : Uint32Array.from({ length: counts }, (_, i) => bytes.readUInt32LE(lengthsAt + 4 * i)),
    payload: bytes.subarray(payloadAt, payloadAt + bytes.readUInt32LE(at + 96))
  }
}

/** The records below are in batches that were written, and in groups whose commit block was. */
export interface Reach {
  readonly batches: number | undefined
  readonly groups: number | undefined
}

export const noReach: Reach = { batches: undefined, groups: undefined }

/** The reach once these bytes are written, too, which begin with a segment or a block. Batches may be ahead of their commit block. */
export const reachWith = (bytes: Buffer, { batches, groups }: Reach): Reach => {
  const isSegment = bytes.subarray(0, 8).toString("latin1") === "ringfseg"
  for (let at = isSegment ? preambleBytes : 0;;) {
    const block = blockAt(bytes, at)
    if (block === undefined) return { batches, groups }
    if (block.kind === kinds.batch) batches = positionIn(bytes, block.at) + bytes.readUInt32LE(block.at + 12)
    if (block.kind === kinds.commit) groups = batches
    at = block.end
  }
}

// --- internal ---

const positionIn = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at + 24))

const padded = (count: number): number => Math.ceil(count / 8) * 8
