/**
 * Writes and reads the beginning of a segment: the preamble and the header block.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Bytes, crcOf, makeBytes } from "./bytes.ts"
import { aligned, format, headerBlock as field, kinds, magic, preamble, sizes } from "./layout.ts"

/** The JSON object of a header block. */
export const SegmentHeader = Schema.Struct({
  logId: Schema.String,
  replicaId: Schema.String,
  topic: Schema.String,
  order: Schema.String,
  ack: Schema.String,
  /** Restores of the log before this segment was begun. */
  term: Schema.Number,
  firstIndex: Schema.Number,
  firstPosition: Schema.Number,
  /** The largest `orderedMillis` of all batches before this segment, 0 if there are none. */
  orderedMillis: Schema.Number,
  /** Identities as of the segment's beginning, so that retention forgets none. */
  identities: Schema.Record(Schema.String, Schema.Struct({ committed: Schema.Number, incarnation: Schema.Number }))
})
export type SegmentHeader = typeof SegmentHeader.Type

/** A header as it was read: with the salt of its segment, and the place behind it. */
export interface OpenedHeader {
  readonly header: SegmentHeader
  readonly salt: number
  readonly end: number
}

/** Preamble and header block. */
export const writeHeader = (salt: number, header: SegmentHeader): Uint8Array => {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const end = sizes.preamble + sizes.header + aligned(json.length)
  const to = makeBytes(end)
  const { bytes, view } = to
  bytes.set(new TextEncoder().encode(magic), preamble.magic.at)
  view.setUint32(preamble.format.at, format, true)
  view.setUint32(preamble.salt.at, salt, true)
  const at = sizes.preamble
  view.setUint32(at + field.length.at, end - at, true)
  view.setUint32(at + field.kind.at, kinds.header, true)
  view.setUint32(at + field.jsonBytes.at, json.length, true)
  bytes.set(json, at + sizes.header)
  view.setUint32(at + field.crc.at, crcOf(to, at + field.length.at, end, salt), true)
  return bytes
}

/** Bytes of the file that its header needs, as its first {@link sizes.preamble} + {@link sizes.header} bytes say. */
export const headerBytes = ({ view }: Bytes): number =>
  sizes.preamble + view.getUint32(sizes.preamble + field.length.at, true)

/** Why these bytes are no beginning of a segment that this version reads, if they are not. */
export const preambleFault = ({ bytes, view }: Bytes): string | undefined => {
  const found = String.fromCharCode(...bytes.subarray(0, magic.length))
  if (found !== magic) return "it does not begin as a segment does"
  const version = view.getUint32(preamble.format.at, true)
  return version === format ? undefined : `its format is ${version}, and this version reads format ${format}`
}

/** The header in the first `filled` bytes of a segment; a text that says what is wrong with it otherwise. */
export const readHeader = (from: Bytes, filled: number): OpenedHeader | string => {
  const { bytes, view } = from
  const fault = preambleFault(from)
  if (fault !== undefined) return fault
  const at = sizes.preamble
  const end = headerBytes(from)
  const jsonBytes = view.getUint32(at + field.jsonBytes.at, true)
  const salt = view.getUint32(preamble.salt.at, true)
  if (end > filled || end !== at + sizes.header + aligned(jsonBytes)) return "the length of its header is wrong"
  if (view.getUint32(at + field.crc.at, true) !== crcOf(from, at + field.length.at, end, salt)) {
    return "the checksum of its header is wrong"
  }
  const text = new TextDecoder().decode(bytes.subarray(at + sizes.header, at + sizes.header + jsonBytes))
  const header = Option.getOrUndefined(decode(text))
  return header === undefined ? "its header lacks a field" : { header, salt, end }
}

// --- internal ---

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(SegmentHeader))
