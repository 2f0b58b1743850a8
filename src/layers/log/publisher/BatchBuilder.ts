/**
 * Packs records into batches in lane memory: the synchronous core of a publisher.
 *
 * It never suspends and allocates nothing per record. It begins a batch on the next broker, round robin, that has room,
 * and seals it when it is full or when the publisher asks. The records lie back to back; a table of lengths follows
 * them only if their lengths differ.
 *
 * It outlives its session: when that has outlived its lease, the publisher takes the uncommitted records here, opens
 * another session, and appends them again.
 */
import type { SessionEnd } from "../../../services/Sequencer.ts"
import type { LanePort, UncommittedBatch } from "../../ports/LanePort.ts"
import { DurableRecords } from "./DurableRecords.ts"
import { InFlightBatches } from "./InFlightBatches.ts"

const align4 = (bytes: number): number => (bytes + 3) & ~3

/** In a smaller batch the table of lengths would outweigh the records. */
const batchBytesMin = 64

/** The value of `#length` once the lengths in the open batch differ. */
const mixed = -1

/** What a publisher does when its batches change. */
export interface BuilderEvents {
  /** A batch has received its first record. */
  readonly onOpen: () => void
  /** A batch is written on that broker's lane, but not yet published. */
  readonly onSeal: (broker: number) => void
  /** The session has outlived its lease: nothing is accepted until another one takes its place. */
  readonly onOutlived: () => void
}

export class BatchBuilder {
  /** Records accepted: in sealed batches and in the open one. */
  accepted = 0
  /** Sequence of the open batch, or of the next one. */
  sequence = 0
  readonly inFlight: InFlightBatches
  readonly #limitBytes: number
  readonly #events: BuilderEvents
  #lanes: LanePort
  readonly #durable: DurableRecords | undefined
  /** Whether the lanes were left, and those of another session are not there yet. */
  #hasLeft = false
  /** Records in sealed batches of the session. */
  #sealed = 0
  /** Records that are committed by former sessions, and how often these found a lane full. */
  #committedBefore = 0
  #fullBefore = 0
  readonly #lengths: Uint32Array
  #room: Uint8Array | undefined
  #broker = 0
  #nextBroker = 0
  #bytes = 0
  #records = 0
  #length = 0
  #claimed = false
  #closed = false
  #isResuming = false
  /** False once it is closed, and while it resumes. */
  #accepts = true
  #end: Exclude<SessionEnd, "outlived"> | undefined

