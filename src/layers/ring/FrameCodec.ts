/**
 * Encodes and decodes a frame as it lies in a ring: 32 bytes of header, then the payload, then padding to eight bytes.
 *
 * The header holds a checksum of its fields and of its position, the `frameChecksum` of src/native/region/token.h: it
 * exposes a changed header, and a frame of an earlier lap.
 */
import type { Frame, FrameHeader, FrameView } from "../ports/RingPorts.ts"

/** Bytes of a frame's header, as in src/native/region/ring_layout.h. */
export const headerBytes = 32

const lengthAt = 0
const kindAt = 4
const flagsAt = 6
const typeAt = 8
const senderAt = 12
const senderGenerationAt = 16
const checksumAt = 20
const correlationAt = 24

/** Offsets of the header's fields. A test compares them with `FrameHeader` of src/native/region/ring_layout.h. */
export const frameHeader = {
  bytes: headerBytes,
  offsets: {
    length: lengthAt,
    kind: kindAt,
    flags: flagsAt,
    type: typeAt,
    sender: senderAt,
    senderGeneration: senderGenerationAt,
    checksum: checksumAt,
    correlation: correlationAt
  }
} as const

/** Bytes that a frame with this payload takes in the ring. */
export const frameBytesOf = (payloadBytes: number): number => roundedUp(headerBytes + payloadBytes)

/** The largest payload: a frame takes at most a quarter of the ring, so that no reader must release all for it. */
export const payloadBytesMaxOf = (ringBytes: number): number => ringBytes / 4 - headerBytes

export const damageAt = (position: number): string =>
  `there is no valid frame at ${position}: the memory was damaged from outside`

export const contradictionAt = (position: number): string =>
  `its tables contradict each other about the reader at ${position}: the memory was damaged from outside`

export class FrameFields implements FrameView {
  kind = 0
  flags = 0
  type = 0
  sender = 0
  senderGeneration = 0
  correlation = 0
  from = 0
  to = 0
  begin = 0
  end = 0
}

/** A ring's bytes, extended past its end so that a frame that begins near the end is in one piece. */
export class RingBytes {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #frameBytesMax: number
  readonly #mask: number

  /** A ring's length is a power of two, at most 2^32. */
  constructor(buffer: ArrayBuffer, ringBytes: number) {
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
    this.#frameBytesMax = ringBytes / 4
    this.#mask = (ringBytes - 1) | 0
  }

  /** True once the region is closed. */
  get isDetached(): boolean {
    return this.#bytes.length === 0
  }

  /** The bytes in which a frame says where its payload lies. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** The frame at `position`, or `undefined` if no valid frame lies there that ends at or before `limit`. */
  frameAt(position: number, limit: number): Frame | undefined {
    const frame = new FrameFields()
    return this.view(position, limit, frame) ? this.frameOf(frame) : undefined
  }

  /** That frame as a value of its own. */
  frameOf({ correlation, end, flags, from, kind, sender, senderGeneration, to, type }: FrameView): Frame {
    return { kind, flags, type, sender, senderGeneration, correlation, payload: this.#bytes.subarray(from, to), end }
  }

  /** Reads the frame at `position` into `frame`. False if no valid frame lies there that ends at or before `limit`. */
  view(position: number, limit: number, frame: FrameFields): boolean {
    const at = this.#placeOf(position)
    const view = this.#view
    // Read each field once, and check it before using it: other processes may write here.
    const length = view.getUint32(at + lengthAt, true)
    if (length < headerBytes || length > this.#frameBytesMax) return false
    const end = position + roundedUp(length)
    if (end > limit) return false
    const kindAndFlags = view.getUint32(at + kindAt, true)
    const type = view.getUint32(at + typeAt, true)
    const sender = view.getUint32(at + senderAt, true)
    const senderGeneration = view.getUint32(at + senderGenerationAt, true)
    const correlation = view.getFloat64(at + correlationAt, true)
    const checksum = frameChecksum(position, length, kindAndFlags, type, sender, senderGeneration, correlation)
    if (view.getInt32(at + checksumAt, true) !== checksum) return false
    frame.kind = kindAndFlags & 0xffff
    frame.flags = kindAndFlags >>> 16
    frame.type = type
    frame.sender = sender
    frame.senderGeneration = senderGeneration
    frame.correlation = correlation
    frame.from = at + headerBytes
    frame.to = at + length
    frame.begin = position
    frame.end = end
    return true
  }

  /** Writes a frame at `position` and returns the position after it. */
  write(position: number, header: FrameHeader, payload: Uint8Array): number {
    this.#bytes.set(payload, this.#placeOf(position) + headerBytes)
    return this.writeHeader(position, header, payload.length)
  }

  /** Where the payload of a frame at `position` lies. */
  payloadAt(position: number, payloadBytes: number): Uint8Array {
    const at = this.#placeOf(position) + headerBytes
    return this.#bytes.subarray(at, at + payloadBytes)
  }

  /** Writes the header of a frame whose payload is there already, and returns the position after the frame. */
  writeHeader(position: number, header: FrameHeader, payloadBytes: number): number {
    const at = this.#placeOf(position)
    const view = this.#view
    const { correlation, flags, kind, sender, senderGeneration, type } = header
    const length = headerBytes + payloadBytes
    const kindAndFlags = (kind & 0xffff) | (flags << 16)
    view.setUint32(at + lengthAt, length, true)
    view.setUint32(at + kindAt, kindAndFlags, true)
    view.setUint32(at + typeAt, type, true)
    view.setUint32(at + senderAt, sender, true)
    view.setUint32(at + senderGenerationAt, senderGeneration, true)
    const checksum = frameChecksum(position, length, kindAndFlags, type, sender, senderGeneration, correlation)
    view.setInt32(at + checksumAt, checksum, true)
    view.setFloat64(at + correlationAt, correlation, true)
    return position + frameBytesOf(payloadBytes)
  }

  // The remainder of two numbers above 2^31 would be a call of the C library.
  #placeOf(position: number): number {
    return (position & this.#mask) >>> 0
  }
}

// --- internal ---

/** Of frames, which are shorter than 2^31. */
const roundedUp = (bytes: number): number => (bytes + 7) & -8

const correlationOf = new Float64Array(1)
const correlationWords = new Int32Array(correlationOf.buffer)

// A bijection in `hash` for each `word`, and in `word` for each `hash`: two headers that differ in one word have
// different checksums.
const mixed = (hash: number, word: number): number => {
  const product = Math.imul(hash ^ word, 0xc2b2ae35)
  return product ^ (product >>> 15)
}

/** The checksum of a frame's header and position. A frame begins on a multiple of 8, and no ring has 2^35 bytes. */
const frameChecksum = (
  position: number,
  length: number,
  kindAndFlags: number,
  type: number,
  sender: number,
  senderGeneration: number,
  correlation: number
): number => {
  correlationOf[0] = correlation
  let hash = mixed(0x9e3779b9, (position / 8) | 0)
  hash = mixed(hash, length)
  hash = mixed(hash, kindAndFlags)
  hash = mixed(hash, type)
  hash = mixed(hash, sender)
  hash = mixed(hash, senderGeneration)
  hash = mixed(hash, correlationWords[0] as number)
  return mixed(hash, correlationWords[1] as number)
}
