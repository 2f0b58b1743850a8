/**
 * Derives from {@link CoordinatorRpcs} the frames between members and coordinator, each decoded by its Schema before it
 * is used, and the type of the coordinator's handlers.
 */
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import { BarrierArrival } from "../../../services/schema/BarrierArrival.ts"
import type { MemberId } from "../../../services/schema/Member.ts"
import { CoordinatorNotice, CoordinatorRpcs, MemberRpcs, type MembershipState } from "./CoordinatorProtocol.ts"
import { flatCodec, isFlat } from "./FlatCodec.ts"

type Verb = RpcGroup.Rpcs<typeof CoordinatorRpcs>

/** The verbs by which a process asks the coordinator. */
export type Asked = Verb["_tag"]
type VerbOf<Tag extends Asked> = Rpc.ExtractTag<Verb, Tag>
export type PayloadOf<Tag extends Asked> = Rpc.Payload<VerbOf<Tag>>
export type SuccessOf<Tag extends Asked> = Rpc.Success<VerbOf<Tag>>
export type FailureOf<Tag extends Asked> = Rpc.Error<VerbOf<Tag>>
export type OutcomeOf<Tag extends Asked> = Result.Result<SuccessOf<Tag>, FailureOf<Tag>>

/** The payload as an argument; none if the verb declares none. */
export type Payload<Tag extends Asked> = PayloadOf<Tag> extends void ? [] : [payload: PayloadOf<Tag>]

export type Request = { [Tag in Asked]: { readonly _tag: Tag; readonly payload: PayloadOf<Tag> } }[Asked]

/** A request in its frame. It is for the coordinator of one term only: a successor must not answer it. */
export interface RequestFrame {
  readonly term: number
  readonly number: number
  readonly request: Request
}

/** The request was not carried out: it cannot be decoded, or only members may make it. */
const RequestRefused = Schema.TaggedStruct("RequestRefused", {
  reason: Schema.Literals(["malformed", "notMember"]),
  detail: Schema.String
})
export type RequestRefused = typeof RequestRefused.Type

/** The answer to one request of one process. */
export type Answer =
  | { [Tag in Asked]: { readonly _tag: Tag; readonly outcome: OutcomeOf<Tag> } }[Asked]
  | RequestRefused

/** Answers the request of that number, which the same process has made. */
export interface Answered {
  readonly _tag: "Answered"
  readonly number: number
  readonly answer: Answer
}

/** From the coordinator to its members. */
export type Notice = typeof CoordinatorNotice.Type | Answered

/** The whole membership, if the notice carries it. */
export const membershipIn = (notice: Notice): MembershipState | undefined => {
  if (notice._tag === "Membership" || notice._tag === "TookOver") return notice.state
  if (notice._tag !== "Answered" || notice.answer._tag !== "Resync") return undefined
  return Result.getOrUndefined(notice.answer.outcome)
}

/**
 * The coordinator's handlers, one for each verb. `later`: the answer follows, or is a notice to all members, as the
 * verb declares.
 */
export type Handlers = {
  readonly [Tag in Asked]: (from: MemberId, payload: PayloadOf<Tag>, number: number) => OutcomeOf<Tag> | "later"
}

/** Carries out a request with its handler. */
export const handled = (handlers: Handlers, from: MemberId, { number, request }: RequestFrame): Answer | undefined => {
  // The tag decides the types of payload and outcome alike, which TypeScript does not follow through a table.
  const handler = handlers[request._tag] as (from: MemberId, payload: unknown, number: number) => unknown
  const outcome = handler(from, request.payload, number)
  return outcome === "later" ? undefined : { _tag: request._tag, outcome } as Answer
}

/** Whether only members may make that request. */
export const isForMembers = ({ _tag }: Request): boolean => MemberRpcs.requests.has(_tag as never)

/** Encodes and decodes one kind of control frame. `decode` returns `undefined` for an invalid frame. */
export interface Wire<A> {
  readonly encode: (value: A) => Uint8Array
  readonly decode: (bytes: Uint8Array) => A | undefined
}

const wireOf = <A>(schema: Schema.Top): Wire<A> => {
  const codec = SchemaBinary.toCodec(schema as Schema.Codec<A, unknown>, { fingerprint: true })
  // Compile the codec where possible: every barrier waits for this encoding and decoding.
  for (const ast of [codec.ast, SchemaAST.flip(codec.ast), SchemaAST.toType(codec.ast)]) SchemaJITCompiler.enable(ast)
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownExit(codec)
  return {
    encode: (value) => encode(value) as Uint8Array,
    decode: (bytes) => {
      const decoded = decode(bytes)
      return Exit.isSuccess(decoded) ? decoded.value : undefined
    }
  }
}

const verbs = [...CoordinatorRpcs.requests.values()]

const requestSchema = Schema.Union(
  verbs.map(({ _tag, payloadSchema }) => Schema.TaggedStruct(_tag, { payload: payloadSchema }))
)

const answerSchema = Schema.Union([
  ...verbs.map(({ _tag, errorSchema, successSchema }) =>
    Schema.TaggedStruct(_tag, { outcome: Schema.Result<Schema.Top, Schema.Top>(successSchema, errorSchema) })
  ),
  RequestRefused
])

const requests = wireOf<RequestFrame>(
  Schema.Struct({ term: Schema.Int, number: Schema.Int, request: requestSchema })
)

const arrivals = flatCodec(
  Schema.Struct({ term: Schema.Int, number: Schema.Int, payload: BarrierArrival })
)

// The arrival is flat: a barrier waits for the encoding and decoding of each.
export const requestWire: Wire<RequestFrame> = arrivals === undefined ? requests : {
  encode: (frame) => {
    const { number, request, term } = frame
    if (request._tag !== "Arrive") return requests.encode(frame)
    return arrivals.encode({ term, number, payload: request.payload })
  },
  decode: (bytes) => {
    if (!isFlat(bytes)) return requests.decode(bytes)
    const arrival = arrivals.decode(bytes)
    if (arrival === undefined) return undefined
    const { number, payload, term } = arrival
    return { term, number, request: { _tag: "Arrive", payload } }
  }
}

// One flat union, whose decoder chooses by the tag; it would try each member of a nested union.
const notices = wireOf<Notice>(
  Schema.Union([
    ...Object.values(CoordinatorNotice.cases),
    Schema.TaggedStruct("Answered", { number: Schema.Int, answer: answerSchema })
  ])
)

const releases = flatCodec(CoordinatorNotice.cases.Released)

// The release is flat: a barrier waits for its encoding, and for its decoding in every member.
export const noticeWire: Wire<Notice> = releases === undefined ? notices : {
  encode: (notice) => notice._tag === "Released" ? releases.encode(notice) : notices.encode(notice),
  decode: (bytes) => isFlat(bytes) ? releases.decode(bytes) : notices.decode(bytes)
}
