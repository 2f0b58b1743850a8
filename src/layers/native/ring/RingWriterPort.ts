/**
 * The writing end of a ring in shared memory: each call is one call of the native module.
 */
import { type RingWriterHandle, writerEnd } from "../../../native/binding.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { FrameHeader, RingWriterPort, SlowestReader } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"
import { readersOf } from "./RingReaderPort.ts"

type Region = NativeRegion["Service"]

export class NativeRingWriterPort implements RingWriterPort {
  readonly ring: number
  readonly generation: number
  readonly payloadBytesMax: number
  readonly waiter: Waiter
  readonly #region: Region
  readonly #writer: RingWriterHandle

  constructor(region: Region, writer: RingWriterHandle) {
    const info = writer.info()
    this.ring = info.ring
    this.generation = info.generation
    this.payloadBytesMax = info.payloadBytesMax
    this.waiter = region.roomWaiter
    this.#region = region
    this.#writer = writer
  }

  append(header: FrameHeader, payload: Uint8Array): number | undefined {
    return this.#append(header, payload, false)
  }

  send(header: FrameHeader, payload: Uint8Array): number | undefined {
    return this.#append(header, payload, true)
  }

  #append(header: FrameHeader, payload: Uint8Array, publish: boolean): number | undefined {
    const { correlation, flags, kind, sender, senderGeneration, type } = header
    const writer = this.#writer
    const end = writer.append(
      (kind & 0xffff) | (flags << 16),
      type,
      sender,
      senderGeneration,
      correlation,
      payload,
      publish
    )
    if (publish && end >= 0) this.#region.waiter.nudge(this.ring)
    return end < 0 ? undefined : end
  }

  publish(): void {
    this.#writer.publish()
    this.#region.waiter.nudge(this.ring)
  }

  hasRoom(payloadBytes: number): boolean {
    return this.#writer.hasRoom(payloadBytes)
  }

  published(): number {
    return this.#writer.published()
  }

  wantRoom(wants: boolean): void {
    this.#writer.wantRoom(wants)
  }

  slowestReader(): SlowestReader | undefined {
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
    return this.#writer.evictSlowest()
  }

  over(): "closed" | "superseded" | undefined {
    const end = this.#writer.end()
    if (end === writerEnd.none) return undefined
    return end === writerEnd.closed ? "closed" : "superseded"
  }

  /** Closes the ring, which wakes all that wait for it, a send of this process included. */
  close(): void {
    this.#writer.close()
  }
}