  constructor(lanes: LanePort, limitBytes: number, events: BuilderEvents) {
    this.#lanes = lanes
    this.#durable = lanes.isDurable ? new DurableRecords() : undefined
    this.#limitBytes = Math.max(batchBytesMin, Math.min(limitBytes, lanes.batchBytes))
    this.#events = events
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

  /** The present session's lanes. */
  get lanes(): LanePort {
    return this.#lanes
  }

  /** Records committed, over all sessions. */
  get committed(): number {
    return this.#hasLeft ? this.#committedBefore : this.#committedBefore + this.#lanes.committedMessages()
  }

  /** Records acknowledged, over all sessions: committed and, under ack `durable`, on the disks of the required replicas. */
  get acknowledged(): number {
    const { committed } = this
    return this.#durable === undefined ? committed : this.#durable.look(committed, this.#lanes)
  }

  /** Times that a lane was found full, over all sessions. */
  get fullEvents(): number {
    return this.#hasLeft ? this.#fullBefore : this.#fullBefore + this.#lanes.fullEvents()
  }

  /** Whether its session has outlived its lease, and another one has not yet taken over all that was not committed. */
  get isResuming(): boolean {
    return this.#isResuming
  }

  /** Whether the present session has outlived its lease, and its lanes still hold what was not committed. */
  get hasOutlived(): boolean {
    return !this.#hasLeft && this.#lanes.ended() === "outlived"
  }

  /**
   * Why the session has ended for good, if it has. Then nothing more is written in its lanes, and the slot is left to the
   * next session: at once, or when the open claim ends, through whose bytes the program may still write. A session that
   * outlived its lease has not: the publisher resumes.
   */
  ended(): Exclude<SessionEnd, "outlived"> | undefined {
    const end = this.#end ?? (this.#hasLeft ? undefined : this.#lanes.ended())
    if (end === "outlived") return this.#outlived()
    this.#end = end
    if (end !== undefined && !this.#claimed) this.#leave()
    return end
  }

  /** Ends the publisher, because no session can take the place of the one that it had. */
  endAs(reason: Exclude<SessionEnd, "outlived">): void {
    this.#end = reason
    this.#isResuming = false
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
    if (this.#end !== undefined) return this.#leave()
    this.#added(bytes)
    this.#reopened()
  }

  abortClaim(): void {
    this.#claimed = false
    if (this.#end !== undefined) return this.#leave()
    this.#reopened()
  }

  /**
   * Writes the open batch's descriptor, if it has records and no open claim. The batch of a session that has ended stays
   * open: it is appended again when the publisher resumes.
   */
  seal(): void {
    if (this.#records === 0 || this.#claimed) return
    const isSealed = this.#lanes.seal(this.#broker, {
      batchSequence: this.sequence,
      firstMessage: this.#sealed,
      messageCount: this.#records,
      payloadBytes: this.#bytes,
      uniformBytes: this.#uniformBytes,
      lengths: this.#lengths
    })
    if (!isSealed) return void this.ended()
    this.inFlight.sealed(this.#broker, this.#records, this.#lanes)
    // Each look notes a point of the order: a publisher that looks at its last moment alone would know of none that is durable.
    if (this.#durable !== undefined) this.#durable.look(this.committed, this.#lanes)
    this.#sealed += this.#records
    this.sequence += 1
    this.#room = undefined
    this.#bytes = 0
    this.#records = 0
    this.#nextBroker = this.#broker + 1 === this.#lanes.brokers ? 0 : this.#broker + 1
    this.#events.onSeal(this.#broker)
  }

  /** Seals the accepted records, drops an open claim, and accepts no more records. */
  close(): void {
    this.#claimed = false
    this.seal()
    this.#closed = true
    this.#accepts = false
  }

  /**
   * Takes what a session that has outlived its lease leaves uncommitted, copied and in order, and leaves its lanes. Call it
   * without an open claim. `undefined`: the lanes do not hold all of it, which only damage explains.
   */
  takeUncommitted(): ReadonlyArray<UncommittedBatch> | undefined {
    const lanes = this.#lanes
    const batches = lanes.uncommitted()
    const committed = lanes.committedMessages()
    const open = this.#openBatch()
    this.#committedBefore += committed
    this.#fullBefore += lanes.fullEvents()
    this.inFlight.restart(lanes)
    this.#leave()
    this.#hasLeft = true
    const found = batches.reduce((sum, { messages }) => sum + messages, 0)
    if (found !== this.#sealed - committed) return undefined
    return open === undefined ? batches : [...batches, open]
  }

  /** Goes on in the lanes of another session, in which nothing is written yet. */
  continueOn(lanes: LanePort): void {
    this.#lanes = lanes
    this.#hasLeft = false
    this.#sealed = 0
    this.sequence = 0
    this.#nextBroker = 0
  }

  /** Copies a record that was accepted before; false when it does not fit now. */
  appendAgain(record: Uint8Array): boolean {
    this.#accepts = true
    const isAppended = this.append(record)
    this.#accepts = false
    if (isAppended) this.accepted -= 1
    return isAppended
  }

  /** Accepts new records: all that were not committed are appended again. */
  resumed(): void {
    this.seal()
    this.#isResuming = false
    this.#accepts = !this.#closed
  }

  // Ensures that `bytes` more fit into the open batch: seals it and begins another if they do not. A record that may
  // turn out shorter (`tabled`) always needs room for its entry in the table of lengths.
  #reserve(bytes: number, tabled: boolean): boolean {
    if (this.#claimed || !this.#accepts || bytes > this.#limitBytes) return false
    if (this.#room !== undefined) {
      if (tabled ? this.#fitsWithTable(bytes) : this.#fits(bytes)) return true
      this.seal()
    }
    return this.#room === undefined && this.#begin()
  }

  #outlived(): undefined {
    if (this.#isResuming) return
    this.#isResuming = true
    this.#accepts = false
    this.#events.onOutlived()
  }

  #openBatch(): UncommittedBatch | undefined {
    if (this.#room === undefined || this.#records === 0) return undefined
    return {
      firstMessage: this.#sealed,
      messages: this.#records,
      payload: this.#room.slice(0, this.#bytes),
      uniformBytes: this.#uniformBytes,
      lengths: this.#lengths.slice(0, this.#records)
    }
  }

  get #uniformBytes(): number {
    return this.#length === mixed ? 0 : this.#length
  }

  #leave(): void {
    this.#room = undefined
    this.#bytes = 0
    this.#records = 0
    if (!this.#hasLeft) this.#lanes.leave()
  }

  #fits(bytes: number): boolean {
    if (this.#length === bytes) return this.#bytes + bytes <= this.#limitBytes
    return this.#fitsWithTable(bytes)
  }

  #fitsWithTable(bytes: number): boolean {
    if (this.#records === 0) return true
    return align4(this.#bytes + bytes) + 4 * (this.#records + 1) <= this.#limitBytes
  }

  // Looks at the session once: this is asked for each batch.
  #begin(): boolean {
    if (this.#end !== undefined || (!this.#hasLeft && this.#lanes.ended() !== undefined)) {
      this.ended()
      return false
    }
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
    if (this.#records > 0) this.#events.onOpen()
  }

  #added(bytes: number): void {
    if (this.#records === 0) {
      this.#length = bytes === 0 ? mixed : bytes
      this.#events.onOpen()
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
