/**
 * The writing end of a ring in the heap.
 */
import type { FrameHeader, RingWriterPort, SlowestReader } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { frameBytesOf, payloadBytesMaxOf } from "../../ring/FrameCodec.ts"
import type { HeapProcess } from "../region/HeapProcess.ts"
import type { HeapRing } from "./HeapRing.ts"

export class HeapRingWriterPort implements RingWriterPort {
  readonly ring: number
  readonly generation: number
  readonly payloadBytesMax: number
  readonly waiter: Waiter
  readonly #of: HeapRing
  readonly #process: HeapProcess
  #position: number
  #frames: number
  #closed = false

  constructor(of: HeapRing, process: HeapProcess) {
    this.ring = of.ring
    this.generation = of.generation
    this.payloadBytesMax = payloadBytesMaxOf(of.region.geometry.ringBytes)
    this.waiter = process.roomWaiter
    this.#of = of
    this.#process = process
    this.#position = of.position
    this.#frames = of.frames
  }

  append(header: FrameHeader, payload: Uint8Array): number | undefined {
    if (payload.length > this.payloadBytesMax || !this.hasRoom(payload.length)) return undefined
    this.#frames += 1
    this.#position = this.#of.bytes.write(this.#position, header, payload)
    return this.#position
  }

  claim(payloadBytes: number): Uint8Array | undefined {
    if (payloadBytes > this.payloadBytesMax || !this.hasRoom(payloadBytes)) return undefined
    return this.#of.bytes.payloadAt(this.#position, payloadBytes)
  }

  appendClaimed(header: FrameHeader, payloadBytes: number): number | undefined {
    if (payloadBytes > this.payloadBytesMax || !this.hasRoom(payloadBytes)) return undefined
    this.#frames += 1
    this.#position = this.#of.bytes.writeHeader(this.#position, header, payloadBytes)
    return this.#position
  }

  publish(): void {
    const of = this.#of
    if (!this.#writes || this.#position === of.position) return
    of.position = this.#position
    of.frames = this.#frames
    of.ringReaders()
  }

  send(header: FrameHeader, payload: Uint8Array): number | undefined {
    const end = this.append(header, payload)
    if (end !== undefined) this.publish()
    return end
  }

  hasRoom(payloadBytes: number): boolean {
    if (!this.#writes) return false
    const released = this.#of.slowest()?.released ?? this.#of.position
    return this.#position + frameBytesOf(payloadBytes) - released <= this.#of.region.geometry.ringBytes
  }

  published(): number {
    return this.#writes ? this.#of.position : this.#position
  }

  wantRoom(wants: boolean): void {
    if (!this.#writes) return
    if (wants) this.#of.waits += 1
    this.#of.waitsForRoom = wants
  }

  slowestReader(): SlowestReader | undefined {
    return this.#writes ? this.#of.slowest()?.slowestState() : undefined
  }

  evictSlowest(): boolean {
    const slowest = this.#writes ? this.#of.slowest() : undefined
    if (slowest === undefined) return false
    slowest.evicted = { from: slowest.released, to: this.#of.position }
    this.#of.evictions += 1
    slowest.process.ring("frames")
    this.#of.region.ring("cursor")
    return true
  }

  over(): "closed" | "superseded" | undefined {
    if (this.#process.isKilled) return undefined
    if (this.#closed || !this.#process.isAlive) return "closed"
    return this.#writes ? undefined : "superseded"
  }

  close(): void {
    this.publish()
    const writes = this.#writes
    this.#closed = true
    if (!writes) return
    this.#of.closed = true
    this.#of.waitsForRoom = false
    this.#of.region.ring("frames", "room", "cursor")
  }

  // Neither a dead process nor a superseded writer may touch the ring.
  get #writes(): boolean {
    return !this.#closed && this.#process.isAlive && this.#of.generation === this.generation
  }
}
