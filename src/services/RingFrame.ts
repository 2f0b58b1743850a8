/**
 * A frame as it lies in a ring: 32 bytes of header, then the payload, then padding to eight bytes.
 */
import type { Frame, FrameHeader } from "./Ring.ts"

/** Bytes of a frame's header, as src/native/ring_layout.h has them. */
export const headerBytes = 32

/** Bytes that a payload takes in the ring. */
export const frameBytesOf = (payloadBytes: number): number => Math.ceil((headerBytes + payloadBytes) / 8) * 8

/** The largest payload of a frame: a quarter of the ring, so that a reader never has to release all of it. */
export const payloadBytesMaxOf = (ringBytes: number): number => ringBytes / 4 - headerBytes

export const damageAt = (position: number): string =>
  `what lies at ${position} is no frame: the memory was damaged from outside`

/** A ring's bytes, long enough that a frame which begins near the end is not broken in two. */
export class RingBytes {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #ringBytes: number

  constructor(buffer: ArrayBuffer, ringBytes: number) {
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
    this.#ringBytes = ringBytes
  }

  /** The frame at `position`, or `undefined` when what lies there is none that ends at or below `limit`. */
  frameAt(position: number, limit: number): Frame | undefined {
    const at = position % this.#ringBytes
    const view = this.#view
    // Read once, and checked before it is used: others may write here.
    const length = view.getUint32(at, true)
    const end = position + Math.ceil(length / 8) * 8
    if (length < headerBytes || length > this.#ringBytes / 4 || end > limit) return undefined
    return {
      kind: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      type: view.getUint32(at + 8, true),
      sender: view.getUint32(at + 12, true),
      senderGeneration: view.getUint32(at + 16, true),
      correlation: view.getFloat64(at + 24, true),
      payload: this.#bytes.subarray(at + headerBytes, at + length),
      end
    }
  }

  /** Writes a frame at `position` and returns the position behind it. */
  write(position: number, header: FrameHeader, payload: Uint8Array): number {
    const at = position % this.#ringBytes
    const view = this.#view
    view.setUint32(at, headerBytes + payload.length, true)
    view.setUint16(at + 4, header.kind, true)
    view.setUint16(at + 6, header.flags, true)
    view.setUint32(at + 8, header.type, true)
    view.setUint32(at + 12, header.sender, true)
    view.setUint32(at + 16, header.senderGeneration, true)
    view.setUint32(at + 20, 0, true)
    view.setFloat64(at + 24, header.correlation, true)
    this.#bytes.set(payload, at + headerBytes)
    return position + frameBytesOf(payload.length)
  }
}
