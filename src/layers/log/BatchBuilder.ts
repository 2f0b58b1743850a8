/**
 * Packs records into batches in lane memory: the synchronous core of a publisher.
 *
 * It never suspends and allocates nothing per record. It begins a batch on the next broker, round robin, that has room,
 * and seals it when it is full or when the publisher asks. The records lie back to back; a table of lengths follows
 * them only if their lengths differ.
 */
import type { LanePort, SessionEnd } from "../ports/LanePort.ts"
import { InFlightBatches } from "./InFlightBatches.ts"

const align4 = (bytes: number): number => (bytes + 3) & ~3

/** In a smaller batch the table of lengths would outweigh the records. */
const batchBytesMin = 64

/** The value of `#length` once the lengths in the open batch differ. */
const mixed = -1

export class BatchBuilder {
  /** Records accepted: in sealed batches and in the open one. */
  accepted = 0
  /** Records in sealed batches. */
  sealed = 0
  /** Sequence of the open batch, or of the next one. */
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
  #isOver = false

  /**
   * Calls `onOpen` when a batch receives its first record, and `onSeal` when a batch is written but not yet published.
   */
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

  /**
   * Why the session has ended, if it has. Then nothing more is written in its lanes, and the slot is left to the next
   * session: at once, or when the open claim ends, through whose bytes the program may still write.
   */
  ended(): SessionEnd | undefined {
    const end = this.#lanes.ended()
    this.#isOver = end !== undefined
    if (this.#isOver && !this.#claimed) this.#leave()
    return end
  }

  /** The broker last asked for room: a full publisher reports the holder of that broker's lane. */
  get broker(): number {
    return this.#broker
  }

  /** Copies the record; false when it does not fit now. */
  append(record: Uint8Array): boolean {
    const bytes = record.length
    if (!this.#reserve(bytes, false)) return false
    this.#room!.set(record, this.#bytes)
    this.#added(bytes)
    return true
  }

  /** Room for a record to be written in place, until {@link commitClaim} or {@link abortClaim}. */
  claim(bytes: number): Uint8Array | undefined {
    if (!this.#reserve(bytes, true)) return undefined
    this.#claimed = true
    return this.#room!.subarray(this.#bytes, this.#bytes + bytes)
  }

  commitClaim(bytes: number): void {
    this.#claimed = false
    if (this.#isOver) return this.#leave()
    this.#added(bytes)
    this.#reopened()
  }

  abortClaim(): void {
    this.#claimed = false
    if (this.#isOver) return this.#leave()
    this.#reopened()
  }

  /** Writes the open batch's descriptor, if it has records and no open claim. */
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

  /** Seals the accepted records, drops an open claim, and accepts no more records. */
  close(): void {
    this.#claimed = false
    this.seal()
    this.#closed = true
  }

  // Ensures that `bytes` more fit into the open batch: seals it and begins another if they do not. A record that may
  // turn out shorter (`tabled`) always needs room for its entry in the table of lengths.
  #reserve(bytes: number, tabled: boolean): boolean {
    if (this.#claimed || this.#closed || bytes > this.#limitBytes) return false
    if (this.#room !== undefined) {
      if (tabled ? this.#fitsWithTable(bytes) : this.#fits(bytes)) return true
      this.seal()
    }
    return this.#begin()
  }

  #leave(): void {
    this.#room = undefined
    this.#records = 0
    this.#lanes.leave()
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
    if (this.ended() !== undefined) return false
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

  // The seal may have come due, and been skipped, while the claim was open: report the batch as open again.
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
    // Another record of this length would not fit: waiting for one would only delay these.
    if (!this.#fits(bytes)) this.seal()
  }
}
