/**
 * A subscriber's reading end: reads the index of one topic and lends the payload that it points to.
 */
import type { From, IndexedBatch } from "../../../services/Subscriber.ts"
import type { IndexPort, UngatedPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import { addsUp, LentCopies, viewOf } from "./BatchViews.ts"
import { DurableIndex, recordsBelow } from "./Durability.ts"
import type { Heap, HeapTopic, IndexEntry, Reader } from "./LogState.ts"

export interface HeapIndexOptions {
  readonly poisons: boolean
  readonly isDurable: boolean
}

/** The port of an attached reader. With `poisons` it lends copies and poisons them on release. */
export class HeapIndexPort implements IndexPort {
  readonly waiter: LogWaiter
  readonly #heap: Heap
  readonly #topic: HeapTopic
  readonly #reader: Reader
  readonly #lent: LentCopies | undefined
  /** Set for a reader that sees only what is durable. */
  readonly #durable: DurableIndex | undefined
  #next: number
  #damage: string | undefined
  #attached = true

  constructor(heap: Heap, topic: HeapTopic, reader: Reader, waiter: LogWaiter, options: HeapIndexOptions) {
    this.waiter = waiter
    this.#heap = heap
    this.#topic = topic
    this.#reader = reader
    this.#lent = options.poisons ? new LentCopies() : undefined
    this.#durable = options.isDurable ? new DurableIndex(topic) : undefined
    this.#next = reader.cursor
  }

  readonly poll = (max: number): ReadonlyArray<IndexedBatch> => {
    const batches: Array<IndexedBatch> = []
    const end = this.committed()
    while (batches.length < max && this.#next < end && this.#damage === undefined) {
      const batch = this.#read(this.#next)
      this.#next += 1
      if (batch !== undefined) batches.push(this.#lent === undefined ? batch : this.#lent.copy(batch))
    }
    return batches
  }

  readonly damage = (): string | undefined => this.#damage

  readonly release = (index: number): void => {
    if (!this.#attached || index <= this.#reader.cursor || index > this.#next) return
    this.#reader.cursor = index
    this.#lent?.poison(index)
    this.#heap.wakeSequencer()
    // Publishers and subscribers may wait for a replica.
    if (this.#reader.replica !== undefined) this.#heap.members.ring()
  }

  readonly storedCursors = (stamp: number): void => {
    if (!this.#attached) return
    this.#reader.storedCursors = stamp
    this.#heap.members.ring()
  }

  readonly committed = (): number => {
    const { committedBatches } = this.#topic
    if (this.#durable === undefined) return committedBatches
    return Math.min(committedBatches, Math.max(this.#durable.look(), this.#next))
  }

  readonly committedMessages = (): number => recordsBelow(this.#topic, this.committed()) ?? this.#topic.trimmedMessages

  readonly next = (): number => this.#next

  /** Goes on at that batch. */
  readonly goTo = (index: number): void => {
    this.#next = index
  }

  readonly finished = (): boolean => this.#heap.stopped && this.#next >= this.committed()

  readonly detach = (): void => {
    if (!this.#attached) return
    this.#attached = false
    this.#topic.readers[this.#topic.readers.indexOf(this.#reader)] = undefined
    this.#heap.leave(this.#topic)
    this.#lent?.poison(this.#next)
    this.#heap.wakeSequencer()
  }

  #read(index: number): IndexedBatch | undefined {
    const entry = this.#topic.entry(index)
    const batch = entry?.index === index ? entered(entry) : undefined
    if (batch === undefined) this.#damage = "what it reads contradicts the layout: the memory was damaged from outside"
    else if (!addsUp(batch)) {
      this.#damage = `the lengths of batch ${index} do not add up: the memory was damaged from outside`
    }
    return this.#damage === undefined ? batch : undefined
  }
}

/** The port of a reader that holds nothing back: its batches are copies. */
export class HeapUngatedPort implements UngatedPort {
  readonly waiter: LogWaiter
  readonly #topic: HeapTopic
  readonly #reader: Reader
  readonly #port: HeapIndexPort

  constructor(heap: Heap, topic: HeapTopic, reader: Reader, waiter: LogWaiter, options: HeapIndexOptions) {
    this.waiter = waiter
    this.#topic = topic
    this.#reader = reader
    this.#port = new HeapIndexPort(heap, topic, reader, waiter, options)
  }

  readonly poll = (max: number): ReadonlyArray<IndexedBatch> => {
    if (this.next() < this.#topic.trimmed) this.#port.goTo(this.#topic.trimmed)
    return this.#port.poll(max).map((batch) => ({
      ...batch,
      payload: batch.payload.slice(),
      lengths: batch.lengths?.slice()
    }))
  }

  readonly position = (): number => recordsBelow(this.#topic, this.next()) ?? this.#topic.trimmedMessages

  // Files that count batches otherwise are of another log.
  readonly resume = (index: number, position: number): boolean => {
    if (index < this.#topic.trimmed || recordsBelow(this.#topic, index) !== position) return false
    this.#port.goTo(index)
    return true
  }

  readonly release = (index: number): void => {
    this.#port.release(index)
    // What it has read in files counts too.
    this.#reader.cursor = Math.max(this.#reader.cursor, index)
  }

  readonly damage = (): string | undefined => this.#port.damage()
  readonly committed = (): number => this.#port.committed()
  readonly committedMessages = (): number => this.#port.committedMessages()
  readonly next = (): number => this.#port.next()
  readonly finished = (): boolean => this.#port.finished()
  readonly detach = (): void => this.#port.detach()
}

/** The cursor of a reader that begins at `from`. */
export const cursorAt = (topic: HeapTopic, from: From): number => {
  if (from === "end") return topic.committedBatches
  return from === "start" ? topic.trimmed : batchAt(topic, from.position)
}

// --- internal ---

/** The first kept batch that ends after the position, or the next batch to be committed. */
const batchAt = (topic: HeapTopic, position: number): number => {
  let low = topic.trimmed
  let high = topic.committedBatches
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2)
    const { descriptor, firstPosition } = topic.entry(middle)!
    if (firstPosition + descriptor.messageCount <= position) low = middle + 1
    else high = middle
  }
  return low
}

const entered = ({ descriptor, firstPosition, index, lane, orderedMillis }: IndexEntry): IndexedBatch =>
  viewOf(descriptor, lane.lane, { index, position: firstPosition, orderedMillis })
