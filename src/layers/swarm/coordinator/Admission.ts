/**
 * Admits members one after the other. A candidate becomes a member when every member reads its rings and it reads
 * theirs.
 *
 * A member that does not attach in time, because it is stopped or too busy to read, must not block all joins: after a
 * while the next candidate has its turn, and the former candidate has another turn later, until its deadline.
 */
import type { MemberId, MemberInfo } from "../../../services/schema/Member.ts"
import { isSame } from "../../../services/schema/Member.ts"

interface Candidate {
  readonly member: MemberInfo
  readonly askedMillis: number
  /** By slot: the members that read the candidate's rings. They stay attached from turn to turn. */
  readonly attached: Map<number, MemberId>
  /** The numbers of the candidate's turns: a member that confirms its attachment names the turn. */
  readonly tickets: Array<number>
}

interface Turn {
  readonly candidate: Candidate
  readonly ticket: number
  readonly beganMillis: number
}

export interface AdmissionHost {
  /** The coordinator, the first member. */
  readonly self: MemberId
  readonly members: () => ReadonlyArray<MemberInfo>
  readonly nowMillis: () => number
  /** How long a candidate may wait in total, and how long one turn lasts. */
  readonly deadlineMillis: number
  readonly turnMillis: number
  /** Tells all members to attach. */
  readonly begin: (ticket: number, member: MemberInfo) => void
  readonly admit: (member: MemberInfo) => void
  readonly refuse: (member: MemberInfo, reason: "deadline" | "shuttingDown") => void
}

export class Admission {
  readonly #host: AdmissionHost
  readonly #queue: Array<Candidate> = []
  #turn: Turn | undefined
  #tickets = 0

  constructor(host: AdmissionHost) {
    this.#host = host
  }

  /** Queues a candidate, unless it waits already. */
  ask(member: MemberInfo): void {
    if (this.#all.some((candidate) => isSame(candidate.member.id, member.id))) return
    this.#queue.push({ member, askedMillis: this.#host.nowMillis(), attached: new Map(), tickets: [] })
    this.#next()
  }

  attached(from: MemberId, ticket: number): void {
    const candidate = this.#all.find(({ tickets }) => tickets.includes(ticket))
    if (candidate === undefined) return
    // The candidate attaches to the members of its present turn: its answer to a former turn may lack later members.
    if (isSame(from, candidate.member.id) && ticket !== candidate.tickets.at(-1)) return
    candidate.attached.set(from.slot, from)
    this.#advance()
  }

  /** Drops a dead candidate, and stops waiting for a departed member. */
  gone(member: MemberId): void {
    this.#drop((candidate) => isSame(candidate.member.id, member))
    this.#advance()
  }

  /** All candidates, whose liveness the coordinator checks. */
  get candidates(): ReadonlyArray<MemberInfo> {
    return this.#all.map(({ member }) => member)
  }

  /** Refuses candidates whose deadline has passed, and ends a turn that has lasted too long. */
  expire(): void {
    const nowMillis = this.#host.nowMillis()
    const isLate = ({ askedMillis }: Candidate) => nowMillis - askedMillis >= this.#host.deadlineMillis
    for (const { member } of this.#drop(isLate)) this.#host.refuse(member, "deadline")
    if (this.#turn !== undefined && nowMillis - this.#turn.beganMillis >= this.#host.turnMillis) {
      this.#queue.push(this.#turn.candidate)
      this.#turn = undefined
    }
    this.#next()
  }

  /** Refuses all candidates: the swarm is shutting down. */
  close(): void {
    for (const { member } of this.#drop(() => true)) this.#host.refuse(member, "shuttingDown")
  }

  // --- internal ---

  get #all(): ReadonlyArray<Candidate> {
    return this.#turn === undefined ? this.#queue : [this.#turn.candidate, ...this.#queue]
  }

  #drop(which: (candidate: Candidate) => boolean): ReadonlyArray<Candidate> {
    const dropped = this.#all.filter(which)
    const kept = this.#queue.filter((candidate) => !dropped.includes(candidate))
    this.#queue.splice(0, this.#queue.length, ...kept)
    if (this.#turn !== undefined && dropped.includes(this.#turn.candidate)) this.#turn = undefined
    return dropped
  }

  #next(): void {
    if (this.#turn !== undefined) return
    const isFirst = this.#host.members().length === 0
    const next = isFirst ? this.#queue.findIndex(({ member }) => isSame(member.id, this.#host.self)) : 0
    const [candidate] = next < 0 ? [] : this.#queue.splice(next, 1)
    if (candidate === undefined) return
    const ticket = ++this.#tickets
    candidate.tickets.push(ticket)
    candidate.attached.delete(candidate.member.id.slot)
    this.#turn = { candidate, ticket, beganMillis: this.#host.nowMillis() }
    this.#host.begin(ticket, candidate.member)
  }

  #advance(): void {
    if (this.#turn === undefined) return this.#next()
    const { attached, member } = this.#turn.candidate
    const isAttached = ({ id }: MemberInfo) => {
      const found = attached.get(id.slot)
      return found !== undefined && isSame(found, id)
    }
    if (![...this.#host.members(), member].every(isAttached)) return
    this.#turn = undefined
    this.#host.admit(member)
    this.#next()
  }
}
