/**
 * Serves the members as their coordinator: admits them and lets them leave, keeps names and groups, releases rounds.
 *
 * Its ring is the coordinator's lease: the region lets one process write it at a time, and each writer is a new
 * generation, which is the coordinator's term. So there are never two coordinators, and members can distinguish a
 * successor from its dead predecessor.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { JoinRefused, NameRefused } from "../../../services/Coordinator.ts"
import { describeMember, isSame, type MemberId, type MemberInfo } from "../../../services/schema/Member.ts"
import type { RingPorts, RingReaderPort, RingWriterPort } from "../../ports/RingPorts.ts"
import { BarrierServer, reservedPrefix } from "../barrier/BarrierServer.ts"
import {
  type Answer,
  handled,
  type Handlers,
  isForMembers,
  type Notice,
  type OutcomeOf,
  type PayloadOf,
  requestWire
} from "../control/ControlCodec.ts"
import { InvitationTable } from "../control/InvitationTable.ts"
import { allMembers, type IsForeign, Membership } from "../control/Membership.ts"
import { NoticeWriter } from "../control/NoticeWriter.ts"
import { Pauses } from "../control/Pauses.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import { numberOf, ringNames } from "../transport/FrameAddress.ts"
import type { Mesh } from "../transport/Mesh.ts"
import { type Message, RingConsumer } from "../transport/RingConsumer.ts"
import { Admission } from "./Admission.ts"
import { SuspectDetector } from "./SuspectDetector.ts"

export interface CoordinatorServerOptions {
  readonly ring: RingPorts["Service"]
  readonly mesh: Mesh
  readonly resolved: ResolvedOptions
  /** The membership to begin with: a standby's own copy, or nothing. */
  readonly membership: Membership | undefined
  readonly isForeign: IsForeign
}

type Start = (key: string, effect: Effect.Effect<void>) => void

export class CoordinatorServer {
  readonly #options: CoordinatorServerOptions
  readonly #writer: RingWriterPort
  readonly #notices: NoticeWriter
  readonly #membership: Membership
  readonly #admission: Admission
  readonly #rounds: BarrierServer
  readonly #fibers: FiberMap.FiberMap<string, void, unknown>
  readonly #start: Start
  readonly #clock: Clock.Clock
  readonly #leaving: Set<number>
  readonly #invitations = new InvitationTable()
  readonly #suspects: SuspectDetector
  readonly #control: Map<string, RingConsumer>
  /** Reads that member's pending requests. */
  readonly #hear: (member: MemberId) => void
  #openings = -1
  #shuttingDown = false
  #hookFailure: Cause.Cause<never> | undefined

