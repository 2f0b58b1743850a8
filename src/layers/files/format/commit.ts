/**
 * Writes and reads commit blocks: each says that the bytes before it, back to the commit block before, are one group.
 */
import { type Bytes, crcOf, makeBytes } from "./bytes.ts"
import { commitBlock as field, getU64, kinds, putU64, sizes } from "./layout.ts"

export interface Commit {
  readonly groupCrc: number
  readonly previousEnd: number
  readonly end: number
  readonly nextIndex: number
  readonly nextPosition: number
  readonly orderedMillis: number
  readonly batches: number
}

export const writeCommit = (salt: number, commit: Commit): Uint8Array => {
  const to = makeBytes(sizes.commit)
  const { view } = to
  view.setUint32(field.length.at, sizes.commit, true)
  view.setUint32(field.kind.at, kinds.commit, true)
  view.setUint32(field.groupCrc.at, commit.groupCrc, true)
  putU64(view, field.previousEnd.at, commit.previousEnd)
  putU64(view, field.end.at, commit.end)
  putU64(view, field.nextIndex.at, commit.nextIndex)
  putU64(view, field.nextPosition.at, commit.nextPosition)
  view.setFloat64(field.orderedMillis.at, commit.orderedMillis, true)
  view.setUint32(field.batches.at, commit.batches, true)
  view.setUint32(field.crc.at, crcOf(to, field.length.at, sizes.commit, salt), true)
  return to.bytes
}

/** The commit block at `at`, which is place `offset` of its file. `undefined` when there is none, or no valid one. */
export const readCommit = (from: Bytes, at: number, offset: number, salt: number): Commit | undefined => {
  const { view } = from
  if (view.getUint32(at + field.kind.at, true) !== kinds.commit) return undefined
  if (view.getUint32(at + field.length.at, true) !== sizes.commit) return undefined
  const crc = crcOf(from, at + field.length.at, at + sizes.commit, salt)
  if (view.getUint32(at + field.crc.at, true) !== crc) return undefined
  const end = getU64(view, at + field.end.at)
  if (end !== offset + sizes.commit) return undefined
  return {
    groupCrc: view.getUint32(at + field.groupCrc.at, true),
    previousEnd: getU64(view, at + field.previousEnd.at),
    end,
    nextIndex: getU64(view, at + field.nextIndex.at),
    nextPosition: getU64(view, at + field.nextPosition.at),
    orderedMillis: view.getFloat64(at + field.orderedMillis.at, true),
    batches: view.getUint32(at + field.batches.at, true)
  }
}
