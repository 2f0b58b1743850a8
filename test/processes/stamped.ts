/**
 * Records that contain their session and number: any loss, repetition, mixture or piece of old memory shows.
 */
import * as Topic from "../../src/services/schema/Topic.ts"
import type { IndexedBatch } from "../../src/services/Subscriber.ts"

const topic = Topic.make("stamped")

const fillOf = (sessionId: number, sequence: number): number => (sessionId * 31 + sequence * 7) & 0xff

const write = (record: Uint8Array, sessionId: number, sequence: number): void => {
  const view = new DataView(record.buffer, record.byteOffset)
  record.fill(fillOf(sessionId, sequence))
  view.setFloat64(0, sessionId, true)
  view.setFloat64(8, sequence, true)
}

/** Follows the total order and throws at the first record that is not the next. */
class Checker {
  records = 0
  readonly bySession = new Map<number, number>()
  #position: number | undefined

  batch(batch: IndexedBatch): void {
    const { messageCount, payload, position, sessionId, uniformBytes } = batch
    if (this.#position !== undefined && position !== this.#position) {
      throw new Error(`position ${position} follows ${this.#position - 1}`)
    }
    this.#position = position + messageCount
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    const known = this.bySession.get(sessionId)
    for (let i = 0; i < messageCount; i += 1) {
      const sequence = batch.firstMessage + i
      const at = i * uniformBytes
      if (known !== undefined && sequence !== known + i) {
        throw new Error(`session ${sessionId}: record ${sequence} follows ${known + i - 1}`)
      }
      const [owner, stamped] = [view.getFloat64(at, true), view.getFloat64(at + 8, true)]
      if (owner !== sessionId || stamped !== sequence || payload[at + uniformBytes - 1] !== fillOf(owner, stamped)) {
        throw new Error(`session ${sessionId}, record ${sequence} holds record ${stamped} of session ${owner}`)
      }
    }
    this.bySession.set(sessionId, batch.firstMessage + messageCount)
    this.records += messageCount
  }
}

export const Stamped = { topic, write, Checker }
