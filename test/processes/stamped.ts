/**
 * Records that contain their session and number: any loss, repetition, mixture or piece of old memory shows.
 */
import * as Topic from "../../src/services/schema/Topic.ts"
import type { IndexedBatch } from "../../src/services/Subscriber.ts"

const topic = Topic.make("stamped")
const unordered = Topic.make("stamped-none", { order: "none" })

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
    const { messageCount, position, sessionId } = batch
    if (this.#position !== undefined && position !== this.#position) {
      throw new Error(`position ${position} follows ${this.#position - 1}`)
    }
    this.#position = position + messageCount
    const known = this.bySession.get(sessionId)
    if (known !== undefined && batch.firstMessage !== known) {
      throw new Error(`session ${sessionId}: record ${batch.firstMessage} follows ${known - 1}`)
    }
    checkStamps(batch)
    this.bySession.set(sessionId, batch.firstMessage + messageCount)
    this.records += messageCount
  }
}

/** Follows each lane of a topic of order `none`, and throws at a record that does not come after those before it. */
class LanesChecker {
  records = 0
  /** Records of each session; as none comes twice, all have come once there are as many as were published. */
  readonly bySession = new Map<number, number>()
  readonly #next = new Map<string, number>()

  batch(batch: IndexedBatch): void {
    const { broker, firstMessage, messageCount, sessionId } = batch
    const lane = `${sessionId}/${broker}`
    const next = this.#next.get(lane) ?? 0
    if (firstMessage < next) throw new Error(`lane ${lane}: record ${firstMessage} follows ${next - 1}`)
    this.#next.set(lane, firstMessage + messageCount)
    checkStamps(batch)
    this.bySession.set(sessionId, (this.bySession.get(sessionId) ?? 0) + messageCount)
    this.records += messageCount
  }
}

const checkStamps = ({ firstMessage, messageCount, payload, sessionId, uniformBytes }: IndexedBatch): void => {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  for (let i = 0; i < messageCount; i += 1) {
    const sequence = firstMessage + i
    const at = i * uniformBytes
    const [owner, stamped] = [view.getFloat64(at, true), view.getFloat64(at + 8, true)]
    if (owner !== sessionId || stamped !== sequence || payload[at + uniformBytes - 1] !== fillOf(owner, stamped)) {
      throw new Error(`session ${sessionId}, record ${sequence} holds record ${stamped} of session ${owner}`)
    }
  }
}

export const Stamped = { topic, unordered, write, Checker, LanesChecker }
