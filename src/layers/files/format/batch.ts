/**
 * Writes a batch block, and reads one in place.
 */
import type { BatchIdentity, StoredBatch } from "../StoredTopic.ts"
import { type Bytes, crcOf } from "./bytes.ts"
import { aligned, batchBlock as field, getU64, kinds, putU64, sizes } from "./layout.ts"

/** Bytes of the block of a batch. */
export const batchBytes = ({ identity, messageCount, payload, uniformBytes }: StoredBatch): number =>
  blockBytes(identity?.name.length ?? 0, uniformBytes === 0 ? messageCount : 0, payload.length)

/** Writes the block at a place that is a multiple of 8 and has room for it. Returns its checksum. */
export const writeBatch = (to: Bytes, at: number, batch: StoredBatch): number => {
  const { bytes, view } = to
  const end = at + batchBytes(batch)
  writeFields(view, at, end - at, batch)
  let place = at + sizes.batch
  if (batch.identity !== undefined) place = padded(bytes, place, writeName(bytes, place, batch.identity.name))
  if (batch.uniformBytes === 0) {
    const { buffer, byteOffset } = batch.lengths!
    const tableBytes = 4 * batch.messageCount
    // The table is copied as it lies in memory: this package runs on little-endian machines alone.
    bytes.set(new Uint8Array(buffer, byteOffset, tableBytes), place)
    place = padded(bytes, place, tableBytes)
  }
  bytes.set(batch.payload, place)
  padded(bytes, place, batch.payload.length)
  const crc = crcOf(to, at + field.length.at, end)
  view.setUint32(at + field.crc.at, crc, true)
  return crc
}

/** The batch in a block whose checksum is right; its bytes are views. `undefined` when its numbers do not add up. */
export const readBatch = ({ bytes, view }: Bytes, at: number): StoredBatch | undefined => {
  const u32 = ({ at: place }: { readonly at: number }) => view.getUint32(at + place, true)
  const u64 = ({ at: place }: { readonly at: number }) => getU64(view, at + place)
  const [nameBytes, messageCount, payloadBytes, uniformBytes] = [
    u32(field.identityBytes),
    u32(field.messageCount),
    u32(field.payloadBytes),
    u32(field.uniformBytes)
  ]
  const lengthCount = uniformBytes === 0 ? messageCount : 0
  if (blockBytes(nameBytes, lengthCount, payloadBytes) !== u32(field.length)) return undefined
  if (uniformBytes !== 0 && uniformBytes * messageCount !== payloadBytes) return undefined
  const lengthsAt = at + sizes.batch + aligned(nameBytes)
  const payloadAt = lengthsAt + aligned(4 * lengthCount)
  return {
    index: u64(field.index),
    position: u64(field.position),
    messageCount,
    sessionId: u64(field.sessionId),
    batchSequence: u64(field.batchSequence),
    firstMessage: u64(field.firstMessage),
    broker: u32(field.broker),
    uniformBytes,
    lengths: lengthCount === 0 ? undefined : new Uint32Array(bytes.buffer, bytes.byteOffset + lengthsAt, lengthCount),
    payload: bytes.subarray(payloadAt, payloadAt + payloadBytes),
    publishedMillis: view.getFloat64(at + field.publishedMillis.at, true),
    orderedMillis: view.getFloat64(at + field.orderedMillis.at, true),
    identity: nameBytes === 0
      ? undefined
      : {
        name: readName(bytes, at + sizes.batch, nameBytes),
        record: u64(field.identityRecord),
        incarnation: u64(field.incarnation)
      } satisfies BatchIdentity
  }
}

// --- internal ---

const blockBytes = (nameBytes: number, lengths: number, payloadBytes: number): number =>
  sizes.batch + aligned(nameBytes) + aligned(4 * lengths) + aligned(payloadBytes)

const writeFields = (view: DataView, at: number, length: number, batch: StoredBatch): void => {
  view.setUint32(at + field.length.at, length, true)
  view.setUint32(at + field.kind.at, kinds.batch, true)
  view.setUint32(at + field.messageCount.at, batch.messageCount, true)
  putU64(view, at + field.index.at, batch.index)
  putU64(view, at + field.position.at, batch.position)
  putU64(view, at + field.sessionId.at, batch.sessionId)
  putU64(view, at + field.batchSequence.at, batch.batchSequence)
  putU64(view, at + field.firstMessage.at, batch.firstMessage)
  view.setUint32(at + field.broker.at, batch.broker, true)
  view.setUint32(at + field.uniformBytes.at, batch.uniformBytes, true)
  view.setFloat64(at + field.publishedMillis.at, batch.publishedMillis, true)
  view.setFloat64(at + field.orderedMillis.at, batch.orderedMillis, true)
  putU64(view, at + field.identityRecord.at, batch.identity?.record ?? 0)
  putU64(view, at + field.incarnation.at, batch.identity?.incarnation ?? 0)
  view.setUint32(at + field.payloadBytes.at, batch.payload.length, true)
  view.setUint32(at + field.identityBytes.at, batch.identity?.name.length ?? 0, true)
}

/** Fills up what was written with zeros: the buffer holds an older group's bytes. Returns the next place. */
const padded = (bytes: Uint8Array, at: number, count: number): number => {
  const end = at + aligned(count)
  bytes.fill(0, at + count, end)
  return end
}

/** Names of identities are ASCII. */
const writeName = (bytes: Uint8Array, at: number, name: string): number => {
  for (let i = 0; i < name.length; i += 1) bytes[at + i] = name.charCodeAt(i)
  return name.length
}

const readName = (bytes: Uint8Array, at: number, count: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + count))
