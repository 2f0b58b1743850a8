/**
 * A subscriber's reading end of a topic of order `none`: scans the lanes of the topic's open sessions itself, and lends
 * the payload that it finds.
 *
 *     lanes, by client slot and broker     A0 ─ A1 ─ B0 ─ B1 ─┐
 *     a poll takes one batch of each        ▲                 │
 *     in turn, until it has enough          └─────────────────┘
 *
 * It numbers the batches and the records as it finds them: these numbers are its own.
 */
import type { IndexedBatch } from "../../../services/Subscriber.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import { addsUp, LentCopies, viewOf } from "./BatchViews.ts"
import { isValid, publishedAt } from "./descriptors.ts"
import {
  batchBytesOf,
  type Descriptor,
  type Heap,
  type HeapTopic,
  lineBytes,
  type Reader,
  roundUp,
  type Session,
  type SessionLane
} from "./LogState.ts"

/** The port of an attached reader. With `poisons` it lends copies and poisons them on release. */
export class HeapLaneReader implements IndexPort {
  readonly waiter: LogWaiter
  readonly #heap: Heap
  readonly #topic: HeapTopic
  readonly #reader: Reader
  readonly #lent: LentCopies | undefined
  /** By client slot: the session whose lanes it follows. */
  readonly #sessions: Array<Session | undefined>
  /** By place: `client slot × brokers + broker`. */
  #lanes: Array<Followed> = []
  /** The place at which the next poll begins. */
  #turn = 0
  /** Batches polled and not yet released, in the order in which they were found. */
  #unreleased: Array<{ readonly index: number; readonly at: SessionLane; readonly laneIndex: number }> = []
  #next = 0
  #messages = 0
  #damage: string | undefined
  #attached = true

  constructor(heap: Heap, topic: HeapTopic, reader: Reader, waiter: LogWaiter, options: {
    /** Whether it passes over the batches that are published by now. */
    readonly atEnd: boolean
    readonly poisons: boolean
  }) {
    this.waiter = waiter
    this.#heap = heap
    this.#topic = topic
    this.#reader = reader
    this.#lent = options.poisons ? new LentCopies() : undefined
    this.#sessions = Array.from({ length: heap.geometry.clients }, () => undefined)
    this.#follow(options.atEnd)
  }

  readonly poll = (max: number): ReadonlyArray<IndexedBatch> => {
    this.#follow(false)
    const batches: Array<IndexedBatch> = []
    const first = Math.max(0, this.#lanes.findIndex(({ place }) => place >= this.#turn))
    for (let turn = first, missed = 0; batches.length < max && missed < this.#lanes.length; turn += 1) {
      const lane = this.#lanes[turn % this.#lanes.length]!
      const batch = this.#take(lane)
      missed = batch === undefined ? missed + 1 : 0
      if (batch === undefined) continue
      batches.push(this.#lent === undefined ? batch : this.#lent.copy(batch))
      this.#turn = lane.place + 1
    }
    return batches
  }

  // An invalid descriptor ends its session, but not the readers: they take what the lane holds before it.
  readonly damage = (): string | undefined => this.#damage

  readonly release = (index: number): void => {
    if (!this.#attached || index <= this.#reader.cursor || index > this.#next) return
    this.#reader.cursor = index
    const released = this.#unreleased.filter((batch) => batch.index < index)
    this.#unreleased = this.#unreleased.slice(released.length)
    for (const { at, laneIndex } of released) this.#reader.lanes.set(at, laneIndex + 1)
    this.#lent?.poison(index)
    this.#heap.wakeSequencer()
  }

  /** One more than `next` while another batch can be polled. */
  readonly committed = (): number => this.#next + (this.#isReady() ? 1 : 0)
  /** Records that it has found so far. */
  readonly committedMessages = (): number => this.#messages
  readonly next = (): number => this.#next
  readonly finished = (): boolean => this.#heap.stopped && !this.#isReady()

  readonly detach = (): void => {
    if (!this.#attached) return
    this.#attached = false
    this.#topic.readers[this.#topic.readers.indexOf(this.#reader)] = undefined
    this.#heap.leave(this.#topic)
    this.#lent?.poison(this.#next)
    this.#heap.wakeSequencer()
  }

  // Follows the lanes of sessions that have opened, and leaves those of sessions that have ended.
  #follow(atEnd: boolean): void {
    let changed = false
    for (const [slot, session] of this.#heap.sessions.entries()) {
      const open = session?.state === "active" && session.topic === this.#topic ? session : undefined
      const known = this.#sessions[slot]
      if (open === known) continue
      for (const at of known?.lanes ?? []) this.#reader.lanes.delete(at)
      for (const at of open?.lanes ?? []) this.#reader.lanes.set(at, beginningOf(at, atEnd))
      this.#sessions[slot] = open
      changed = true
    }
    if (!changed) return
    const before = new Map(this.#lanes.map((lane) => [lane.at, lane]))
    this.#lanes = this.#sessions.flatMap((session, slot) =>
      (session?.lanes ?? []).map((at, broker): Followed =>
        before.get(at) ?? {
          place: slot * this.#heap.geometry.brokers + broker,
          session: session!,
          at,
          next: this.#reader.lanes.get(at)!,
          payloadEnd: undefined
        }
      )
    )
  }

  #isReady(): boolean {
    this.#follow(false)
    return this.#lanes.some((lane) => this.#nextOf(lane) !== undefined)
  }

  #nextOf({ at, next, payloadEnd, session }: Followed): Descriptor | undefined {
    const descriptor = publishedAt(session, at.lane, next)
    const { geometry } = this.#heap
    return descriptor !== undefined && isValid(geometry, descriptor, payloadEnd) ? descriptor : undefined
  }

  #take(lane: Followed): IndexedBatch | undefined {
    const descriptor = this.#nextOf(lane)
    if (descriptor === undefined || this.#damage !== undefined) return undefined
    const place = { index: this.#next, position: this.#messages, orderedMillis: this.#heap.wallMillis() }
    const batch = viewOf(descriptor, lane.at.lane, place)
    if (!addsUp(batch)) {
      this.#damage = `the lengths of batch ${batch.index} do not add up: the memory was damaged from outside`
      return undefined
    }
    const { messageCount, payloadBytes, payloadPosition, uniformBytes } = descriptor
    this.#unreleased.push({ index: this.#next, at: lane.at, laneIndex: lane.next })
    this.#next += 1
    this.#messages += messageCount
    lane.next += 1
    lane.payloadEnd = roundUp(payloadPosition + batchBytesOf(payloadBytes, messageCount, uniformBytes), lineBytes)
    return batch
  }
}

// --- internal ---

/** A lane that the reader scans. */
interface Followed {
  readonly place: number
  readonly session: Session
  readonly at: SessionLane
  /** The descriptor that it takes next. */
  next: number
  /** Where the last batch that it took ends. */
  payloadEnd: number | undefined
}

/** Where a reader begins in a lane: at the oldest batch that is kept of its session, or behind the published ones. */
const beginningOf = (at: SessionLane, atEnd: boolean): number =>
  atEnd ? at.published : Math.max(at.first, at.lane.released)
