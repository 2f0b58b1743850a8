/**
 * The writing end of a ring in shared memory. It writes frames where they lie, and over coherent memory publishes any
 * number of them by one atomic store; the native module finds room for them, rings readers that sleep, and publishes over
 * flushed memory.
 */
import { type RingWriterHandle, writerEnd } from "../../../native/binding.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { FrameHeader, RingWriterPort, SlowestReader } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { frameBytesOf, RingBytes } from "../../ring/FrameCodec.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { RingPublication } from "./RingPublication.ts"
import { readersOf } from "./RingReaderPort.ts"

type Region = NativeRegion["Service"]

export class NativeRingWriterPort implements RingWriterPort {
  readonly ring: number
  readonly generation: number
  readonly payloadBytesMax: number
  readonly waiter: Waiter
  readonly #region: Region
  readonly #writer: RingWriterHandle
  readonly #bytes: RingBytes
  /** The low half of the present writer's generation, which differs between two writers in a row. */
  readonly #present: Uint32Array
  readonly #own: number
  readonly #publication: RingPublication | undefined
  #position: number
  /** Frames may be written up to here. */
  #roomEnd: number
  /** Frames written since the ring was born, and those of them that the native module knows of. */
  #frames: number
  #toldFrames: number
  /** Frames below this position are published. */
  #published: number
  #isClosed = false

  constructor(region: Region, writer: RingWriterHandle) {
    const info = writer.info()
    this.ring = info.ring
    this.generation = info.generation
    this.payloadBytesMax = info.payloadBytesMax
    this.waiter = region.roomWaiter
    this.#region = region
    this.#writer = writer
    this.#bytes = new RingBytes(writer.buffer(), region.info.geometry.ringBytes)
    this.#present = new Uint32Array(writer.presentGeneration())
    this.#own = this.#present[0] as number
    this.#position = this.#published = this.#roomEnd = info.position
    this.#frames = this.#toldFrames = info.frames
    this.#publication = region.info.coherence === "flushed" ? undefined : new RingPublication(writer)
  }

  append(header: FrameHeader, payload: Uint8Array): number | undefined {
    if (!this.#mayWrite(payload.length)) return undefined
    this.#frames += 1
    return this.#position = this.#bytes.write(this.#position, header, payload)
  }

  send(header: FrameHeader, payload: Uint8Array): number | undefined {
    const end = this.append(header, payload)
    if (end !== undefined) this.publish()
    return end
  }

  claim(payloadBytes: number): Uint8Array | undefined {
    return this.#mayWrite(payloadBytes) ? this.#bytes.payloadAt(this.#position, payloadBytes) : undefined
  }

  appendClaimed(header: FrameHeader, payloadBytes: number): number | undefined {
    if (!this.#mayWrite(payloadBytes)) return undefined
    this.#frames += 1
    return this.#position = this.#bytes.writeHeader(this.#position, header, payloadBytes)
  }

  publish(): void {
    if (this.#position === this.#published) return
    const publication = this.#publication
    if (publication !== undefined && publication.reaches(this.#position, this.#frames) && this.#isPresent()) {
      this.#published = this.#position
      if (publication.publish(this.#position, this.#frames)) this.#publishNatively()
    } else this.#publishNatively()
    this.#region.waiter.nudge(this.ring)
  }

  // Where all is published by now, it only rings readers.
  #publishNatively(): void {
    if (this.#writer.publish(this.#position, this.#taken(), this.#published)) this.#published = this.#position
    this.#publication?.follow(this.#published, this.#frames)
  }

  hasRoom(payloadBytes: number): boolean {
    const end = this.#writer.room(this.#position, this.#taken(), this.#published, payloadBytes)
    if (end >= 0) this.#roomEnd = end
    return end >= 0
  }

  // Another process may write the ring by now, if it took this one for dead, and a closed region is no memory: both show
  // in this word, whose array is empty then.
  #isPresent(): boolean {
    return this.#present[0] === this.#own
  }

  #mayWrite(payloadBytes: number): boolean {
    if (this.#isClosed || !this.#isPresent() || payloadBytes > this.payloadBytesMax) return false
    return this.#position + frameBytesOf(payloadBytes) <= this.#roomEnd || this.hasRoom(payloadBytes)
  }

  #taken(): number {
    const frames = this.#frames - this.#toldFrames
    this.#toldFrames = this.#frames
    return frames
  }

  // The native module looks for readers that hold the room by what it knows of.
  #tell(): void {
    this.#writer.tell(this.#position, this.#taken(), this.#published)
  }

  published(): number {
    return this.#published
  }

  wantRoom(wants: boolean): void {
    this.#tell()
    this.#writer.wantRoom(wants)
  }

  slowestReader(): SlowestReader | undefined {
    this.#tell()
    const slowest = this.#writer.slowestReader()
    if (slowest < 0) return undefined
    const state = readersOf(this.#region, this.ring).find(({ reader }) => reader === slowest)
    const name = this.#region.handle.ringReaderName(this.ring, slowest)
    if (state === undefined) return undefined
    const found = this.#region.handle.processes().find(({ generation, slot }) =>
      slot === state.process && generation === state.processGeneration
    )
    return { ...state, name, processId: found === undefined ? undefined : processIdOf(found) }
  }

  evictSlowest(): boolean {
    this.#tell()
    return this.#writer.evictSlowest()
  }

  over(): "closed" | "superseded" | undefined {
    const end = this.#writer.end()
    if (end === writerEnd.none) return undefined
    return end === writerEnd.closed ? "closed" : "superseded"
  }

  /** Closes the ring, which wakes all that wait for it, a send of this process included. */
  close(): void {
    this.publish()
    this.#tell()
    this.#region.waiter.nudge(this.ring)
    this.#isClosed = true
    this.#writer.close()
  }
}
