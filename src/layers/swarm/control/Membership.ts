/**
 * Keeps one process's copy of the membership: members, names and groups. Only notices of the coordinator change it.
 */
import type { MemberEvent } from "../../../services/Coordinator.ts"
import { isSame, MemberGone, type MemberId, type MemberInfo } from "../../../services/schema/Member.ts"
import { membershipIn, type Notice } from "./ControlCodec.ts"
import type { MembershipState } from "./CoordinatorProtocol.ts"

/** The group that has every member. */
export const allMembers = "all"

const noMember: MemberId = { slot: -1, generation: 0 }

/** Whether the process table says that this member's pid belongs to another pid namespace than this process's. */
export type IsForeign = (member: MemberId) => boolean

export class Membership {
  epoch = 0
  coordinator: MemberId = noMember
  #suspects: ReadonlyArray<MemberId> = []
  readonly #members = new Map<number, MemberInfo>()
  /** By slot: its last member that has left or died. */
  readonly #departed = new Map<number, MemberInfo>()
  readonly #names = new Map<string, MemberId>()
  readonly #groups = new Map<string, Map<number, MemberId>>()
  readonly #isForeign: IsForeign

  constructor(isForeign: IsForeign) {
    this.#isForeign = isForeign
  }

  get members(): ReadonlyArray<MemberInfo> {
    return [...this.#members.values()]
  }

  find(member: MemberId): MemberInfo | undefined {
    const found = this.#members.get(member.slot)
    return found !== undefined && isSame(found.id, member) ? found : undefined
  }

  resolve(name: string): MemberInfo | undefined {
    const id = this.#names.get(name)
    return id === undefined ? undefined : this.find(id)
  }

  group(group: string): ReadonlyArray<MemberInfo> {
    if (group === allMembers) return this.members
    return [...this.#groups.get(group)?.values() ?? []].flatMap((id) => this.find(id) ?? [])
  }

  get suspects(): ReadonlyArray<MemberInfo> {
    return this.#suspects.flatMap((id) => this.find(id) ?? [])
  }

  /** The error for a departed member, with its name and pid if they are known. */
  lossOf(member: MemberId): MemberGone {
    const known = this.find(member) ?? this.#departed.get(member.slot)
    return new MemberGone(known !== undefined && isSame(known.id, member) ? { member, info: known } : { member })
  }

  /** Names that a member has published. */
  namesOf(member: MemberId): ReadonlyArray<string> {
    return [...this.#names].filter(([, owner]) => isSame(owner, member)).map(([name]) => name)
  }

  /**
   * The state for other processes, without marks of foreign pids: each process determines those for its own pid
   * namespace.
   */
  get state(): MembershipState {
    const { coordinator, epoch } = this
    const members = this.members.map(unjudged)
    const names = [...this.#names].map(([name, member]) => ({ name, member }))
    const groups = [...this.#groups].flatMap(([name, ids]) => [...ids.values()].map((member) => ({ name, member })))
    const suspects = this.suspects.map(({ id }) => id)
    return { epoch, coordinator, members, names, groups, suspects }
  }

  /** Replaces the whole membership. */
  restore({ coordinator, epoch, groups, members, names, suspects }: MembershipState): void {
    this.epoch = epoch
    this.coordinator = coordinator
    this.#suspects = suspects
    const judged = members.map((member) => this.#judged(member))
    for (const [slot, member] of this.#members) this.#departed.set(slot, member)
    this.#members.clear()
    this.#names.clear()
    this.#groups.clear()
    for (const member of judged) this.#members.set(member.id.slot, member)
    for (const { member, name } of names) this.#names.set(name, member)
    for (const { member, name } of groups) this.#join(name, member)
  }

  /** Applies a notice. Returns the change, if the notice is about the membership. */
  apply(notice: Notice): MemberEvent | undefined {
    switch (notice._tag) {
      case "Admitted": {
        const member = this.#judged(notice.member)
        this.epoch = notice.epoch
        this.#members.set(member.id.slot, member)
        return { _tag: "Joined", epoch: notice.epoch, member }
      }
      case "Departed": {
        const member = this.find(notice.member)
        if (member === undefined) return undefined
        this.epoch = notice.epoch
        this.#remove(notice.member)
        return { _tag: "Departed", epoch: notice.epoch, member, reason: notice.reason }
      }
      case "Named": {
        this.#names.set(notice.name, notice.member)
        return { _tag: "NamePublished", name: notice.name, member: notice.member }
      }
      case "Unnamed": {
        this.#names.delete(notice.name)
        return { _tag: "NameUnpublished", name: notice.name, member: notice.member }
      }
      case "GroupJoined": {
        this.#join(notice.group, notice.member)
        return { _tag: "GroupJoined", group: notice.group, member: notice.member }
      }
      case "GroupLeft": {
        this.#groups.get(notice.group)?.delete(notice.member.slot)
        return { _tag: "GroupLeft", group: notice.group, member: notice.member }
      }
      case "Suspected": {
        this.#suspects = notice.suspects
        return { _tag: "SuspectsChanged", suspects: this.suspects }
      }
      case "TookOver": {
        this.restore(notice.state)
        return { _tag: "CoordinatorChanged", coordinator: notice.state.coordinator }
      }
      default: {
        const state = membershipIn(notice)
        if (state !== undefined) this.restore(state)
        return undefined
      }
    }
  }

  // A dead member's slot may have its next owner by now, so keep an earlier finding about the pid.
  #judged(member: MemberInfo): MemberInfo {
    const isForeign = this.#isForeign(member.id) || this.find(member.id)?.foreignPid === true
    return isForeign ? { ...unjudged(member), foreignPid: true } : unjudged(member)
  }

  #join(group: string, member: MemberId): void {
    const ids = this.#groups.get(group) ?? new Map<number, MemberId>()
    this.#groups.set(group, ids.set(member.slot, member))
  }

  #remove(member: MemberId): void {
    const known = this.find(member)
    if (known !== undefined) this.#departed.set(member.slot, known)
    this.#members.delete(member.slot)
    for (const name of this.namesOf(member)) this.#names.delete(name)
    for (const ids of this.#groups.values()) ids.delete(member.slot)
  }
}

// --- internal ---

const unjudged = (member: MemberInfo): MemberInfo => {
  const { foreignPid: _, ...told } = member
  return told
}
