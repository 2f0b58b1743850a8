/**
 * The reading end of a ring in the heap.
 */
import type { RingCursors } from "../../../services/Ring.ts"
import type { Frame, RingReaderPort } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { damageAt } from "../../ring/FrameCodec.ts"
import type { HeapRing, HeapRingPlace } from "./HeapRing.ts"

export class HeapRingReaderPort implements RingReaderPort {
  readonly ring: number
  readonly waiter: Waiter
  readonly #of: HeapRing
  readonly #slot: HeapRingPlace
  /** Other processes see it only after the next `advance`. */
  #read: number
  #damage: string | undefined

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

  isStirred(): boolean {
    return this.ready()
  }

  poll(max: number): ReadonlyArray<Frame> {
    const frames: Array<Frame> = []
    if (!this.#reads || this.#slot.evicted !== undefined || this.#damage !== undefined) return frames
    while (this.#read < this.#available && frames.length < max) {
      const frame = this.#of.bytes.frameAt(this.#read, this.#available)
      if (frame === undefined) {
        this.#damage = damageAt(this.#read)
        break
      }
      this.#read = frame.end
      frames.push(frame)
    }
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
