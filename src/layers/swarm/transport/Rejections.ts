/**
 * Tells a caller that its request is not answered, and why.
 */
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { MessageTooLarge, RingFull } from "../../../services/Ring.ts"
import { RefusalReason } from "../../../services/RingRpc.ts"

const CallId = Schema.Union([Schema.Number, Schema.String])

export const Rejection = Schema.TaggedUnion({
  /** The request as it arrived: only its sender must decode it. */
  Returned: { reason: Schema.Union([RefusalReason, Schema.Literal("unreadable")]), request: Schema.Uint8Array },
  /** The server stopped while the handler ran. */
  Closed: { id: CallId },
  /** An answer, or a part of one, cannot be sent. Without an id it concerns all calls. */
  Undelivered: { id: Schema.NullOr(CallId), why: Schema.Union([MessageTooLarge, RingFull]) }
})
export type Rejection = typeof Rejection.Type

/** The most bytes by which a returned request is longer than the request. */
export const returnedBytesMax = 64

const codec = SchemaBinary.toCodec(Rejection)

export const encodeRejection = Schema.encodeSync(codec)

const decode = Schema.decodeUnknownExit(codec)

export const decodeRejection = (bytes: Uint8Array): Rejection | undefined => {
  const decoded = decode(bytes)
  return Exit.isSuccess(decoded) ? decoded.value : undefined
}
