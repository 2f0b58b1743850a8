/**
 * Letting members in, one after the other: a member is one when everybody reads its rings and it reads theirs.
 */
import type { MemberId, MemberInfo } from "../../services/Member.ts"
import { isSame } from "../../services/Member.ts"

interface Admitting {
  readonly member: MemberInfo
  /** Numbers the admissions: who is attached says to which. */
  readonly ticket: number
  /** Slots of those who are not attached yet, the joining member's included. */
  readonly awaited: Map<number, MemberId>
  readonly sinceMillis: number
}

export interface AdmissionHost {
  readonly members: () => ReadonlyArray<MemberInfo>
  readonly nowMillis: () => number
  /** Tells everybody to attach. */
  readonly begin: (ticket: number, member: MemberInfo) => void
  readonly admit: (member: MemberInfo) => void
  readonly refuse: (member: MemberInfo) => void
}

export class Admission {
  readonly #host: AdmissionHost
  readonly #queue: Array<MemberInfo> = []
  #current: Admitting | undefined
  #tickets = 0

  constructor(host: AdmissionHost) {
    this.#host = host
  }

  /** False when it is waiting already. */
  ask(member: MemberInfo): boolean {
    const waits = [...this.#queue, ...this.#current === undefined ? [] : [this.#current.member]]
    if (waits.some(({ id }) => isSame(id, member.id))) return false
    this.#queue.push(member)
    this.#next()
    return true
  }

  attached(from: MemberId, ticket: number): void {
    if (this.#current?.ticket !== ticket) return
    this.#done(from)
  }

  /** A dead member is not waited for; a dead candidate is not let in. */
  gone(member: MemberId): void {
    const waiting = this.#queue.findIndex(({ id }) => isSame(id, member))
    if (waiting >= 0) this.#queue.splice(waiting, 1)
    if (this.#current === undefined) return
    if (isSame(this.#current.member.id, member)) {
      this.#current = undefined
      this.#next()
    } else {
      this.#done(member)
    }
  }

  /** Candidates, for whoever looks after their life. */
  get candidates(): ReadonlyArray<MemberInfo> {
    return this.#current === undefined ? this.#queue : [this.#current.member, ...this.#queue]
  }

  /** Gives up on a candidate that somebody does not attach to in time: a stopped member must not stop the joining. */
  expire(deadlineMillis: number): void {
    const current = this.#current
    if (current === undefined || this.#host.nowMillis() - current.sinceMillis < deadlineMillis) return
    this.#current = undefined
    this.#host.refuse(current.member)
    this.#next()
  }

  // --- internal ---

  #next(): void {
    const member = this.#current === undefined ? this.#queue.shift() : undefined
    if (member === undefined) return
    const awaited = new Map([...this.#host.members(), member].map(({ id }) => [id.slot, id]))
    this.#current = { member, ticket: ++this.#tickets, awaited, sinceMillis: this.#host.nowMillis() }
    this.#host.begin(this.#current.ticket, member)
  }

  #done(member: MemberId): void {
    const current = this.#current
    const awaited = current?.awaited.get(member.slot)
    if (current === undefined || awaited === undefined || !isSame(awaited, member)) return
    current.awaited.delete(member.slot)
    if (current.awaited.size > 0) return
    this.#current = undefined
    this.#host.admit(current.member)
    this.#next()
  }
}
