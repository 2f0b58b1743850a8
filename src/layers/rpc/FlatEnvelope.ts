/**
 * The flat encoding of Effect RPC's messages: what a message is, whose call it is about and which procedure it names in a
 * head of fixed fields, and behind it the payload, the one part that a procedure's Schema has encoded.
 *
 * ```text
 * Request    mark  kind  flags  id  tag  headers  [trace id]  [span id]  payload …
 * Chunk      mark  kind  flags  id  values …
 * Exit       mark  kind  flags  id  exit …
 * Ack        mark  kind  flags  id
 * Interrupt  mark  kind  flags  id
 * Defect     mark  kind  flags  defect …
 * ```
 *
 * `Ping`, `Pong` and `Eof` are the first three bytes alone. An id is a number in eight bytes, or a text where the flags
 * say so. Payloads are encoded as over a socket, so that procedures may evolve as they do there.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { FromClientEncoded, FromServerEncoded, RequestEncoded } from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { FlatReader, FlatWriter } from "../swarm/transport/FlatBytes.ts"

type Envelope = FromClientEncoded | FromServerEncoded

/** Flat envelopes around payloads in the binary encoding that Effect RPC has for any transport. */
export const layerFlatEnvelopes: Layer.Layer<RpcSerialization.RpcSerialization> = Layer.effect(
  RpcSerialization.RpcSerialization,
  Effect.map(RpcSerialization.RpcSerialization, ({ codecFor }) => ({
    contentType: "application/vnd.ringfence.rpc",
    includesFraming: true,
    codecFor,
    makeUnsafe: () => flatEnvelopes
  }))
).pipe(Layer.provide(RpcSerialization.layerSchemaBinary()))

/** One message each time. It keeps no bytes: all clients and servers of a process have the same. */
export const flatEnvelopes: RpcSerialization.Parser = {
  encode: (message) => encoded(message as Envelope),
  decode: (bytes) => {
    const message = decoded(bytes as Uint8Array)
    return message === undefined ? [] : [message]
  }
}

// --- internal ---

/** The first byte of every message. Another layout gets another mark, so that no process reads other fields. */
const mark = 0xe1

const kinds = ["Request", "Ack", "Interrupt", "Ping", "Eof", "Chunk", "Exit", "Defect", "Pong"] as const
type Kind = (typeof kinds)[number]

const hasTextId = 1
const isNotification = 2
const isDiscarded = 4
const hasTrace = 8
const hasSpan = 16
const saysSampled = 32
const isSampled = 64

/** The flags that a message of each kind may have. */
const flagsOfKind: Readonly<Record<Kind, number>> = {
  Request: 127,
  Ack: hasTextId,
  Interrupt: hasTextId,
  Ping: 0,
  Eof: 0,
  Chunk: hasTextId,
  Exit: hasTextId,
  Defect: 0,
  Pong: 0
}

/** A header is two texts, which begin with their counts. */
const headerBytesMin = 8

const writer = new FlatWriter()

const begin = (kind: Kind, flags: number): void => {
  writer.begin()
  writer.byte(mark)
  writer.byte(kinds.indexOf(kind))
  writer.byte(flags)
}

const idFlag = (id: string | number): number => typeof id === "string" ? hasTextId : 0

const writeId = (id: string | number): void => {
  if (typeof id === "string") writer.text(id)
  else writer.number(id)
}

const encoded = (message: Envelope): Uint8Array | undefined => {
  switch (message._tag) {
    case "Request":
      writeRequest(message)
      break
    case "Chunk":
      begin(message._tag, idFlag(message.requestId))
      writeId(message.requestId)
      writer.rest(message.values as unknown as Uint8Array)
      break
    case "Exit":
      begin(message._tag, idFlag(message.requestId))
      writeId(message.requestId)
      writer.rest(message.exit as unknown as Uint8Array)
      break
    case "Ack":
    case "Interrupt":
      begin(message._tag, idFlag(message.requestId))
      writeId(message.requestId)
      break
    case "Defect":
      begin(message._tag, 0)
      writer.rest(message.defect as Uint8Array)
      break
    case "Ping":
    case "Pong":
    case "Eof":
      begin(message._tag, 0)
      break
    case "ClientProtocolError":
      return undefined
  }
  return writer.bytes()
}

const flagsOf = ({ discard, id, isNotification: notifies, sampled, spanId, traceId }: RequestEncoded): number =>
  idFlag(id)
  | (notifies === true ? isNotification : 0)
  | (discard === true ? isDiscarded : 0)
  | (traceId === undefined ? 0 : hasTrace)
  | (spanId === undefined ? 0 : hasSpan)
  | (sampled === undefined ? 0 : saysSampled)
  | (sampled === true ? isSampled : 0)

const writeRequest = (request: RequestEncoded): void => {
  const { headers, id, payload, spanId, tag, traceId } = request
  begin("Request", flagsOf(request))
  writeId(id)
  writer.text(tag)
  writer.word(headers.length)
  for (const [name, value] of headers) {
    writer.text(name)
    writer.text(value)
  }
  if (traceId !== undefined) writer.text(traceId)
  if (spanId !== undefined) writer.text(spanId)
  writer.rest(payload as Uint8Array)
}

const decoded = (bytes: Uint8Array): Envelope | undefined => {
  const reader = new FlatReader(bytes)
  const isOurs = reader.byte() === mark
  const kind = kinds[reader.byte()]
  const flags = reader.byte()
  if (!isOurs || kind === undefined || (flags & ~flagsOfKind[kind]) !== 0) return undefined
  const message = read(kind, flags, reader)
  return reader.isAtEnd ? message : undefined
}

const readId = (flags: number, reader: FlatReader): string | number =>
  (flags & hasTextId) === 0 ? reader.number() : reader.text()

const read = (kind: Kind, flags: number, reader: FlatReader): Envelope => {
  switch (kind) {
    case "Request":
      return readRequest(flags, reader)
    case "Chunk":
      return { _tag: kind, requestId: readId(flags, reader), values: reader.rest() as never }
    case "Exit":
      return { _tag: kind, requestId: readId(flags, reader), exit: reader.rest() as never }
    case "Ack":
    case "Interrupt":
      return { _tag: kind, requestId: readId(flags, reader) }
    case "Defect":
      return { _tag: kind, defect: reader.rest() }
    default:
      return { _tag: kind }
  }
}

const readRequest = (flags: number, reader: FlatReader): RequestEncoded => {
  const id = readId(flags, reader)
  const tag = reader.text()
  const headers: Array<[string, string]> = []
  for (let left = reader.count(headerBytesMin); left > 0 && !reader.isWrong; left -= 1) {
    headers.push([reader.text(), reader.text()])
  }
  return {
    _tag: "Request",
    id,
    tag,
    headers,
    ...((flags & isNotification) === 0 ? {} : { isNotification: true }),
    ...((flags & isDiscarded) === 0 ? {} : { discard: true }),
    ...((flags & hasTrace) === 0 ? {} : { traceId: reader.text() }),
    ...((flags & hasSpan) === 0 ? {} : { spanId: reader.text() }),
    ...((flags & saysSampled) === 0 ? {} : { sampled: (flags & isSampled) !== 0 }),
    payload: reader.rest()
  }
}
