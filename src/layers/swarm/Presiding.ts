/**
 * What the coordinating member does: lets members in and out, keeps names and groups, and releases the rounds.
 *
 * Its ring is the coordinator's office: the region lets one process write it at a time, and each writer is a new
 * generation, which is the coordinator's term. So there are never two, and a dead one's successor is told from it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import { isSame, type MemberId, type MemberInfo } from "../../services/Member.ts"
import type { Ring, RingWriterPort } from "../../services/Ring.ts"
import { Admission } from "./Admission.ts"
import { type Answer, type Notice, noticeWire, type Request, requestWire } from "./ControlMessages.ts"
import { type Address, everybody, frameKind, headerOf, numberOf, one, ringNames } from "./Frames.ts"
import type { Mesh } from "./Mesh.ts"
import { type Message, MessageSource } from "./MessageSource.ts"
import type { Settled } from "./Options.ts"
import { allMembers, Roster } from "./Roster.ts"
import { reservedPrefix, Rounds } from "./Rounds.ts"

/** Who may come in by an invitation. */
export interface Invitations {
  /** Uses the invitation up. False when it is unknown, used or expired. */
  readonly redeem: (invitation: string, member: MemberInfo) => boolean
}

export interface PresidingOptions {
  readonly ring: Ring["Service"]
  readonly mesh: Mesh
  readonly settled: Settled
  readonly invitations: Invitations
  /** The membership to begin with: a standby's own copy, or nothing. */
  readonly roster: Roster | undefined
}

const malformed: Answer = { _tag: "Refused", reason: "malformed", detail: "the request is none" }

type Start = (key: string, effect: Effect.Effect<void>) => void

export class Presiding {
  readonly #options: PresidingOptions
  readonly #writer: RingWriterPort
  readonly #roster = new Roster()
  readonly #admission: Admission
  readonly #rounds: Rounds
  readonly #fibers: FiberMap.FiberMap<string, void, unknown>
  readonly #start: Start
  readonly #clock: Clock.Clock
  readonly #leaving = new Set<number>()
  readonly #lagging = new Map<number, { readonly read: number; readonly sinceMillis: number }>()
  readonly #control = new Map<string, MessageSource>()
  #suspects: ReadonlyArray<MemberId> = []
  #openings = -1
  #shuttingDown = false

