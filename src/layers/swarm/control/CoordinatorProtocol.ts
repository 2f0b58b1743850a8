/**
 * The protocol between members and their coordinator, declared once: what a member asks, as an `RpcGroup`, and what the
 * coordinator tells its members. `ControlCodec.ts` derives from it how the frames are encoded, and the
 * type of the coordinator's handlers.
 */
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { ArrivalRefused, ModeMismatch } from "../../../services/Barrier.ts"
import { JoinRefused, NameRefused } from "../../../services/Coordinator.ts"
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

/** What the coordinator tells its members unasked: all of them in one frame, unless it says otherwise. */
export const CoordinatorNotice = Schema.TaggedUnion({
  /** To a candidate whose turn begins, ahead of `Admitting`: it attaches to the members in it. */
  Membership: { state: MembershipState },
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
export type Released = typeof CoordinatorNotice.cases.Released.Type
export type Broken = typeof CoordinatorNotice.cases.Broken.Type

/** The round of that arrival is over: what became of it was told to all members ahead of this answer. */
export class RoundOver extends Schema.TaggedError<RoundOver>()("RoundOver", {}) {}

/** What a process asks that is not a member yet, or is about to be none. */
export class CandidateRpcs extends RpcGroup.make(
  /** Succeeds with a notice to all members, `Admitted`: no answer of its own. */
  Rpc.make("Join", {
    payload: { member: MemberInfo, coordinates: Schema.Boolean, invitation: Schema.String },
    success: CoordinatorNotice.cases.Admitted,
    error: JoinRefused
  }),
  /** Its readers are attached to the rings of the candidate with that ticket. */
  Rpc.make("Attached", { payload: { ticket: Schema.Int } }),
  Rpc.make("Leave")
) {}

/** What members ask. The coordinator refuses it from any other process. */
export class MemberRpcs extends RpcGroup.make(
  /**
   * Succeeds with a notice to all members, `Released`: one frame, no answer of its own. Fails with `RoundOver` when it
   * amends an arrival that is in no round: then its fiber arrives anew.
   */
  Rpc.make("Arrive", {
    payload: BarrierArrival,
    success: CoordinatorNotice.cases.Released,
    error: Schema.Union([ArrivalRefused, ModeMismatch, RoundOver])
  }),
  /**
   * Takes an arrival back: it does not count. `stay` when other fibers of the same arrival go on waiting: then it only
   * asks which members are absent.
   */
  Rpc.make("Withdraw", {
    payload: { attempt: Schema.Int, stay: Schema.Boolean },
    success: Schema.Struct({ absent: Schema.Array(MemberId) }),
    error: RoundOver
  }),
  Rpc.make("Publish", { payload: { name: Schema.String }, error: NameRefused }),
  Rpc.make("Unpublish", { payload: { name: Schema.String } }),
  Rpc.make("JoinGroup", { payload: { group: Schema.String }, error: NameRefused }),
  Rpc.make("LeaveGroup", { payload: { group: Schema.String } }),
  /** Admits the process whose invitation has this digest, once, within that time. */
  Rpc.make("Invite", { payload: { digest: Schema.String, lifeMillis: Schema.Number } }),
  Rpc.make("Uninvite", { payload: { digest: Schema.String } }),
  /** It missed notices. */
  Rpc.make("Resync", { success: MembershipState }),
  /** A process ended: check which processes live. */
  Rpc.make("CheckLiveness"),
  Rpc.make("ReadyToShutDown")
) {}

/** All that a process can ask of the coordinator. */
export const CoordinatorRpcs = CandidateRpcs.merge(MemberRpcs)