  private constructor(
    options: CoordinatorServerOptions,
    opened: {
      readonly writer: RingWriterPort
      readonly notices: NoticeWriter
      readonly membership: Membership
      readonly rounds: BarrierServer
      readonly leaving: Set<number>
      readonly control: Map<string, RingConsumer>
      readonly hear: (member: MemberId) => void
      readonly fibers: FiberMap.FiberMap<string, void, unknown>
      readonly start: Start
      readonly clock: Clock.Clock
    }
  ) {
    this.#options = options
    this.#writer = opened.writer
    this.#notices = opened.notices
    this.#membership = opened.membership
    this.#rounds = opened.rounds
    this.#leaving = opened.leaving
    this.#control = opened.control
    this.#hear = opened.hear
    this.#fibers = opened.fibers
    this.#start = opened.start
    this.#clock = opened.clock
    this.#suspects = new SuspectDetector(options.resolved.suspectAfterMillis)
    this.#admission = new Admission({
      self: options.mesh.self,
      members: () => this.#membership.members,
      nowMillis: () => this.#nowMillis,
      deadlineMillis: options.resolved.joinDeadlineMillis,
      turnMillis: options.resolved.joinTurnMillis,
      begin: (ticket, member) => this.#beginAdmission(ticket, member),
      admit: (member) => this.#admit(member),
      refuse: (member, reason) => this.#refuseJoin(member, reason)
    })
  }

  /** Takes the lease, if no other process holds it, and coordinates until the scope closes. */
  static readonly open = Effect.fnUntraced(function*(options: CoordinatorServerOptions) {
    const writer = yield* options.ring.openWriter(ringNames.coordinator)
    const fibers = yield* FiberMap.make<string, void, unknown>()
    const start = yield* FiberMap.runtime(fibers)<never>()
    const clock = yield* Clock.Clock
    const { mesh, ring, resolved } = options
    const notices = new NoticeWriter(writer, mesh.self)
    const membership = new Membership(options.isForeign)
    if (options.membership !== undefined) membership.restore(options.membership.state)
    membership.coordinator = mesh.self
    const leaving = new Set<number>()
    const control = new Map<string, RingConsumer>()
    const hear = ({ slot }: MemberId) => void control.get(ringNames.control(slot))?.catchUp()
    const server = new CoordinatorServer(options, {
      writer,
      notices,
      membership,
      leaving,
      control,
      hear,
      rounds: yield* BarrierServer.make({
        membership,
        mesh,
        ring,
        resolved,
        notices,
        term: writer.generation,
        leaving,
        hear
      }),
      fibers,
      start: (key, effect) => void start(key, effect),
      clock
    })
    yield* server.#listen
    if (options.membership !== undefined) {
      server.#notify({ _tag: "TookOver", state: server.#membership.state, term: writer.generation })
      // The predecessor and members that died with it are still in the membership.
      server.#endDead()
    }
    yield* Effect.forkScoped(Effect.ignore(server.#listening))
    return server
  })

  get membership(): Membership {
    return this.#membership
  }

  /** The failure of the hook that runs before all shut down, if it failed. */
  get hookFailure(): Cause.Cause<never> | undefined {
    return this.#hookFailure
  }

  /** True while candidates wait for their admission. */
  get isAdmitting(): boolean {
    return this.#admission.candidates.length > 0
  }

  /** Removes dead members and candidates, ends late admissions, and finds suspects. */
  tick(): void {
    this.#endDead()
    this.#admission.expire()
    this.#findSuspects()
    this.#heartbeat()
  }

  // --- internal ---

  get #nowMillis(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  // Count a member as dead only after its last requests are read: an arrival among them has targets.
  #endDead(): void {
    for (const { id } of [...this.#membership.members, ...this.#admission.candidates]) {
      if (this.#control.get(ringNames.control(id.slot))?.isCatchingUp === true) continue
      if (!this.#options.ring.isAlive(id.slot, id.generation)) this.#died(id)
    }
  }

  // Reads each control ring from its creation on, for ever: the slot's next member continues it. A glance does not show that a
  // ring was opened: the check, which asks of all rings, runs once for each look and not in between.
  get #listening(): Effect.Effect<void, unknown, Scope.Scope> {
    const changed = () => this.#openings === this.#options.ring.openings() ? undefined : true
    return Effect.forever(Effect.andThen(this.#options.ring.waiter.until(changed, () => false), this.#listen))
  }

  readonly #listen = Effect.suspend(() => {
    this.#openings = this.#options.ring.openings()
    return Effect.flatMap(this.#options.ring.rings, (rings) =>
      Effect.forEach(
        rings.filter(({ name }) => name.startsWith("control/") && !this.#control.has(name)),
        ({ name }) => Effect.catch(this.#listenTo(name), (error) => this.#deafTo(name, error)),
        { discard: true }
      ))
  })

  // Retries a control ring that cannot be read yet, without holding up the others.
  #deafTo(name: string, error: unknown): Effect.Effect<void> {
    this.#openings = -1
    const { livenessIntervalMillis } = this.#options.resolved
    return Effect.andThen(Effect.logDebug(`cannot read "${name}" yet`, error), Effect.sleep(livenessIntervalMillis))
  }

  #listenTo(name: string) {
    return Effect.flatMap(this.#options.ring.openReader(name), (port) => {
      const damages = new Pauses()
      const hearing = Effect.suspend(() => {
        const source = new RingConsumer(port, (message) => void this.#onRequest(message), this.#options.ring.waiter, {
          caughtUp: () => this.#rounds.completeRounds()
        })
        this.#control.set(name, source)
        return source.runAtOnce
      })
      return FiberMap.run(
        this.#fibers,
        name,
        Effect.forever(Effect.andThen(hearing, this.#hearAnew(name, port, damages)))
      )
    })
  }

  // Requests in the damaged part are never answered: tell the member, which may ask again. The ring may be damaged
  // again at once, so wait longer before each further attempt to read it.
  #hearAnew(name: string, port: RingReaderPort, damages: Pauses): Effect.Effect<void> {
    return Effect.suspend(() => {
      const writer = [...this.#membership.members, ...this.#admission.candidates].find(({ id }) =>
        name === ringNames.control(id.slot)
      )
      const who = writer === undefined ? `the writer of "${name}"` : `member ${describeMember(writer)}`
      return Effect.logWarning(`the coordinator lost requests of ${who}: ${port.damage()}. It reads the ring anew`)
        .pipe(
          Effect.andThen(Effect.sleep(damages.after(this.#nowMillis))),
          Effect.andThen(Effect.sync(() => {
            port.rejoin()
            if (writer !== undefined) this.#notices.toOne(writer.id, { _tag: "Unheard" })
          }))
        )
    })
  }

  #onRequest({ correlation, payload, sender, senderGeneration }: Message): void {
    const frame = requestWire.decode(payload)
    const member = { slot: sender, generation: senderGeneration }
    if (frame === undefined) return this.#notices.answer(member, numberOf(correlation), malformed)
    if (frame.term !== this.#writer.generation) return
    const isRefused = isForMembers(frame.request) && this.#membership.find(member) === undefined
    const answer = isRefused ? notMember : handled(this.#handlers, member, frame)
    if (answer !== undefined) this.#notices.answer(member, frame.number, answer)
  }

  /** The handler of each verb of the protocol. */
  readonly #handlers: Handlers = {
    Join: (from, { coordinates, invitation, member }, number) =>
      this.#join(number, { ...member, id: from }, { coordinates, invitation }),
    Attached: (from, { ticket }) => done(this.#admission.attached(from, ticket)),
    // A candidate that gives up joining leaves too.
    Leave: (from) => done(this.#departed(from, "left")),
    Arrive: (from, arrival) => this.#rounds.arrive(from, arrival),
    Withdraw: (from, arrival) => this.#rounds.withdraw(from, arrival),
    Publish: (from, { name }) => this.#publish(from, name),
    Unpublish: (from, { name }) => done(this.#unpublish(from, name)),
    JoinGroup: (from, { group }) => this.#joinGroup(from, group),
    LeaveGroup: (from, { group }) => done(this.#leaveGroup(from, group)),
    Invite: (_from, { digest, lifeMillis }) =>
      done(this.#invitations.issue(digest, this.#nowMillis + lifeMillis, this.#nowMillis)),
    Uninvite: (_from, { digest }) => done(this.#invitations.cancel(digest)),
    Resync: () => Result.succeed(this.#membership.state),
    CheckLiveness: () => done(this.#endDead()),
    ReadyToShutDown: (from) => done(this.#readyToShutDown(from))
  }

  // --- joining and leaving ---

  /** By slot: the number of the last join request, and its invitation. */
  readonly #joins = new Map<number, { readonly number: number; readonly invitation: string }>()

  #join(
    number: number,
    member: MemberInfo,
    { coordinates, invitation }: Pick<PayloadOf<"Join">, "coordinates" | "invitation">
  ): OutcomeOf<"Join"> | "later" {
    const refused = (reason: JoinRefused["reason"]) => Result.fail(new JoinRefused({ reason }))
    // A process that asks again after a takeover is a member already.
    if (this.#membership.find(member.id) !== undefined) {
      this.#tellMembership(member.id)
      return "later"
    }
    if (this.#shuttingDown) return refused("shuttingDown")
    const isUs = isSame(member.id, this.#options.mesh.self)
    if (coordinates && !isUs) return refused("coordinated")
    const redeemed = isUs ? "" : this.#redeem(invitation)
    if (redeemed === undefined) return refused("invitation")
    // The slot has a new owner, so its former member must be dead.
    const former = this.#membership.members.find(({ id }) => id.slot === member.id.slot)
    if (former !== undefined) this.#died(former.id)
    this.#joins.set(member.id.slot, { number, invitation: redeemed })
    this.#admission.ask(member)
    return "later"
  }

  /** The invitation's digest; empty when none is needed. */
  #redeem(invitation: string): string | undefined {
    if (invitation !== "") return this.#invitations.redeem(invitation, this.#nowMillis)
    return this.#options.resolved.admission === "open" ? "" : undefined
  }

  // Send the membership first: the candidate attaches to all members in it.
  #beginAdmission(ticket: number, member: MemberInfo): void {
    this.#tellMembership(member.id)
    this.#notify({ _tag: "Admitting", ticket, member })
  }

  #tellMembership(member: MemberId): void {
    this.#notices.toOne(member, { _tag: "Membership", state: this.#membership.state })
  }

  #admit(member: MemberInfo): void {
    const invitation = this.#joins.get(member.id.slot)?.invitation ?? ""
    this.#notify({ _tag: "Admitted", epoch: this.#membership.epoch + 1, member, invitation })
  }

  #refuseJoin(member: MemberInfo, reason: JoinRefused["reason"]): void {
    const join = this.#joins.get(member.id.slot)
    if (join === undefined) return
    const { joinDeadlineMillis } = this.#options.resolved
    const late = reason === "deadline" ? { deadlineMillis: joinDeadlineMillis } : {}
    const outcome = Result.fail(new JoinRefused({ reason, ...late }))
    this.#notices.answer(member.id, join.number, { _tag: "Join", outcome })
  }

  // Read its last requests first: an arrival among them has targets that rounds must drain.
  #died(member: MemberId): void {
    this.#hear(member)
    this.#departed(member, "died")
  }

  #departed(member: MemberId, reason: "left" | "died"): void {
    if (this.#membership.find(member) !== undefined) {
      this.#leaving.delete(member.slot)
      this.#notify({ _tag: "Departed", epoch: this.#membership.epoch + 1, member, reason })
      this.#rounds.depart(member)
      this.#shutDownIfReady()
    }
    this.#admission.gone(member)
  }

  // --- shutting down together ---

  #readyToShutDown(member: MemberId): void {
    this.#leaving.add(member.slot)
    this.#rounds.depart(member)
    this.#shutDownIfReady()
  }

  // Tell all members even if the hook fails; the coordinator's own call then fails with the hook's error.
  #shutDownIfReady(): void {
    const { members } = this.#membership
    const ready = members.length > 0 && members.every(({ id }) => this.#leaving.has(id.slot))
    if (!ready || this.#shuttingDown) return
    this.#shuttingDown = true
    this.#admission.close()
    const hook = Effect.exit(this.#options.resolved.shutdownHook ?? Effect.void)
    this.#start(
      "shutdown",
      Effect.map(hook, (exit) => {
        if (Exit.isFailure(exit)) this.#hookFailure = exit.cause
        this.#notify({ _tag: "ShutDown" })
      })
    )
  }

  // --- names and groups ---

  #publish(member: MemberId, name: string): OutcomeOf<"Publish"> {
    const refused = (reason: NameRefused["reason"]) => Result.fail(new NameRefused({ requested: name, reason }))
    if (name === "") return refused("empty")
    if (name.startsWith(reservedPrefix)) return refused("reserved")
    // The name of a dead member is free, even if its death was not noticed before.
    if (this.#membership.resolve(name) !== undefined) this.#endDead()
    const holder = this.#membership.resolve(name)
    if (holder !== undefined) return Result.fail(new NameRefused({ requested: name, reason: "taken", holder }))
    this.#notify({ _tag: "Named", name, member })
    return Result.void
  }

  #unpublish(member: MemberId, name: string): void {
    const owner = this.#membership.resolve(name)
    if (owner !== undefined && isSame(owner.id, member)) this.#notify({ _tag: "Unnamed", name, member })
  }

  #joinGroup(member: MemberId, group: string): OutcomeOf<"JoinGroup"> {
    const refused = (reason: NameRefused["reason"]) => Result.fail(new NameRefused({ requested: group, reason }))
    if (group === "") return refused("empty")
    if (group === allMembers || group.startsWith(reservedPrefix)) return refused("reserved")
    const isIn = this.#membership.group(group).some(({ id }) => isSame(id, member))
    if (!isIn) this.#notify({ _tag: "GroupJoined", group, member })
    return Result.void
  }

  #leaveGroup(member: MemberId, group: string): void {
    this.#notify({ _tag: "GroupLeft", group, member })
    this.#rounds.leave(member, group)
  }

  // --- suspects ---

  #findSuspects(): void {
    const { ring } = this.#options
    const readers = ring.readers(this.#writer.ring)
    const suspects = this.#suspects.tick(this.#membership.members, readers, this.#writer.published(), this.#nowMillis)
    const known = this.#membership.suspects
    const same = suspects.length === known.length && known.every(({ id }, i) => isSame(id, suspects[i] as MemberId))
    if (!same) this.#notify({ _tag: "Suspected", suspects })
  }

  #heartbeatMillis = 0

  // Without a heartbeat a stopped member would seem to have read everything.
  #heartbeat(): void {
    if (this.#membership.members.length < 2) return
    if (this.#nowMillis - this.#heartbeatMillis < this.#options.resolved.suspectAfterMillis / 2) return
    this.#heartbeatMillis = this.#nowMillis
    this.#notify({ _tag: "Heartbeat" })
  }

  // --- notices ---

  #notify(notice: Notice): void {
    this.#membership.apply(notice)
    this.#notices.toAll(notice)
  }
}

const malformed: Answer = {
  _tag: "RequestRefused",
  reason: "malformed",
  detail: "the coordinator cannot decode the request"
}

const notMember: Answer = {
  _tag: "RequestRefused",
  reason: "notMember",
  detail: "to the coordinator this process is not a member"
}

/** The outcome of a verb whose handler returns nothing. */
const done: (ended: void) => Result.Result<void> = () => Result.void