  private constructor(
    options: PresidingOptions,
    opened: {
      readonly writer: RingWriterPort
      readonly fibers: FiberMap.FiberMap<string, void, unknown>
      readonly start: Start
      readonly clock: Clock.Clock
    }
  ) {
    this.#options = options
    this.#writer = opened.writer
    this.#fibers = opened.fibers
    this.#start = opened.start
    this.#clock = opened.clock
    if (options.roster !== undefined) this.#roster.restore(options.roster.state)
    this.#roster.coordinator = options.mesh.self
    this.#admission = new Admission({
      members: () => this.#roster.members,
      nowMillis: () => this.#clock.currentTimeMillisUnsafe(),
      begin: (ticket, member) => this.#beginAdmission(ticket, member),
      admit: (member) => this.#notify({ _tag: "Admitted", epoch: this.#roster.epoch + 1, member }),
      refuse: (member) => this.#refuseJoin(member, "deadline")
    })
    this.#rounds = new Rounds({
      roster: this.#roster,
      mesh: options.mesh,
      ring: options.ring,
      settled: options.settled,
      notify: (notice) => this.#notify(notice),
      start: (round, draining) => this.#start(`round ${round}`, draining),
      stop: (round) => this.#start(`round ${round}`, Effect.void),
      isLeaving: ({ slot }) => this.#leaving.has(slot)
    })
  }

  /** Takes the office, if nobody holds it, and presides until the scope closes. */
  static readonly open = Effect.fnUntraced(function*(options: PresidingOptions) {
    const writer = yield* options.ring.openWriter(ringNames.coordinator)
    const fibers = yield* FiberMap.make<string, void, unknown>()
    const start = yield* FiberMap.runtime(fibers)<never>()
    const clock = yield* Clock.Clock
    const presiding = new Presiding(options, { writer, fibers, start: (key, effect) => void start(key, effect), clock })
    yield* presiding.#listen
    if (options.roster !== undefined) {
      presiding.#notify({ _tag: "TookOver", state: presiding.#roster.state, term: writer.generation })
      // The predecessor is a member still, and whoever died with it.
      presiding.look()
    }
    yield* Effect.forkScoped(Effect.ignore(presiding.#listening))
    return presiding
  })

  get roster(): Roster {
    return this.#roster
  }

  get suspects(): ReadonlyArray<MemberId> {
    return this.#suspects
  }

  /** Looks after the life of all members. */
  look(): void {
    const nowMillis = this.#clock.currentTimeMillisUnsafe()
    for (const { id } of [...this.#roster.members, ...this.#admission.candidates]) {
      if (!this.#options.ring.isAlive(id.slot, id.generation)) this.#died(id)
    }
    this.#admission.expire(this.#options.settled.joinDeadlineMillis)
    this.#suspects = this.#lookForSuspects(nowMillis)
  }

  // --- internal ---

  // A member's control ring is read from the moment it is there, and stays read: its slot's next member goes on in it.
  get #listening(): Effect.Effect<void, unknown, any> {
    const changed = () => this.#openings === this.#options.ring.openings() ? undefined : true
    return Effect.forever(Effect.andThen(this.#options.ring.waiter.until(changed), this.#listen))
  }

  readonly #listen = Effect.suspend(() => {
    this.#openings = this.#options.ring.openings()
    return Effect.flatMap(this.#options.ring.rings, (rings) =>
      Effect.forEach(
        rings.filter(({ name }) => name.startsWith("control/") && !this.#control.has(name)),
        ({ name }) => this.#listenTo(name),
        { discard: true }
      ))
  })

  #listenTo(name: string) {
    return Effect.flatMap(this.#options.ring.openReader(name), (port) => {
      const source = new MessageSource(port, (message) => {
        this.#take(message)
        return undefined
      })
      this.#control.set(name, source)
      return FiberMap.run(this.#fibers, name, source.runAtOnce)
    })
  }

  #take({ correlation, payload, sender, senderGeneration }: Message): void {
    const frame = requestWire.decode(payload)
    const member = { slot: sender, generation: senderGeneration }
    if (frame === undefined) return this.#reply(member, numberOf(correlation), malformed)
    if (frame.term !== this.#writer.generation) return
    const answer = this.#answer(member, frame.number, frame.request)
    if (answer !== undefined) this.#reply(member, frame.number, answer)
  }

  #answer(member: MemberId, number: number, request: Request): Answer | undefined {
    if (request._tag === "Join") return this.#join(number, { ...request.member, id: member }, request)
    if (request._tag === "Attached") {
      this.#admission.attached(member, request.epoch)
      return undefined
    }
    if (this.#roster.find(member) === undefined) return { _tag: "Refused", reason: "notMember", detail: "" }
    switch (request._tag) {
      case "Resync":
        return { _tag: "Roster", state: this.#roster.state }
      case "Leave":
        this.#departed(member, "left")
        return { _tag: "Done" }
      case "ReadyToShutDown":
        return this.#readyToShutDown(member)
      case "Publish":
        return this.#publish(member, request.name)
      case "Unpublish":
        return this.#unpublish(member, request.name)
      case "JoinGroup":
        return this.#joinGroup(member, request.group)
      case "LeaveGroup":
        this.#notify({ _tag: "GroupLeft", group: request.group, member })
        this.#rounds.leave(member, request.group)
        return { _tag: "Done" }
      case "Arrive":
        return this.#rounds.arrive(member, request.arrival)
      case "Withdraw":
        return this.#rounds.withdraw(member, request.attempt, request.stay)
    }
  }

  // --- joining and leaving ---

  readonly #joins = new Map<number, { readonly member: MemberId; readonly number: number }>()

  #join(
    number: number,
    member: MemberInfo,
    { coordinates, invitation }: Extract<Request, { readonly _tag: "Join" }>
  ): Answer | undefined {
    if (this.#shuttingDown) return { _tag: "Refused", reason: "shuttingDown", detail: "" }
    const isUs = isSame(member.id, this.#options.mesh.self)
    if (coordinates && !isUs) return { _tag: "Refused", reason: "coordinated", detail: "" }
    if (!isUs && !this.#options.invitations.redeem(invitation, member)) {
      return { _tag: "Refused", reason: "invitation", detail: "" }
    }
    // The slot's former member is dead, or its slot would not be another's.
    const former = this.#roster.members.find(({ id }) => id.slot === member.id.slot && !isSame(id, member.id))
    if (former !== undefined) this.#died(former.id)
    this.#joins.set(member.id.slot, { member: member.id, number })
    this.#admission.ask(member)
    return undefined
  }

  #beginAdmission(epoch: number, member: MemberInfo): void {
    this.#notify({ _tag: "Admitting", epoch, member })
    const join = this.#joins.get(member.id.slot)
    if (join !== undefined) this.#reply(member.id, join.number, { _tag: "Roster", state: this.#roster.state })
  }

  #refuseJoin(member: MemberInfo, reason: string): void {
    const join = this.#joins.get(member.id.slot)
    if (join !== undefined) this.#reply(member.id, join.number, { _tag: "Refused", reason, detail: "" })
  }

  // What it had said before it died counts: an arrival has targets that are waited for.
  #died(member: MemberId): void {
    this.#control.get(ringNames.control(member.slot))?.catchUp()
    this.#departed(member, "died")
  }

  #departed(member: MemberId, reason: "left" | "died"): void {
    this.#admission.gone(member)
    if (this.#roster.find(member) === undefined) return
    this.#leaving.delete(member.slot)
    this.#notify({ _tag: "Departed", epoch: this.#roster.epoch + 1, member, reason })
    this.#rounds.depart(member)
    this.#shutDownIfReady()
  }

  // --- shutting down together ---

  #readyToShutDown(member: MemberId): Answer {
    this.#leaving.add(member.slot)
    this.#rounds.depart(member)
    this.#shutDownIfReady()
    return { _tag: "Done" }
  }

  #shutDownIfReady(): void {
    const { members } = this.#roster
    const ready = members.length > 0 && members.every(({ id }) => this.#leaving.has(id.slot))
    if (!ready || this.#shuttingDown) return
    this.#shuttingDown = true
    const hook = this.#options.settled.shutdownHook ?? Effect.void
    const told = Effect.sync(() => this.#notify({ _tag: "ShutDown" }))
    this.#start("shutdown", Effect.andThen(Effect.exit(hook), told))
  }

  // --- names and groups ---

  #publish(member: MemberId, name: string): Answer {
    const refused = (reason: string): Answer => ({ _tag: "Refused", reason, detail: "" })
    if (name === "") return refused("empty")
    if (name.startsWith(reservedPrefix)) return refused("reserved")
    if (this.#roster.resolve(name) !== undefined) return refused("taken")
    this.#notify({ _tag: "Named", name, member })
    return { _tag: "Done" }
  }

  #unpublish(member: MemberId, name: string): Answer {
    const owner = this.#roster.resolve(name)
    if (owner !== undefined && isSame(owner.id, member)) this.#notify({ _tag: "Unnamed", name, member })
    return { _tag: "Done" }
  }

  #joinGroup(member: MemberId, group: string): Answer {
    if (group === "") return { _tag: "Refused", reason: "empty", detail: "" }
    if (group === allMembers || group.startsWith(reservedPrefix)) {
      return { _tag: "Refused", reason: "reserved", detail: "" }
    }
    this.#notify({ _tag: "GroupJoined", group, member })
    return { _tag: "Done" }
  }

  // --- suspects ---

  // A member that does not read the coordinator's ring while there is something to read is stopped, or beyond reach.
  #lookForSuspects(nowMillis: number): ReadonlyArray<MemberId> {
    const position = this.#writer.published()
    const suspects: Array<MemberId> = []
    const readers = this.#options.ring.readers(this.#writer.ring)
    for (const { id } of this.#roster.members) {
      // One that was evicted is no reader any more, until it reads again.
      const read = readers.find(({ process }) => process === id.slot)?.read ?? 0
      const lagging = this.#lagging.get(id.slot)
      if (read >= position || lagging?.read !== read) this.#lagging.set(id.slot, { read, sinceMillis: nowMillis })
      else if (nowMillis - lagging.sinceMillis >= this.#options.settled.suspectMillis) suspects.push(id)
    }
    if (this.#roster.members.length > 1) this.#heartbeat(nowMillis)
    return suspects
  }

  #heartbeatMillis = 0

  // Without anything to read a stopped member would look like one that has read everything.
  #heartbeat(nowMillis: number): void {
    if (nowMillis - this.#heartbeatMillis < this.#options.settled.suspectMillis / 4) return
    this.#heartbeatMillis = nowMillis
    this.#notify({ _tag: "Heartbeat" })
  }

  // --- the coordinator's voice ---

  #reply(member: MemberId, number: number, answer: Answer): void {
    this.#write({ _tag: "Answered", number, answer }, one(member))
  }

  #notify(notice: Notice): void {
    this.#roster.apply(notice)
    this.#write(notice, everybody)
  }

  // Nobody holds the coordinator up: who is too slow is evicted, and asks for everything again.
  #write(notice: Notice, to: Address): void {
    const payload = noticeWire.encode(notice)
    const header = headerOf(frameKind.control, 0, this.#options.mesh.self, to)
    while (this.#writer.append(header, payload) === undefined) {
      if (!this.#writer.evictSlowest()) return
    }
    this.#writer.publish()
  }
}
