/**
 * The reading end of a ring in shared memory. It parses frames in place: the ring is mapped twice in a row, so that no
 * frame is split.
 */
import { ringReaderFields, type RingReaderHandle } from "../../../native/binding.ts"
import type { RingCursors, RingReaderState } from "../../../services/Ring.ts"
import type { Frame, RingReaderPort } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { contradictionAt, damageAt, FrameFields, RingBytes } from "../../ring/FrameCodec.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { RingSight } from "./RingSight.ts"

type Region = NativeRegion["Service"]

export class NativeRingReaderPort implements RingReaderPort {
  readonly ring: number
  readonly waiter: Waiter
  readonly frame = new FrameFields()
  readonly #region: Region
  readonly #reader: RingReaderHandle
  readonly #bytes: RingBytes
  readonly #sight: RingSight | undefined
  #isEvicted = false
  readonly #evicted = new Float64Array(2)
  #read: number
  #delivered: number
  #handled: number
  #released: number
  #baseline: number
  #damage: string | undefined
  #available = 0
  /** Frames below this position may be read, since the last look. */
  #limit = 0
  #lookedFrom = 0
  #isOver = false

  constructor(region: Region, reader: RingReaderHandle) {
    const info = reader.info()
    this.ring = info.ring
    this.waiter = region.ringWaiter
    region.waiter.reads(info.ring)
    this.#region = region
    this.#sight = region.info.coherence === "flushed" ? undefined : RingSight.of(reader)
    this.#reader = reader
    this.#bytes = new RingBytes(reader.buffer(), info.ringBytes)
    this.#baseline =
      this.#read =
      this.#delivered =
      this.#handled =
      this.#released =
        info.baseline
  }

  baseline(): number {
    return this.#baseline
  }

  generation(): number {
    return this.#reader.generation()
  }

  leading(): number {
    return Math.max(0, this.#reader.leading())
  }

  ready(): boolean {
    if (this.#isOver) return false
    if (this.#damage !== undefined) return true
    this.#available = this.#availableNow()
    return this.#available > this.#read || this.#available < 0
  }

  // All that a look can find is found by the native module. JavaScript finds that frames are published, and that nothing
  // else has changed.
  #availableNow(): number {
    const seen = this.#sight?.publishedAfter(this.#read, this.#released) ?? 0
    return seen > this.#read ? seen : this.#reader.available()
  }

  isStirred(): boolean {
    return this.#sight === undefined || this.#damage !== undefined || this.#sight.isStirred(this.#read)
  }

  isEvicted(): boolean {
    return this.#isEvicted
  }

  look(): boolean {
    this.#limit = 0
    this.#isEvicted = false
    if (this.#isOver || this.#damage !== undefined) return false
    // Use the position that `ready` has just read, to save a native call.
    const available = this.#available > this.#read ? this.#available : this.#availableNow()
    this.#available = 0
    if (available < 0) {
      this.#isEvicted = this.evicted() !== undefined
      if (!this.#isEvicted) this.#damage = contradictionAt(this.#read)
    }
    if (this.#bytes.isDetached) return false
    this.#limit = available
    this.#lookedFrom = this.#read
    return available > this.#read
  }

  next(): boolean {
    while (this.#read < this.#limit) {
      if (this.#bytes.view(this.#read, this.#limit, this.frame)) {
        this.#read = this.frame.end
        return true
      }
      // The bytes that may be read can end within a frame: the next look shows more of it, and so does another one now if
      // it is the first.
      const more = this.#reader.available()
      if (more <= this.#limit) this.#spoiled()
      this.#limit = more > this.#limit && this.#read === this.#lookedFrom ? more : 0
    }
    return false
  }

  bytes(): Uint8Array {
    return this.#bytes.bytes
  }

  poll(max: number): ReadonlyArray<Frame> {
    const frames: Array<Frame> = []
    if (this.look()) { while (frames.length < max && this.next()) frames.push(this.#bytes.frameOf(this.frame)) }
    return frames
  }

  cursors(): RingCursors {
    return { read: this.#read, delivered: this.#delivered, handled: this.#handled, released: this.#released }
  }

  advance({ delivered, handled, read, released }: RingCursors): void {
    if (
      read <= this.#read && delivered <= this.#delivered && handled <= this.#handled && released <= this.#released
      && this.#read === this.#published
    ) return
    this.#delivered = Math.max(this.#delivered, Math.min(delivered, this.#read))
    this.#handled = Math.max(this.#handled, Math.min(handled, this.#delivered))
    this.#released = Math.max(this.#released, Math.min(released, this.#read))
    this.#published = this.#read
    this.#reader.advance(this.#read, this.#delivered, this.#handled, this.#released)
  }

  /** `read` as other processes see it. */
  #published = -1

  evicted(): { readonly from: number; readonly to: number } | undefined {
    if (!this.#reader.evicted(this.#evicted)) return undefined
    return { from: this.#evicted[0] as number, to: this.#evicted[1] as number }
  }

  rejoin(): void {
    const baseline = this.#reader.rejoin()
    if (baseline < 0) return
    this.#baseline = baseline
    this.#read =
      this.#delivered =
      this.#handled =
      this.#released =
        this.#baseline
    this.#published = this.#baseline
    this.#sight?.begin()
    this.#isEvicted = false
    this.#limit = 0
    this.#damage = undefined
  }

  ended(): boolean {
    return this.#reader.ended(this.#read)
  }

  damage(): string | undefined {
    return this.#damage
  }

  over(): boolean {
    return this.#isOver
  }

  /** Gives up the place, and wakes the fibers of this process that wait for messages. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#reader.close()
    this.#region.waiter.nudge(this.ring)
    this.#region.waiter.leaves(this.ring)
  }

  // An evicted reader finds overwritten bytes, not damage.
  #spoiled(): void {
    if (this.evicted() === undefined) this.#damage = damageAt(this.#read)
  }
}

/** The attached, living and not evicted readers of a ring, with their cursors. */
export const readersOf = (region: Region, ring: number): ReadonlyArray<RingReaderState> => {
  const fields = fieldsFor(region.info.geometry.ringReaders)
  const active = region.handle.ringReaders(ring, fields)
  const readers: Array<RingReaderState> = []
  for (let at = 0; at < active * ringReaderFields; at += ringReaderFields) {
    readers.push({
      reader: fields[at] as number,
      process: fields[at + 1] as number,
      processGeneration: fields[at + 2] as number,
      read: fields[at + 3] as number,
      delivered: fields[at + 4] as number,
      handled: fields[at + 5] as number,
      released: fields[at + 6] as number,
      baseline: fields[at + 7] as number
    })
  }
  return readers
}

// --- internal ---

let kept = new Float64Array(0)

// One array for all calls: a fence asks for the readers at each step of their cursors, and a new array costs more than
// the call.
const fieldsFor = (readers: number): Float64Array => {
  if (kept.length < readers * ringReaderFields) kept = new Float64Array(readers * ringReaderFields)
  return kept
}
