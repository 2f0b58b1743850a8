/**
 * A reader that holds nothing back, and tells which records were dropped before it read them.
 */
import type { Gap, IndexedBatch } from "../../../services/Subscriber.ts"
import type { IndexPort, UngatedPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"

export class LappedReader implements IndexPort {
  readonly waiter: LogWaiter
  readonly #port: UngatedPort
  /** The position behind all that it has returned or told as a gap. */
  #expected: number

  /** `requested`: where it was to begin, if that is a position: trimmed, in the middle of a batch, or still to come. */
  constructor(port: UngatedPort, requested: number = port.position()) {
    this.waiter = port.waiter
    this.#port = port
    this.#expected = requested
  }

  readonly poll = (max: number): ReadonlyArray<IndexedBatch> => {
    const batches = this.#port.poll(max)
    const first = batches[0]
    const last = batches.at(-1)
    if (first === undefined || last === undefined) return batches
    const from = this.#expected
    // What was requested may lie in the midst of the first one, or behind the last one.
    this.#expected = Math.max(from, last.position + last.messageCount)
    return first.position <= from ? batches : [{ ...first, gap: { from, to: first.position } }, ...batches.slice(1)]
  }

  readonly gap = (): Gap | undefined => {
    const to = this.#port.position()
    return to > this.#expected ? { from: this.#expected, to } : undefined
  }

  /** Goes on at the batch of that index, which begins at that position. False when it is trimmed. */
  resume(index: number, position: number): boolean {
    if (!this.#port.resume(index, position)) return false
    this.#expected = position
    return true
  }

  readonly release = (index: number): void => this.#port.release(index)
  readonly damage = (): string | undefined => this.#port.damage()
  readonly committed = (): number => this.#port.committed()
  readonly committedMessages = (): number => this.#port.committedMessages()
  readonly next = (): number => this.#port.next()
  readonly finished = (): boolean => this.#port.finished()
}
