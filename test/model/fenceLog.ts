/**
 * Checks the notes of a run: which messages each member had sent when it arrived, and which had arrived when a fence
 * returned. It uses none of the positions that the fences rely on.
 */
import type { Released } from "../../src/layers/swarm/control/CoordinatorProtocol.ts"
import { isSame, type MemberId, showMember } from "../../src/services/schema/Member.ts"
import type { FenceEvent, Noted } from "./fenceEvents.ts"

/** A message, known by its sender and its number. */
interface Sent {
  readonly to: Extract<FenceEvent, { readonly _tag: "sent" }>["to"]
  readonly since: number
}

interface Watched {
  readonly id: MemberId
  /** Ring of its messages. */
  readonly ring: number
  /** The time from which on it gets all messages. */
  readonly readyAt: number
  /** By their numbers. */
  readonly sent: Array<Sent>
  readonly begun: Map<string, Set<number>>
  readonly handled: Map<string, Set<number>>
  isGone: boolean
}

interface Arrived {
  readonly member: string
  readonly term: number
  readonly name: string
  readonly attempt: number
  readonly amendment: number
  /** How many messages it had sent. */
  readonly sent: number
  readonly at: number
  withdrawnAt: number
}

interface Release {
  readonly notice: Released
  readonly term: number
  readonly coordinator: MemberId
  readonly at: number
}

type Returned = Extract<FenceEvent, { readonly _tag: "returned" }>

export class FenceLog {
  readonly violations: Array<string> = []
  readonly #members = new Map<string, Watched>()
  readonly #arrivals: Array<Arrived> = []
  readonly #releases: Array<Release> = []
  /** Arrivals in released rounds, by member, term and attempt. */
  readonly #released = new Set<string>()
  /** Fences that returned. */
  returns = 0
  /** Messages that were checked at their returns. */
  checked = 0

  take({ at, event, who }: Noted): void {
    if (event._tag === "joined") return this.#joined(who, event.ring, at)
    if (event._tag === "released") {
      return this.#announced({ notice: event.release, term: event.term, coordinator: who, at })
    }
    const member = this.#members.get(showMember(who))
    if (member === undefined) return
    switch (event._tag) {
      case "sent":
        return void member.sent.push(event)
      case "begun":
      case "handled":
        return noteOf(member[event._tag], event)
      case "arrived":
        return this.#arrived(member, event, at)
      case "withdrew":
        return this.#withdrew(showMember(who), event, at)
      case "returned":
        return this.#checkReturn(member, event)
      case "failed":
        return member.isGone ? undefined : this.#violated(`${showMember(who)}: ${event.why}`)
      case "gone":
        member.isGone = true
    }
  }

  /** Call it after all work: checks that no message was lost, repeated or reordered. */
  settled(): void {
    for (const to of this.#members.values()) {
      if (to.isGone) continue
      for (const from of this.#members.values()) {
        this.#nothingLost(from, to)
        this.#nothingTurned(from, to)
      }
    }
  }

  // --- what is noted ---

