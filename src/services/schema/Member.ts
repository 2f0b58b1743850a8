/**
 * Members of a swarm: their identity, and the errors about members that are gone.
 */
import * as Schema from "effect/Schema"
import { showPid } from "./ProcessId.ts"

/** A member's identity: its slot in the region's process table, and the generation of that slot. */
export const MemberId = Schema.Struct({ slot: Schema.Int, generation: Schema.Int })
export type MemberId = typeof MemberId.Type

export const isSame = (a: MemberId, b: MemberId): boolean => a.slot === b.slot && a.generation === b.generation

/** `3.1`: slot 3, generation 1. */
export const showMember = ({ generation, slot }: MemberId): string => `${slot}.${generation}`

/** What every member knows about a member. */
export const MemberInfo = Schema.Struct({
  id: MemberId,
  name: Schema.String,
  pid: Schema.Int,
  /** The pid belongs to another pid namespace than this process's. */
  foreignPid: Schema.optionalKey(Schema.Literal(true)),
  /** Whether it may take over when the coordinator is gone. */
  standby: Schema.Boolean,
  /** 0 for the first life of this member, incremented by each recovery. */
  incarnation: Schema.Int
})
export type MemberInfo = typeof MemberInfo.Type

/** `"server" (3.1, pid 4711)`: name, identity and pid. A pid of another pid namespace is marked as such. */
export const describeMember = (member: MemberInfo): string =>
  `${JSON.stringify(member.name)} (${showMember(member.id)}, ${showPid(member)})`

/** Why a member is gone: it left, the whole swarm shut down, or its process is dead. */
export const DepartureReason = Schema.Literals(["left", "shutdown", "died"])
export type DepartureReason = typeof DepartureReason.Type

/** The addressed member has left the swarm, or no member has published the name. */
export class MemberGone extends Schema.TaggedError<MemberGone>()("MemberGone", {
  member: MemberId,
  /** Its last known name and pid, if this member ever knew it. */
  info: Schema.optionalKey(MemberInfo),
  /** The name that was addressed, when no member has published it. `member` is then meaningless. */
  missingName: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    if (this.missingName !== undefined) return `no member has published the name ${JSON.stringify(this.missingName)}`
    return this.info === undefined
      ? `member ${showMember(this.member)} is gone, or never existed`
      : `member ${describeMember(this.info)} is gone`
  }
}

/** The coordinator is gone. The request may or may not have been carried out. */
export class CoordinatorLost extends Schema.TaggedError<CoordinatorLost>()("CoordinatorLost", {
  /**
   * `died`: no standby takes over. `replaced`: a standby coordinates now, ask again. `silent`: it does not answer, or
   * could not read the request.
   */
  reason: Schema.Literals(["died", "replaced", "silent"]),
  /** The coordinator that was lost, if known. After `replaced` it may be the present coordinator. */
  coordinator: Schema.optionalKey(MemberInfo)
}) {
  override get message(): string {
    const who = this.coordinator === undefined
      ? "the coordinator"
      : `the coordinator ${describeMember(this.coordinator)}`
    const why = {
      died: `${who} is dead and no standby takes over`,
      replaced: "the coordinator died and another has taken over: ask again",
      silent: `${who} does not answer`
    }
    return why[this.reason]
  }
}

/** This swarm, or this member, is shutting down and begins nothing new. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  override get message(): string {
    return "this member is leaving the swarm"
  }
}
