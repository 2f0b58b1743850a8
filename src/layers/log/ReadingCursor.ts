/**
 * Tracks what one handle has polled and not yet delivered. Every way to read moves this one cursor.
 *
 * A batch keeps its room until its last record is delivered, so that the rest of it can still be lent. Records
 * delivered one by one are copied.
 */
import type { From, Gap, Gaps, IndexedBatch, Record } from "../../services/Subscriber.ts"
import type { IndexPort } from "../ports/IndexPort.ts"

/** Batches polled at once: few, so that publishers never wait for the release of a whole lane. */
const batchesPolledMax = 16

export class ReadingCursor {
  readonly #reader: IndexPort
  /** Position of the first undelivered record. If none was requested it is unknown until the first batch arrives. */
  #position: number | undefined
  #polled: ReadonlyArray<IndexedBatch> = []
  /** Index in `#polled` of the first batch with undelivered records. */
  #at = 0
  /** Delivered records and bytes of that batch. */
  #records = 0
  #bytes = 0
  /** A copy of that batch from `#copiedFrom` on, made when the first of its records is copied. */
  #copy: Uint8Array | undefined
  #copiedFrom = 0
  /** Index entries below `#delivered` are delivered; those below `#released` are released. */
  #delivered = 0
  #released = 0
  #closed = false
  /** What is missing ahead of the next record, and all that was found missing. */
  #gap: Gap | undefined
  #gaps: Gaps = { count: 0, records: 0 }

  constructor(reader: IndexPort, from: From) {
    this.#reader = reader
    this.#position = typeof from === "object" ? from.position : undefined
  }