  #joined(id: MemberId, ring: number, at: number): void {
    const watched = { id, ring, readyAt: at, sent: [], begun: new Map(), handled: new Map(), isGone: false }
    this.#members.set(showMember(id), watched)
  }

  #announced(release: Release): void {
    this.#releases.push(release)
    for (const { attempt, member } of release.notice.arrivals) {
      this.#released.add(keyOf(showMember(member), release.term, attempt))
    }
  }

  #arrived({ id, sent }: Watched, event: Extract<FenceEvent, { readonly _tag: "arrived" }>, at: number): void {
    this.#arrivals.push({ ...event, member: showMember(id), sent: sent.length, at, withdrawnAt: Infinity })
  }

  #withdrew(who: string, { attempt, term }: Extract<FenceEvent, { readonly _tag: "withdrew" }>, at: number): void {
    for (const arrival of this.#arrivals) {
      if (arrival.member === who && arrival.attempt === attempt && arrival.term === term) arrival.withdrawnAt = at
    }
  }

  // --- the promise ---

  #checkReturn(to: Watched, returned: Returned): void {
    if (to.isGone) return
    this.returns += 1
    const release = this.#releaseOf(to.id, returned)
    if (release === undefined) return this.#violated(`${showMember(to.id)} returned from a round that it is not in`)
    if (returned.mode === "rendezvous") return
    for (const [sender, sent] of this.#promised(release)) {
      const from = this.#members.get(sender)
      if (from === undefined) continue
      for (let n = 0; n < sent; n += 1) this.#check(to, from, n, release)
    }
  }

  #releaseOf(member: MemberId, { name, round, term }: Returned): Release | undefined {
    return this.#releases.find((release) =>
      release.term === term && release.notice.round === round && release.notice.name === name &&
      release.notice.arrivals.some((other) => isSame(other.member, member))
    )
  }

  /** How many messages of each member the round promises: those that it had sent when it arrived. */
  #promised(release: Release): Map<string, number> {
    const { arrivals, departed, withdrawn } = release.notice
    const promised = new Map<string, number>()
    for (const { amendment, attempt, member } of arrivals) {
      for (const arrived of this.#of(member, release)) {
        if (arrived.attempt !== attempt || arrived.amendment > amendment) continue
        promised.set(arrived.member, Math.max(arrived.sent, promised.get(arrived.member) ?? 0))
      }
    }
    // For a departed member its last arrival counts. A member that withdrew may have arrived for later rounds while
    // this round still drained, so only its first arrival is certain to be in it.
    for (const member of departed) {
      if (!this.#departedBefore(member, release)) this.#count(promised, this.#unreleased(member, release, false).at(-1))
    }
    for (const member of withdrawn) this.#count(promised, this.#unreleased(member, release, true).at(0))
    return promised
  }

  // A member that joins while a round drains opens the next round of that name, which expects all members. If one of
  // them then departs, both rounds name it, and its arrival belongs to the earlier, draining round.
  #departedBefore(member: MemberId, { notice, term }: Release): boolean {
    return this.#releases.some((other) =>
      other.term === term && other.notice.name === notice.name && other.notice.round < notice.round &&
      other.notice.departed.some((departed) => isSame(departed, member))
    )
  }

  #count(promised: Map<string, number>, arrived: Arrived | undefined): void {
    if (arrived !== undefined) promised.set(arrived.member, arrived.sent)
  }

  // A member's arrivals since its last one in a released round. Of a departed member the last of these counts, so leave
  // out arrivals of an earlier round, which may still have drained when a member that had withdrawn opened this one. Of a
  // member that withdrew the first counts: it had sent no less when it arrived for a later round.
  #unreleased(member: MemberId, release: Release, isWithdrawn: boolean): ReadonlyArray<Arrived> {
    const before = this.#of(member, release).filter(({ at }) => at < release.at)
    const last = before.findLastIndex((arrived) =>
      this.#released.has(keyOf(arrived.member, arrived.term, arrived.attempt))
    )
    const openedAfter = isWithdrawn ? -1 : this.#lastWithdrawal(release)
    const firstOf = ({ attempt }: Arrived) => before.find((arrived) => arrived.attempt === attempt)?.at ?? 0
    return before.slice(last + 1).filter((arrived) =>
      firstOf(arrived) > openedAfter && (arrived.withdrawnAt < release.at) === isWithdrawn
    )
  }

  /** When a member of that round last took back an arrival, before the release. */
  #lastWithdrawal(release: Release): number {
    return release.notice.arrivals.flatMap(({ member }) =>
      this.#of(member, release).flatMap(({ withdrawnAt }) => withdrawnAt < release.at ? [withdrawnAt] : [])
    ).reduce((latest, at) => Math.max(latest, at), 0)
  }

  #of(member: MemberId, { notice, term }: Release): ReadonlyArray<Arrived> {
    const who = showMember(member)
    return this.#arrivals.filter((arrived) =>
      arrived.member === who && arrived.name === notice.name && arrived.term === term
    )
  }

  #check(to: Watched, from: Watched, n: number, { coordinator, notice }: Release): void {
    this.checked += 1
    const { arrivals, exempt, mode, round } = notice
    const how = mode === "deliveryFence" ? "begun" : "handled"
    const isThrough = (member: Watched): boolean =>
      member.isGone || !isMeantFor(from.sent[n], from, member) ||
      exempt.some((exemption) => isSame(exemption.member, member.id) && exemption.ring === from.ring) ||
      (member[how].get(showMember(from.id))?.has(n) ?? false)
    const where = how === "begun" ? [to.id, coordinator] : arrivals.map(({ member }) => member)
    for (const id of where) {
      const member = this.#members.get(showMember(id))
      if (member === undefined || isThrough(member)) continue
      this.#violated(
        `${show(from, n)} was sent before the ${mode} of round ${round} that returned in ${showMember(to.id)}, ` +
          `and is not ${how} in ${showMember(id)} (the sender ${standingOf(from.id, notice)})`
      )
    }
  }

  #nothingLost(from: Watched, to: Watched): void {
    const handled = to.handled.get(showMember(from.id))
    for (const [n, message] of from.sent.entries()) {
      if (isMeantFor(message, from, to) && handled?.has(n) !== true) {
        this.#violated(`${show(from, n)} never came to ${showMember(to.id)}`)
      }
    }
  }

  #nothingTurned(from: Watched, to: Watched): void {
    let last = -1
    for (const n of to.begun.get(showMember(from.id)) ?? []) {
      if (n < last) this.#violated(`${show(from, n)} came late to ${showMember(to.id)}`)
      last = n
    }
  }

  #violated(what: string): void {
    if (this.violations.length < 10) this.violations.push(what)
  }
}

/** Whether a member that was in the swarm when the message was sent must get it. */
const isMeantFor = (sent: Sent | undefined, from: Watched, member: Watched): boolean => {
  if (sent === undefined || sent.since < member.readyAt) return false
  const isOwn = isSame(from.id, member.id)
  if (sent.to === "world") return true
  if (sent.to === "local") return isOwn
  return sent.to === "remote" ? !isOwn : isSame(sent.to, member.id)
}

const standingOf = (id: MemberId, { departed, withdrawn }: Released): string => {
  const isIn = (members: ReadonlyArray<MemberId>) => members.some((member) => isSame(member, id))
  if (isIn(departed)) return "departed"
  return isIn(withdrawn) ? "withdrew" : "arrived"
}

const noteOf = (
  by: Map<string, Set<number>>,
  { n, sender }: Extract<FenceEvent, { readonly _tag: "begun" | "handled" }>
): void => {
  const key = showMember(sender)
  by.set(key, (by.get(key) ?? new Set()).add(n))
}

const keyOf = (member: string, term: number, attempt: number): string => `${member} ${term} ${attempt}`

const show = ({ id }: Watched, n: number): string => `message ${n} of ${showMember(id)}`
