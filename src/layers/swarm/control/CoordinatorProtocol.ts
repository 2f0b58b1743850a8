/**
 * The protocol between members and their coordinator, declared once: members' requests as an `RpcGroup`, and the
 * coordinator's notices. `ControlCodec.ts` derives from it the encoding of the frames, and the type of the
 * coordinator's handlers.
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

/** The whole membership, for a new member or a member that missed notices. */
export const MembershipState = Schema.Struct({
  epoch: Schema.Int,
  coordinator: MemberId,
  members: Schema.Array(MemberInfo),
  names: Names,
  groups: Names,
  suspects: Schema.Array(MemberId)
})
export type MembershipState = typeof MembershipState.Type

/** The coordinator's notices: each goes to all members in one frame, unless it says otherwise. */
export const CoordinatorNotice = Schema.TaggedUnion({
  /** To a candidate whose turn begins, ahead of `Admitting`: the candidate attaches to these members. */
  Membership: { state: MembershipState },
  /** A candidate joins: attach readers to its rings and confirm. */
  Admitting: { ticket: Schema.Int, member: MemberInfo },
  /** A candidate is a member now. With the digest of its invitation, or an empty text. */
  Admitted: { epoch: Schema.Int, member: MemberInfo, invitation: Schema.String },
  Departed: { epoch: Schema.Int, member: MemberId, reason: DepartureReason },
  Named: { name: Schema.String, member: MemberId },
  Unnamed: { name: Schema.String, member: MemberId },
  GroupJoined: { group: Schema.String, member: MemberId },
  GroupLeft: { group: Schema.String, member: MemberId },
  Suspected: { suspects: Schema.Array(MemberId) },
  /** A round is over. It lists each arrived member with its last counted amendment. */
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
  /** A round cannot keep its promise: that member lost part of a stream. */
  Broken: {
    name: Schema.String,
    group: Schema.String,
    arrivals: Schema.Array(Schema.Struct({ member: MemberId, attempt: Schema.Int })),
    member: MemberId,
    ring: Schema.Int,
    from: Schema.Number,
    to: Schema.Number
  },
  /** A standby coordinates now, in that term. */
  TookOver: { term: Schema.Int, state: MembershipState },
  ShutDown: {},
  /** To one member: its requests up to now may be lost, because its control ring was damaged. */
  Unheard: {},
  /** Carries no data: a member that does not read it is suspect. */
  Heartbeat: {}
})
export type Released = typeof CoordinatorNotice.cases.Released.Type
export type Broken = typeof CoordinatorNotice.cases.Broken.Type

/** The round of that arrival is over: a notice ahead of this answer has told all members its outcome. */
export class RoundOver extends Schema.TaggedError<RoundOver>()("RoundOver", {}) {}

/** The requests of a process that is not a member yet, or is about to leave. */
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

/** The requests of members. The coordinator refuses them from any other process. */
export class MemberRpcs extends RpcGroup.make(
  /**
   * Succeeds with a notice to all members, `Released`: one frame, no answer of its own. Fails with `RoundOver` when it
   * amends an arrival that is in no round: its fiber then arrives anew.
   */
  Rpc.make("Arrive", {
    payload: BarrierArrival,
    success: CoordinatorNotice.cases.Released,
    error: Schema.Union([ArrivalRefused, ModeMismatch, RoundOver])
  }),
  /**
   * Withdraws an arrival, which then does not count. With `stay`, because other fibers of the arrival still wait, it
   * only asks which members are absent.
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
  /** Asks for the whole membership, after missed notices. */
  Rpc.make("Resync", { success: MembershipState }),
  /** Asks the coordinator to check which processes live, because one has ended. */
  Rpc.make("CheckLiveness"),
  Rpc.make("ReadyToShutDown")
) {}

/** All requests to the coordinator. */
export const CoordinatorRpcs = CandidateRpcs.merge(MemberRpcs)
