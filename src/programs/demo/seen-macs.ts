/**
 * Checksums of what was seen: of each session's bytes, and of the order. The order's covers each batch's place, and at the
 * end every session's checksum; as the places say whose batch is next, that covers all bytes in their order, and each byte
 * is looked at once.
 */
import type { IndexedBatch } from "../../services/Subscriber.ts"
import { StreamMac } from "../measure/mac.ts"

export class SeenMacs {
  readonly #key: string
  readonly #order: StreamMac
  readonly #sessions = new Map<number, StreamMac>()
  readonly #place = new Float64Array(5)
  readonly #placeBytes = new Uint8Array(this.#place.buffer)

  constructor(key: string) {
    this.#key = key
    this.#order = new StreamMac(key)
  }

  see(batch: IndexedBatch): void {
    let session = this.#sessions.get(batch.sessionId)
    if (session === undefined) {
      session = new StreamMac(this.#key)
      this.#sessions.set(batch.sessionId, session)
    }
    session.update(batch.payload)
    this.#place[0] = batch.position
    this.#place[1] = batch.messageCount
    this.#place[2] = batch.sessionId
    this.#place[3] = batch.firstMessage
    this.#place[4] = batch.uniformBytes
    this.#order.update(this.#placeBytes)
    const { lengths } = batch
    if (lengths !== undefined) {
      this.#order.update(new Uint8Array(lengths.buffer, lengths.byteOffset, lengths.byteLength))
    }
  }

  /** The last call. */
  done() {
    const sessions = new Map([...this.#sessions].map(([sessionId, mac]) => [sessionId, mac.digest()]))
    for (const mac of sessions.values()) this.#order.update(Buffer.from(mac, "hex"))
    return { order: this.#order.digest(), ofSession: (sessionId: number) => sessions.get(sessionId) ?? "" }
  }
}
