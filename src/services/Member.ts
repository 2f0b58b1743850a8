/**
 * Members of a swarm: who they are, and the ways in which one can be gone.
 */
import * as Schema from "effect/Schema"

/** A member for as long as it lives: its slot in the region's process table, and which life of that slot. */
export const MemberId = Schema.Struct({ slot: Schema.Int, generation: Schema.Int })
export type MemberId = typeof MemberId.Type

export const isSame = (a: MemberId, b: MemberId): boolean => a.slot === b.slot && a.generation === b.generation

/** `3.1`: slot 3, first life. */
export const showMember = ({ generation, slot }: MemberId): string => `${slot}.${generation}`

/** What everybody knows of a member. */
export const MemberInfo = Schema.Struct({
  id: MemberId,
  name: Schema.String,
  pid: Schema.Int,
  /** Takes over when the coordinator is gone. */
  standby: Schema.Boolean,
  /** 0 for the first life of this member, counted up by each recovery. */
  occurrence: Schema.Int
})
export type MemberInfo = typeof MemberInfo.Type

/** Why a member is no member any more: it left, all shut down together, or its process is dead. */
export const DepartureReason = Schema.Literals(["left", "shutdown", "died"])
export type DepartureReason = typeof DepartureReason.Type

/** The one that was spoken to is no member any more. */
export class MemberGone extends Schema.TaggedError<MemberGone>()("MemberGone", { member: MemberId }) {
  override get message(): string {
    return `member ${showMember(this.member)} is gone`
  }
}

/** The coordinator is gone. What it was asked for may or may not have happened. */
export class CoordinatorLost extends Schema.TaggedError<CoordinatorLost>()("CoordinatorLost", {
  /** `died`: without a standby. `replaced`: a standby coordinates now, ask again. `silent`: it does not answer. */
  reason: Schema.Literals(["died", "replaced", "silent"])
}) {
  override get message(): string {
    const why = {
      died: "the coordinator is dead and no standby takes over",
      replaced: "the coordinator died and another has taken over: ask again",
      silent: "the coordinator does not answer"
    }
    return why[this.reason]
  }
}

/** This swarm, or this member, is shutting down and takes nothing new. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  override get message(): string {
    return "this member is leaving the swarm"
  }
}
