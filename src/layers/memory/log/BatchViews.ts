/**
 * Batches as a subscriber sees them: lent views of a lane's memory, or copies that are poisoned on release.
 */
import type { IndexedBatch } from "../../../services/Subscriber.ts"
import { type Descriptor, type Lane, tableOffset } from "./LogState.ts"

/** Where a subscriber finds a batch: its number and position there, and when it was committed or found. */
type Place = Pick<IndexedBatch, "index" | "position" | "orderedMillis">

/** A view of the batch that the descriptor describes. Its bytes are lent. */
export const viewOf = (descriptor: Descriptor, { broker, payload }: Lane, place: Place): IndexedBatch => {
  const { messageCount, payloadBytes, payloadPosition, uniformBytes } = descriptor
  const offset = payloadPosition % payload.length
  return {
    index: place.index,
    position: place.position,
    messageCount,
    sessionId: descriptor.session.id,
    batchSequence: descriptor.batchSequence,
    firstMessage: descriptor.firstMessage,
    identity: identityOf(descriptor),
    broker,
    uniformBytes,
    lengths: uniformBytes === 0
      ? new Uint32Array(payload.buffer, offset + tableOffset(payloadBytes), messageCount)
      : undefined,
    payload: payload.subarray(offset, offset + payloadBytes),
    publishedMillis: descriptor.publishedMillis,
    orderedMillis: place.orderedMillis
  }
}

const identityOf = ({ firstMessage, session: { incarnation: own } }: Descriptor): IndexedBatch["identity"] =>
  own && { name: own.name, record: own.base + firstMessage, incarnation: own.incarnation }

/** Whether the lengths of the records make up the batch. */
export const addsUp = ({ lengths, payload }: IndexedBatch): boolean =>
  lengths === undefined || lengths.reduce((sum, length) => sum + length, 0) === payload.length

const poisonByte = 0xdb

/** Batches lent as copies, so that a view kept too long reads poison and no other reader is affected. */
export class LentCopies {
  #lent: Array<IndexedBatch> = []

  copy(batch: IndexedBatch): IndexedBatch {
    const copy = { ...batch, payload: batch.payload.slice(), lengths: batch.lengths?.slice() }
    this.#lent.push(copy)
    return copy
  }

  /** Poisons the copies of released batches: those below the index. */
  poison(index: number): void {
    const returned = this.#lent.filter((batch) => batch.index < index)
    this.#lent = this.#lent.filter((batch) => batch.index >= index)
    for (const { lengths, payload } of returned) {
      payload.fill(poisonByte)
      lengths?.fill(poisonByte * 0x01010101)
    }
  }
}
