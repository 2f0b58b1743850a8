/**
 * The protocol between members and their coordinator. Every message is decoded by its Schema before it is used.
 */
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import { BarrierArrival, BarrierMode, Exemption } from "../../../services/schema/BarrierArrival.ts"
import { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import { DepartureReason, MemberId, MemberInfo } from "../../../services/schema/Member.ts"

const Names = Schema.Array(Schema.Struct({ name: Schema.String, member: MemberId }))

/** The whole membership, as a new member gets it, or a member that missed notices. */
export const MembershipState = Schema.Struct({
  epoch: Schema.Int,
  coordinator: MemberId,
  members: Schema.Array(MemberInfo),
  names: Names,
  groups: Names,
  suspects: Schema.Array(MemberId)
})
export type MembershipState = typeof MembershipState.Type

/** From a member to the coordinator. */
export const Request = Schema.TaggedUnion({
  Join: { member: MemberInfo, coordinates: Schema.Boolean, invitation: Schema.String },
  /** Its readers are attached to the rings of the candidate with that ticket. */
  Attached: { ticket: Schema.Int },
  /** Admits the process whose invitation has this digest, once, within that time. */
  Invite: { digest: Schema.String, lifeMillis: Schema.Number },
  Uninvite: { digest: Schema.String },
  /** A process ended: check which processes live. */
  Look: {},
  /** It missed notices and asks for the whole membership. */
  Resync: {},
  Leave: {},
  ReadyToShutDown: {},
  Publish: { name: Schema.String },
  Unpublish: { name: Schema.String },
  JoinGroup: { group: Schema.String },
  LeaveGroup: { group: Schema.String },
  Arrive: { arrival: BarrierArrival },
  /**
   * `stay` when other fibers of the same arrival go on waiting: then the request only asks which members are absent.
   */
  Withdraw: { attempt: Schema.Int, stay: Schema.Boolean }
})
export type Request = typeof Request.Type

/** A request on its way: for a coordinator of one term only, so that its successor does not answer for it. */
export const RequestFrame = Schema.Struct({ term: Schema.Int, number: Schema.Int, request: Request })
export type RequestFrame = typeof RequestFrame.Type

/** The answer to one request of one member. */
export const Answer = Schema.TaggedUnion({
  Done: {},
  /** `reason` is one of the literals of the error that the request can fail with. */
  Refused: { reason: Schema.String, detail: Schema.String },
  Mismatch: { asked: BarrierMode, round: BarrierMode },
  /** A withdrawal was granted: the arrival does not count. */
  Withdrawn: { absent: Schema.Array(MemberId) },
  Membership: { state: MembershipState }
})
export type Answer = typeof Answer.Type

/** From the coordinator to its members. */
export const Notice = Schema.TaggedUnion({
  Answered: { number: Schema.Int, answer: Answer },
  /** A candidate joins: attach readers to its rings and confirm. */
  Admitting: { ticket: Schema.Int, member: MemberInfo },
  /** With the digest of its invitation, or an empty text. */
  Admitted: { epoch: Schema.Int, member: MemberInfo, invitation: Schema.String },
  Departed: { epoch: Schema.Int, member: MemberId, reason: DepartureReason },
  Named: { name: Schema.String, member: MemberId },
  Unnamed: { name: Schema.String, member: MemberId },
  GroupJoined: { group: Schema.String, member: MemberId },
  GroupLeft: { group: Schema.String, member: MemberId },
  Suspected: { suspects: Schema.Array(MemberId) },
  /** A round is over. Members that arrived are listed with the last of their amendments that counts. */
  Released: {
    term: Schema.Int,
    round: Schema.Int,
    name: Schema.String,
    group: Schema.String,
    mode: BarrierMode,
    arrivals: Schema.Array(
      Schema.Struct({ member: MemberId, attempt: Schema.Int, amendment: Schema.Int })
    ),
    departed: Schema.Array(MemberId),
    withdrawn: Schema.Array(MemberId),
    targets: Schema.Array(DrainTarget),
    exempt: Schema.Array(Exemption),
    /** False when draining is switched off: then no member drains. */
    drain: Schema.Boolean
  },
  /** A round cannot keep its promise: part of a stream was lost to that member. */
  Broken: {
    name: Schema.String,
    group: Schema.String,
    arrivals: Schema.Array(Schema.Struct({ member: MemberId, attempt: Schema.Int })),
    member: MemberId,
    ring: Schema.Int,
    from: Schema.Number,
    to: Schema.Number
  },
  /** A standby coordinates now, for that term. */
  TookOver: { term: Schema.Int, state: MembershipState },
  ShutDown: {},
  /** To one member: its requests up to now may be lost, because its control ring was damaged. */
  Unheard: {},
  /** Carries no data: a member that does not read it is suspect. */
  Heartbeat: {}
})
export type Notice = typeof Notice.Type
export type Released = Extract<Notice, { readonly _tag: "Released" }>
export type Broken = Extract<Notice, { readonly _tag: "Broken" }>

/** Encodes and decodes one kind of control message. What does not decode is `undefined`. */
export interface Wire<A> {
  readonly encode: (value: A) => Uint8Array
  readonly decode: (bytes: Uint8Array) => A | undefined
}

const wireOf = <A, I>(schema: Schema.Codec<A, I, never, never>): Wire<A> => {
  const codec = SchemaBinary.toCodec(schema, { fingerprint: true })
  // Compiled where possible: every barrier waits for this encoding and decoding.
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

export const requestWire: Wire<RequestFrame> = wireOf(RequestFrame)
export const noticeWire: Wire<Notice> = wireOf(Notice)
