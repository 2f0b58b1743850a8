/**
 * A ring in this heap: its bytes, how far they are published, and the places of its readers.
 *
 * Positions count bytes since the ring was created and continue from writer to writer. Each field has one writer, named
 * at its declaration.
 */
import type { RingCursors, RingReaderState, RingState } from "../../../services/Ring.ts"
import type { SlowestReader } from "../../ports/RingPorts.ts"
import { RingBytes } from "../../ring/FrameCodec.ts"
import type { HeapProcess } from "../region/HeapProcess.ts"
import type { HeapRegion } from "../region/HeapRegion.ts"

/** A frame that begins at the end of the ring continues in extra bytes after it. In ring lengths. */
const overhang = 1 / 4

export class HeapRing {
  readonly region: HeapRegion
  readonly ring: number
  readonly buffer: ArrayBuffer
  readonly bytes: RingBytes
  /** By slot: its present reader, or its last one. */
  readonly readers: Array<HeapRingPlace> = []

  // Set when a writer opens the ring.
  name = ""
  generation = 0
  writer: HeapProcess | undefined

  // Written by the writer.
  position = 0
  frames = 0
  waits = 0
  evictions = 0
  closed = false
  waitsForRoom = false

  constructor(region: HeapRegion, ring: number) {
    const { ringBytes } = region.geometry
    this.region = region
    this.ring = ring
    this.buffer = new ArrayBuffer(ringBytes * (1 + overhang))
    this.bytes = new RingBytes(this.buffer, ringBytes)
  }

  get written(): boolean {
    return !this.closed && this.writer?.isAlive === true
  }

  /** Whether a living process has a reader's place, evicted or not. */
  get isRead(): boolean {
    return this.readers.some(({ isTaken }) => isTaken)
  }

  take(process: HeapProcess, name: string): void {
    this.name = name
    this.writer = process
    this.generation += 1
    this.closed = false
    this.waitsForRoom = false
    this.region.ring("frames", "room", "cursor")
  }

  /** Wakes the readers after a publication. */
  ringReaders(): void {
    for (const { isTaken, process } of this.readers) if (isTaken) process.ring("frames")
  }

  /** Wakes the writer after a reader released room. */
  ringWriter(): void {
    if (this.waitsForRoom) this.writer?.ring("room")
  }

  /** The reader furthest behind `position`, if any is behind. */
  slowest(): HeapRingPlace | undefined {
    let slowest: HeapRingPlace | undefined
    for (const reader of this.readers) {
      if (!reader.counts || reader.released >= (slowest?.released ?? this.position)) continue
      slowest = reader
    }
    return slowest
  }

  state(): RingState {
    const { evictions, frames, generation, name, position, ring, waits, written } = this
    const wraps = Math.floor(position / this.region.geometry.ringBytes)
    return {
      ring,
      name,
      generation,
      written,
      position,
      process: this.writer?.slot ?? 0,
      frames,
      wraps,
      waits,
      evictions
    }
  }
}

/** A reader's place in a ring, with its cursors as other processes see them. */
export class HeapRingPlace implements RingCursors {
  readonly ring: HeapRing
  readonly slot: number
  readonly process: HeapProcess
  readonly name: string

  // Written by the reader.
  baseline: number
  read: number
  delivered: number
  handled: number
  released: number
  detached = false

  // Written by the ring's writer.
  evicted: { readonly from: number; readonly to: number } | undefined

  constructor(ring: HeapRing, slot: number, process: HeapProcess, name: string) {
    this.ring = ring
    this.slot = slot
    this.process = process
    this.name = name
    this.baseline =
      this.read =
      this.delivered =
      this.handled =
      this.released =
        ring.position
  }

  get isTaken(): boolean {
    return !this.detached && this.process.isAlive
  }

  /** Whether its cursors hold room: it is attached and not evicted. */
  get counts(): boolean {
    return this.isTaken && this.evicted === undefined
  }

  /** Begins anew at the present end of the ring. */
  rejoin(): void {
    this.evicted = undefined
    this.baseline =
      this.read =
      this.delivered =
      this.handled =
      this.released =
        this.ring.position
  }

  state(): RingReaderState {
    const { baseline, delivered, handled, process, read, released, slot } = this
    const { generation } = process
    return {
      reader: slot,
      process: process.slot,
      processGeneration: generation,
      read,
      delivered,
      handled,
      released,
      baseline
    }
  }

  slowestState(): SlowestReader {
    return { ...this.state(), name: this.name, processId: { pid: process.pid } }
  }
}
