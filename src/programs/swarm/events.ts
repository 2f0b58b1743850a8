/**
 * The events of `ringfence swarm`, one line each.
 */
import type { Coordinator, MemberEvent } from "../../services/Coordinator.ts"
import { isSame, type MemberId, type MemberInfo, showMember } from "../../services/schema/Member.ts"
import { showPid } from "../../services/schema/ProcessId.ts"
import type { ChildExit } from "../../services/Spawner.ts"
import { formatMillis, plural } from "../cli/units.ts"

/** This process is a member now. */
export interface TakingPart {
  readonly _tag: "TakingPart"
  readonly region: string
  readonly path: string
  readonly member: MemberInfo
  readonly coordinates: boolean
  readonly members: ReadonlyArray<MemberInfo>
  /** The command with which other members join. */
  readonly join: string
}

export interface Invited {
  readonly _tag: "Invited"
  readonly environment: Readonly<Record<string, string>>
  readonly millis: number
}

export interface ChildEnded extends ChildExit {
  readonly _tag: "ChildEnded"
  readonly child: string
  /** True if the child is restarted. */
  readonly recovering: boolean
}

export type SwarmEvent = TakingPart | Invited | ChildEnded | MemberEvent

type Membership = Pick<Coordinator["Service"], "members" | "self">

/** The event as a line of text. Names come from the membership, because some events have only a member's id. */
export const describeSwarmEvent = (membership: Membership) => (event: SwarmEvent): string => {
  const nameOf = (id: MemberId) =>
    membership.members().find((member) => isSame(member.id, id))?.name ?? `member ${showMember(id)}`
  const count = () => plural(membership.members().length, "member")
  switch (event._tag) {
    case "TakingPart":
      return describeTakingPart(event)
    case "Invited":
      return `invited, for ${formatMillis(event.millis)}: ${assignments(event.environment)} ringfence swarm --name NAME`
    case "ChildEnded":
      return `child ${event.child} (pid ${event.pid}) ended ${how(event)}${
        event.recovering ? ", and is restarted" : ""
      }`
    case "Joined":
      return `${who(event.member)} joined: ${count()}`
    case "Departed":
      return `${who(event.member)} ${ends[event.reason]}: ${count()}`
    case "NamePublished":
      return `${nameOf(event.member)} has the name "${event.name}"`
    case "NameUnpublished":
      return `the name "${event.name}" is free`
    case "GroupJoined":
      return `${nameOf(event.member)} is in the group "${event.group}"`
    case "GroupLeft":
      return `${nameOf(event.member)} left the group "${event.group}"`
    case "SuspectsChanged":
      return event.suspects.length === 0
        ? "all members keep up"
        : `${event.suspects.map(who).join(", ")}: alive, but not keeping up`
    case "CoordinatorGone":
      return "the coordinator is gone"
    case "CoordinatorChanged":
      return isSame(event.coordinator, membership.self.id)
        ? "this member coordinates now"
        : `${nameOf(event.coordinator)} coordinates now`
    case "Resynced":
      return `missed some changes, but is up to date again: ${count()}`
  }
}

// --- internal ---

const describeTakingPart = ({ coordinates, join, member, members, path, region }: TakingPart): string =>
  coordinates
    ? `${member.name} coordinates region "${region}" in ${path}; join it: ${join}`
    : `${member.name} joined region "${region}" as member ${showMember(member.id)}: ${
      plural(members.length, "member")
    } (${members.map(({ name }) => name).join(", ")})`

const who = (member: MemberInfo): string =>
  `${member.name} (${showPid(member)}${member.incarnation > 0 ? `, life ${member.incarnation + 1}` : ""})`

const ends = { left: "left", shutdown: "shut down", died: "died" } as const

const how = ({ code, signal }: ChildExit): string => {
  if (signal !== null) return `by ${signal}`
  return code === null ? "before it was started" : `with exit code ${code}`
}

const assignments = (environment: Readonly<Record<string, string>>): string =>
  Object.entries(environment).map(([name, value]) => `${name}=${value}`).join(" ")
