/**
 * The reading end of a ring in the heap.
 */
import type { RingCursors } from "../../../services/Ring.ts"
import type { Frame, RingReaderPort } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { damageAt, FrameFields } from "../../ring/FrameCodec.ts"
import type { HeapRing, HeapRingPlace } from "./HeapRing.ts"

export class HeapRingReaderPort implements RingReaderPort {
  readonly ring: number
  readonly waiter: Waiter
  readonly frame = new FrameFields()
  readonly #of: HeapRing
  readonly #slot: HeapRingPlace
  /** Other processes see it only after the next `advance`. */
  #read: number
  #damage: string | undefined
  /** Frames below this position may be read, since the last look. */
  #limit = 0

  constructor(slot: HeapRingPlace) {
    this.ring = slot.ring.ring
    this.waiter = slot.process.waiter
    this.#of = slot.ring
    this.#slot = slot
    this.#read = slot.read
  }

  baseline(): number {
    return this.#slot.baseline
  }

  generation(): number {
    return this.#of.generation
  }

  leading(): number {
    return this.#of.position
  }

  ready(): boolean {
    if (!this.#reads) return false
    return this.#damage !== undefined || this.#slot.evicted !== undefined || this.#available > this.#read
  }

  look(): boolean {
    const isSound = this.#reads && this.#slot.evicted === undefined && this.#damage === undefined
    this.#limit = isSound ? this.#available : 0
    return this.#limit > this.#read
  }

  next(): boolean {
    if (this.#read >= this.#limit || !this.#reads) return false
    const { bytes } = this.#of
    if (bytes.view(this.#read, this.#limit, this.frame)) {
      this.#read = this.frame.end
      return true
    }
    this.#limit = 0
    if (this.#slot.evicted === undefined) this.#damage = damageAt(this.#read)
    return false
  }

  bytes(): Uint8Array {
    return this.#of.bytes.bytes
  }

  isStirred(): boolean {
    return this.ready()
  }

  isEvicted(): boolean {
    return this.evicted() !== undefined
  }

  poll(max: number): ReadonlyArray<Frame> {
    const frames: Array<Frame> = []
    if (this.look()) { while (frames.length < max && this.next()) frames.push(this.#of.bytes.frameOf(this.frame)) }
    return frames
  }

  cursors(): RingCursors {
    const { delivered, handled, released } = this.#slot
    return { read: this.#read, delivered, handled, released }
  }

  advance({ delivered, handled, released }: RingCursors): void {
    if (!this.#reads) return
    const slot = this.#slot
    const before = slot.state()
    slot.read = this.#read
    slot.delivered = Math.max(slot.delivered, Math.min(delivered, slot.read))
    slot.handled = Math.max(slot.handled, Math.min(handled, slot.delivered))
    slot.released = Math.max(slot.released, Math.min(released, slot.read))
    const moved = slot.delivered !== before.delivered || slot.handled !== before.handled
    if (slot.released !== before.released) this.#of.ringWriter()
    if (moved) this.#of.region.ring("cursor")
  }

  evicted(): { readonly from: number; readonly to: number } | undefined {
    return this.#reads ? this.#slot.evicted : undefined
  }

  rejoin(): void {
    if (!this.#reads) return
    this.#slot.rejoin()
    this.#read = this.#slot.read
    this.#limit = 0
    this.#damage = undefined
    this.#of.region.ring("cursor")
  }

  ended(): boolean {
    return this.#reads && !this.#of.written && this.#of.position <= this.#read
  }

  damage(): string | undefined {
    return this.#damage
  }

  detach(): void {
    if (!this.#reads) return
    this.#slot.detached = true
    this.#of.ringWriter()
    this.#of.region.ring("cursor")
    // Wake the fibers of this process that wait for its messages: they must fail, not wait for ever.
    this.#slot.process.ring("frames")
  }

  over(): boolean {
    return !this.#reads && !this.#slot.process.isKilled
  }

  get #available(): number {
    return Math.min(this.#of.position, this.#slot.released + this.#of.region.geometry.ringBytes)
  }

  get #reads(): boolean {
    return this.#slot.isTaken
  }
}