  /** Position of the first undelivered record. */
  get position(): number {
    if (this.#position !== undefined) return this.#position
    // `ready` ends what is lent, but nothing is lent before the first batch arrives.
    while (!this.ready()) {
      const next = this.#reader.begins ?? this.#reader.committedMessages()
      if (!this.ready()) return next
    }
    return this.#position ?? 0
  }

  /**
   * The same, but `undefined` while a reader of files has not said where it begins: nothing was delivered then, and the
   * first record may come at any position.
   */
  get delivered(): number | undefined {
    const { position } = this
    return this.#position === undefined && this.#reader.isReadingHistory?.() === true ? undefined : position
  }

  /** What is missing so far, also ahead of a record that is not there yet. */
  get gaps(): Gaps {
    const ahead = this.#reader.gap?.()
    return ahead === undefined ? this.#gaps : { ...withGap(this.#gaps, ahead), ahead }
  }

  /** Whether there is a record to deliver. Call {@link release} first: this ends what is lent. */
  ready(): boolean {
    while (this.#at === this.#polled.length) {
      if (this.#closed) return false
      this.release()
      this.#polled = this.#reader.poll(batchesPolledMax)
      this.#at = 0
      if (this.#polled.length === 0) return false
      this.#begin()
    }
    return true
  }

  /** A copy of the next record, which {@link pass} then marks as delivered. */
  peek(): Record<Uint8Array> {
    const record = this.#record(this.#batch, this.#records, this.#bytes)
    return this.#gap === undefined ? record : { ...record, gap: this.#gap }
  }

  /**
   * Delivers a copy of the next record if its batch was copied for an earlier record: no lent memory is read then.
   * `undefined` otherwise.
   */
  next(): Record<Uint8Array> | undefined {
    if (this.#copy === undefined) return undefined
    const batch = this.#batch
    const record = this.#record(batch, this.#records, this.#bytes)
    this.#bytes += record.value.length
    this.#records += 1
    this.#position = record.position + 1
    if (this.#records === batch.messageCount) {
      this.#end(batch)
      this.release()
    }
    return record
  }

  /** Copies of all undelivered records of the next batch, which {@link pass} then marks as delivered. */
  peekBatch(): ReadonlyArray<Record<Uint8Array>> {
    const batch = this.#batch
    const records: Array<Record<Uint8Array>> = []
    for (let i = this.#records, at = this.#bytes; i < batch.messageCount; i += 1) {
      records.push(i === this.#records ? this.peek() : this.#record(batch, i, at))
      at += lengthOf(batch, i)
    }
    return records
  }

  /**
   * Marks `count` records of one batch from `position` on as delivered. `false` if another fiber has delivered them
   * meanwhile.
   */
  pass(position: number, count = 1): boolean {
    const gap = this.#gap
    this.#gap = undefined
    const passed = this.#pass(position, count)
    if (!passed) this.#gap = gap
    return passed
  }

  /** Passes one record that is not delivered: what is missing ahead of it is told with the next one. */
  skip(position: number): boolean {
    return this.#pass(position, 1)
  }

  #pass(position: number, count: number): boolean {
    if (position !== this.#position || this.#at === this.#polled.length) return false
    const batch = this.#batch
    for (let i = 0; i < count; i += 1) this.#bytes += lengthOf(batch, this.#records + i)
    this.#records += count
    this.#position = position + count
    if (this.#records < batch.messageCount) return true
    this.#end(batch)
    this.release()
    return true
  }

  /** Lends the next batch from its first undelivered record on, until {@link release}. */
  lend(): IndexedBatch {
    const batch = this.#batch
    const rest = behind(batch, this.#records, this.#bytes)
    const told = this.#gap === batch.gap ? rest : { ...rest, gap: this.#gap }
    this.#gap = undefined
    this.#end(batch)
    return told
  }

  /** Lends all polled batches. */
  lendAll(): ReadonlyArray<IndexedBatch> {
    const batches: Array<IndexedBatch> = []
    while (this.#at < this.#polled.length) batches.push(this.lend())
    return batches
  }

  /** Releases the room of all delivered batches. */
  release(): void {
    if (this.#delivered <= this.#released) return
    this.#released = this.#delivered
    this.#reader.release(this.#delivered)
  }

  /** Releases all batches. No record is ready afterwards, because the memory may be reused. */
  close(): void {
    this.release()
    this.#closed = true
    this.#polled = []
    this.#at = 0
    this.#copy = undefined
  }

  get #batch(): IndexedBatch {
    return this.#polled[this.#at] as IndexedBatch
  }

  // Copy a batch once for all its records: copying is most of what a record costs.
  #record(batch: IndexedBatch, record: number, at: number): Record<Uint8Array> {
    if (this.#copy === undefined) {
      this.#copy = batch.payload.slice(this.#bytes)
      this.#copiedFrom = this.#bytes
    }
    const from = at - this.#copiedFrom
    return {
      position: batch.position + record,
      sessionId: batch.sessionId,
      sequence: batch.firstMessage + record,
      value: this.#copy.subarray(from, from + lengthOf(batch, record))
    }
  }

  #end(batch: IndexedBatch): void {
    this.#position = batch.position + batch.messageCount
    this.#delivered = batch.index + 1
    this.#at += 1
    this.#begin()
  }

  // Skip batches that end before the requested position.
  #begin(): void {
    this.#records = 0
    this.#bytes = 0
    this.#copy = undefined
    for (; this.#at < this.#polled.length; this.#at += 1) {
      const batch = this.#batch
      if (batch.gap !== undefined) this.#noteGap(batch.gap)
      const skipped = (this.#position ?? batch.position) - batch.position
      if (skipped < batch.messageCount) return this.#beginWithin(batch, Math.max(0, skipped))
      this.#delivered = batch.index + 1
    }
  }

  /** One that is not told yet lies ahead of nothing but records that were skipped: both are told as one. */
  #noteGap(gap: Gap): void {
    this.#gaps = withGap(this.#gaps, gap)
    this.#gap = { from: this.#gap?.from ?? gap.from, to: gap.to }
  }

  #beginWithin(batch: IndexedBatch, skipped: number): void {
    this.#position = batch.position + skipped
    this.#records = skipped
    for (let i = 0; i < skipped; i += 1) this.#bytes += lengthOf(batch, i)
  }
}

// --- internal ---

const lengthOf = ({ lengths, uniformBytes }: IndexedBatch, record: number): number =>
  lengths === undefined ? uniformBytes : lengths[record] as number

const withGap = ({ count, records }: Gaps, { from, to }: Gap): Gaps => ({
  count: count + 1,
  records: records + to - from
})

const behind = (batch: IndexedBatch, records: number, bytes: number): IndexedBatch =>
  records === 0 ? batch : {
    ...batch,
    position: batch.position + records,
    firstMessage: batch.firstMessage + records,
    messageCount: batch.messageCount - records,
    lengths: batch.lengths?.subarray(records),
    payload: batch.payload.subarray(bytes)
  }
