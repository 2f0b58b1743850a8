/**
 * Walks over the messages that a look at the ring has shown, without making an object for each.
 */
import type { RingBatch } from "../../services/Ring.ts"
import type { RingReaderPort } from "../ports/RingPorts.ts"
import { Parts } from "./Fragments.ts"
import { headerBytes } from "./FrameCodec.ts"

export class MessageBatch implements RingBatch {
  kind = 0
  bytes: Uint8Array = new Uint8Array(0)
  from = 0
  to = 0
  end = 0
  readonly #port: RingReaderPort
  readonly #parts = new Parts()
  /** The port's frame was taken from the ring, and not looked at yet. */
  #isFrameKept = false
  /** The present message was read, and not delivered yet. */
  #isMessageKept = false

  constructor(port: RingReaderPort) {
    this.#port = port
  }

  next(): boolean {
    if (this.#isMessageKept) {
      this.#isMessageKept = false
      return true
    }
    const port = this.#port
    while (this.#isFrameKept || port.next()) {
      this.#isFrameKept = false
      if (port.frame.flags === 0) {
        this.#show(port.bytes(), port.frame.from, port.frame.to)
        return true
      }
      if (this.#isCompleted()) return true
    }
    return false
  }

  payload(): Uint8Array {
    return this.bytes.subarray(this.from, this.to)
  }

  span(): Uint8Array | undefined {
    if (!this.keep()) return undefined
    const port = this.#port
    const ring = port.bytes()
    if (this.bytes !== ring) return undefined
    this.#isMessageKept = false
    const { begin, from } = port.frame
    const first = from - headerBytes
    let end = port.frame.end
    while (port.next()) {
      // A frame behind the ring's end lies at its beginning.
      this.#isFrameKept = port.frame.flags !== 0 || port.frame.from - headerBytes !== first + port.frame.begin - begin
      if (this.#isFrameKept) break
      end = port.frame.end
    }
    return ring.subarray(first, first + end - begin)
  }

  /** True when there is a message, which `next` delivers. */
  keep(): boolean {
    if (!this.#isMessageKept) this.#isMessageKept = this.next()
    return this.#isMessageKept
  }

  /** What lies below this position was delivered, or copied. */
  get delivered(): number {
    return this.#isMessageKept || this.#isFrameKept ? this.#port.frame.begin : this.#port.cursors().read
  }

  forget(): void {
    this.#parts.forget()
    this.#isFrameKept = this.#isMessageKept = false
  }

  // The writer may have overwritten a part while it was copied: then the message is lost with all that the reader lost.
  #isCompleted(): boolean {
    const { flags, from, to } = this.#port.frame
    const whole = this.#parts.whole(flags, this.#port.bytes().subarray(from, to))
    if (whole === undefined || this.#port.evicted() !== undefined) return false
    this.#show(whole, 0, whole.length)
    return true
  }

  #show(bytes: Uint8Array, from: number, to: number): void {
    this.kind = this.#port.frame.kind
    this.bytes = bytes
    this.from = from
    this.to = to
    this.end = this.#port.frame.end
  }
}
