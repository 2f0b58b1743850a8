/**
 * Records which broker carries which batch of one session, so that acknowledgements can be counted by broker without
 * reading a broker's frontier. Under order `none` it records nothing: no acknowledgement would ever take a batch off.
 */
import type { LanePort } from "../../ports/LanePort.ts"

const initialBatches = 1024

export class InFlightBatches {
  readonly byBroker: Array<number>
  #brokers: Uint8Array = new Uint8Array(initialBatches)
  #messages: Uint32Array = new Uint32Array(initialBatches)
  /** Batches counted as acknowledged. */
  #counted = 0
  /** Batches sealed. */
  #sealed = 0

  constructor(brokers: number) {
    this.byBroker = Array.from({ length: brokers }, () => 0)
  }

  /** Records the session's next batch. */
  sealed(broker: number, messages: number, lanes: LanePort): void {
    if (!lanes.isOrdered) return
    if (this.#sealed - this.#counted === this.#brokers.length) this.count(lanes)
    if (this.#sealed - this.#counted === this.#brokers.length) this.#grow()
    const slot = this.#sealed & (this.#brokers.length - 1)
    this.#brokers[slot] = broker
    this.#messages[slot] = messages
    this.#sealed += 1
  }

  /** Counts the batches acknowledged so far. */
  count(lanes: LanePort): void {
    const acknowledged = Math.min(lanes.committedBatches(), this.#sealed)
    for (; this.#counted < acknowledged; this.#counted += 1) {
      const slot = this.#counted & (this.#brokers.length - 1)
      const broker = this.#brokers[slot] as number
      this.byBroker[broker] = (this.byBroker[broker] as number) + (this.#messages[slot] as number)
    }
  }

  /** Forgets the batches of a session that has ended, once it has counted those acknowledged. */
  restart(lanes: LanePort): void {
    this.count(lanes)
    this.#counted = 0
    this.#sealed = 0
  }

  /** The first unacknowledged batch and its broker; `undefined` when all are acknowledged. */
  waitingOn(): { readonly batch: number; readonly broker: number } | undefined {
    if (this.#counted === this.#sealed) return undefined
    return { batch: this.#counted, broker: this.#brokers[this.#counted & (this.#brokers.length - 1)] as number }
  }

  #grow(): void {
    const brokers = new Uint8Array(this.#brokers.length * 2)
    const messages = new Uint32Array(brokers.length)
    for (let batch = this.#counted; batch < this.#sealed; batch += 1) {
      const from = batch & (this.#brokers.length - 1)
      const to = batch & (brokers.length - 1)
      brokers[to] = this.#brokers[from] as number
      messages[to] = this.#messages[from] as number
    }
    this.#brokers = brokers
    this.#messages = messages
  }
}
