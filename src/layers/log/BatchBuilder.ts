/**
 * Packs records into batches in lane memory: the synchronous core of a publisher.
 *
 * Nothing here suspends and nothing is allocated per record. A batch is begun on the first broker that has room, round
 * robin, and sealed when it is full or when its owner says so; its records lie one after the other, and a table of
 * lengths follows only when their lengths differ.
 */
import type { LanePort } from "../ports/LanePort.ts"
import { InFlightBatches } from "./InFlightBatches.ts"

const align4 = (bytes: number): number => (bytes + 3) & ~3

/** Below this a table of lengths would outweigh the records. */
const batchBytesMin = 64

/** Lengths of the open batch are all equal so far, or `mixed`. */
const mixed = -1

export class BatchBuilder {
  /** Records accepted: in sealed batches and in the open one. */
  accepted = 0
  /** Records in sealed batches. */
  sealed = 0
  /** Sequence of the batch that is open or opens next. */
  sequence = 0
  readonly inFlight: InFlightBatches
  readonly #lanes: LanePort
  readonly #limitBytes: number
  readonly #onOpen: () => void
  readonly #onSeal: (broker: number) => void
  readonly #lengths: Uint32Array
  #room: Uint8Array | undefined
  #broker = 0
  #nextBroker = 0
  #bytes = 0
  #records = 0
  #length = 0
  #claimed = false
  #closed = false

  /** `onOpen` is called when a batch receives its first record, `onSeal` when one is written and not yet published. */
  constructor(lanes: LanePort, limitBytes: number, onOpen: () => void, onSeal: (broker: number) => void) {
    this.#lanes = lanes
    this.#limitBytes = Math.max(batchBytesMin, Math.min(limitBytes, lanes.batchBytes))
    this.#onOpen = onOpen
    this.#onSeal = onSeal
    this.#lengths = new Uint32Array(this.#limitBytes >> 2)
    this.inFlight = new InFlightBatches(lanes.brokers)
  }

  /** The largest record that fits into a batch of its own. */
  get recordBytesMax(): number {
    return this.#limitBytes
  }

  get claimed(): boolean {
    return this.#claimed
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The broker that was asked for room last: a full publisher waits for the holder of that broker's lane. */
  get broker(): number {
    return this.#broker
  }

  /** Copies the record, or returns that it does not fit now. */
  append(record: Uint8Array): boolean {
    const bytes = record.length
    if (!this.#reserve(bytes, false)) return false
    this.#room!.set(record, this.#bytes)
    this.#added(bytes)
    return true
  }

  /** Bytes for a record to be written in place, until {@link commitClaim} or {@link abortClaim}. */
  claim(bytes: number): Uint8Array | undefined {
    if (!this.#reserve(bytes, true)) return undefined
    this.#claimed = true
    return this.#room!.subarray(this.#bytes, this.#bytes + bytes)
  }

  commitClaim(bytes: number): void {
    this.#claimed = false
    this.#added(bytes)
    this.#reopened()
  }

  abortClaim(): void {
    this.#claimed = false
    this.#reopened()
  }

  /** Writes the open batch's descriptor, if it holds anything and no claim is open in it. */
  seal(): void {
    if (this.#records === 0 || this.#claimed) return
    const uniformBytes = this.#length === mixed ? 0 : this.#length
    this.#lanes.seal(this.#broker, {
      batchSequence: this.sequence,
      firstMessage: this.sealed,
      messageCount: this.#records,
      payloadBytes: this.#bytes,
      uniformBytes,
      lengths: this.#lengths
    })
    this.inFlight.sealed(this.#broker, this.#records, this.#lanes)
    this.sealed += this.#records
    this.sequence += 1
    this.#room = undefined
    this.#bytes = 0
    this.#records = 0
    this.#nextBroker = this.#broker + 1 === this.#lanes.brokers ? 0 : this.#broker + 1
    this.#onSeal(this.#broker)
  }

  /** Accepts no more records. Accepted records are sealed, an open claim is dropped. */
  close(): void {
    this.#claimed = false
    this.seal()
    this.#closed = true
  }

  // Makes sure that `bytes` more fit into the open batch: seals it and begins another where they do not. A record that
  // may turn out shorter (`tabled`) needs its entry in the table of lengths in any case.
  #reserve(bytes: number, tabled: boolean): boolean {
    if (this.#claimed || this.#closed || bytes > this.#limitBytes) return false
    if (this.#room !== undefined) {
      if (tabled ? this.#fitsWithTable(bytes) : this.#fits(bytes)) return true
      this.seal()
    }
    return this.#begin()
  }

  #fits(bytes: number): boolean {
    if (this.#length === bytes) return this.#bytes + bytes <= this.#limitBytes
    return this.#fitsWithTable(bytes)
  }

  #fitsWithTable(bytes: number): boolean {
    if (this.#records === 0) return true
    return align4(this.#bytes + bytes) + 4 * (this.#records + 1) <= this.#limitBytes
  }

  #begin(): boolean {
    if (this.#lanes.ended() !== undefined) return false
    for (let turn = 0; turn < this.#lanes.brokers; turn += 1) {
      const broker = (this.#nextBroker + turn) % this.#lanes.brokers
      const room = this.#lanes.begin(broker, this.sequence)
      this.#broker = broker
      if (room === undefined) continue
      this.#room = room
      return true
    }
    return false
  }

  // A seal that came due while the claim was open was passed over: report the batch as open again.
  #reopened(): void {
    if (this.#records > 0) this.#onOpen()
  }

  #added(bytes: number): void {
    if (this.#records === 0) {
      this.#length = bytes === 0 ? mixed : bytes
      this.#onOpen()
    } else if (this.#length !== mixed && this.#length !== bytes) {
      this.#lengths.fill(this.#length, 0, this.#records)
      this.#length = mixed
    }
    if (this.#length === mixed) this.#lengths[this.#records] = bytes
    this.#records += 1
    this.#bytes += bytes
    this.accepted += 1
    // Another of the same length would not fit: waiting for one only delays these.
    if (!this.#fits(bytes)) this.seal()
  }
}
