/**
 * A reader of one topic's index in shared memory. Values from the memory are checked before they are used.
 */
import { batchFields, type ReaderHandle, readFrom, type RegionHandle, serverState } from "../../../native/binding.ts"
import type { From, IndexedBatch } from "../../../services/Subscriber.ts"
import type { IndexPort, UngatedPort } from "../../ports/IndexPort.ts"
import type { ServerWaiter } from "../region/ServerWaiter.ts"
import type { ClientRegion } from "./ClientRegion.ts"

/** Where a reader begins, as the two numbers that the native module takes. */
export const beginning = (from: From): readonly [kind: number, position: number] => {
  if (from === "start") return [readFrom.start, 0]
  return from === "end" ? [readFrom.end, 0] : [readFrom.position, from.position]
}

export class NativeIndexPort implements IndexPort {
  readonly waiter: ServerWaiter
  readonly #region: RegionHandle
  protected readonly reader: ReaderHandle
  readonly #clients: number
  readonly #payload: Array<ArrayBuffer | undefined>
  #fields = new Float64Array(batchFields)
  /** The names of identities, by slot and generation: an identity keeps its name. */
  readonly #names = new Map<string, string>()
  #damage: string | undefined

  constructor(region: ClientRegion, reader: ReaderHandle) {
    const { brokers, clients } = region.info.geometry
    this.waiter = region.waiter
    this.#region = region.handle
    this.reader = reader
    this.#clients = clients
    this.#payload = Array.from({ length: brokers * clients }, () => undefined)
  }

  poll(max: number): ReadonlyArray<IndexedBatch> {
    if (this.#damage !== undefined) return []
    if (this.#fields.length < max * batchFields) this.#fields = new Float64Array(max * batchFields)
    const filled = this.fill(this.#fields, max)
    if (filled < 0) this.#damage = "what it reads contradicts the layout: the memory was damaged from outside"
    const batches: Array<IndexedBatch> = []
    for (let i = 0; i < filled; i += 1) {
      const batch = this.#batch(i * batchFields)
      if (batch === undefined) break
      batches.push(batch)
    }
    return batches
  }

  damage(): string | undefined {
    return this.#damage
  }

  release(index: number): void {
    this.reader.release(index)
  }

  storedCursors(stamp: number): void {
    this.reader.storedCursors(stamp)
  }

  committed(): number {
    return this.reader.committed()
  }

  committedMessages(): number {
    return this.reader.committedMessages()
  }

  next(): number {
    return this.reader.next()
  }

  finished(): boolean {
    // A reader of a closed attachment has not reached the end: the waiter fails with the reason.
    if (this.waiter.isClosed) return false
    return this.#region.serverState() === serverState.stopped && this.next() >= this.committed()
  }

  protected fill(fields: Float64Array, max: number): number {
    return this.reader.poll(fields, max)
  }

  /** Where the bytes of a batch in that lane are. */
  protected bufferOf(lane: number): ArrayBuffer {
    return this.#payload[lane] ??= this.#region.laneBuffer(lane)
  }

  #identity(slot: number, generation: number, record: number, incarnation: number): IndexedBatch["identity"] {
    if (slot === 0) return undefined
    const key = `${slot}:${generation}`
    const name = this.#names.get(key) ?? this.#region.identityName(slot - 1, generation)
    this.#names.set(key, name)
    return { name, record, incarnation }
  }

  #batch(at: number): IndexedBatch | undefined {
    const field = (i: number) => this.#fields[at + i] as number
    const lane = field(6)
    const [messageCount, uniformBytes, offset, payloadBytes] = [field(2), field(7), field(8), field(9)]
    const buffer = this.bufferOf(lane)
    const lengths = uniformBytes === 0 ? lengthTable(buffer, offset, payloadBytes, messageCount) : undefined
    if (uniformBytes === 0 && lengths === undefined) {
      this.#damage = `the lengths of batch ${field(0)} do not add up: the memory was damaged from outside`
      return undefined
    }
    return {
      index: field(0),
      position: field(1),
      messageCount,
      sessionId: field(3),
      batchSequence: field(4),
      firstMessage: field(5),
      identity: this.#identity(field(12), field(13), field(14), field(15)),
      broker: Math.floor(lane / this.#clients),
      uniformBytes,
      lengths,
      payload: new Uint8Array(buffer, offset, payloadBytes),
      publishedMillis: field(10),
      orderedMillis: field(11)
    }
  }
}

/** A reader that holds nothing back: it lends copies, until the next poll. */
export class NativeUngatedPort extends NativeIndexPort implements UngatedPort {
  readonly #copies: Uint8Array<ArrayBuffer>

  constructor(region: ClientRegion, reader: ReaderHandle) {
    super(region, reader)
    this.#copies = new Uint8Array(Math.max(region.info.geometry.batchBytes, copiedBytes))
  }

  position(): number {
    return this.reader.position()
  }

  resume(index: number, position: number): boolean {
    return this.reader.resume(index, position)
  }

  protected override fill(fields: Float64Array, max: number): number {
    return this.reader.copy(fields, max, this.#copies)
  }

  protected override bufferOf(): ArrayBuffer {
    return this.#copies.buffer
  }
}

// --- internal ---

/** Copied at once: little against a lane, so that few copies are overtaken. */
const copiedBytes = 1024 * 1024

// Copy the table first, so that the lengths that were checked are those that are used.
const lengthTable = (buffer: ArrayBuffer, offset: number, payloadBytes: number, messageCount: number) => {
  const table = new Uint32Array(buffer, offset + ((payloadBytes + 3) & ~3), messageCount).slice()
  let sum = 0
  for (let i = 0; i < messageCount; i += 1) sum += table[i] as number
  return sum === payloadBytes ? table : undefined
}
