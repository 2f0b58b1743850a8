/**
 * One member of a swarm: joins, takes part, takes over as a standby, and leaves.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import { JoinRefused, LeaveRefused } from "../../services/Coordinator.ts"
import { type AttachedProcess, CxlMemory } from "../../services/CxlMemory.ts"
import type { DurationInvalid } from "../../services/input/DurationInput.ts"
import { readOptions, refuseUnlessBytes } from "../../services/input/OptionInvalid.ts"
import type { OpenRingError } from "../../services/Ring.ts"
import {
  type CoordinatorLost,
  describeMember,
  isSame,
  type MemberId,
  type MemberInfo
} from "../../services/schema/Member.ts"
import { RingPorts } from "../ports/RingPorts.ts"
import { BarrierClient } from "./barrier/BarrierClient.ts"
import type { Answer, Notice } from "./control/ControlCodec.ts"
import { CoordinatorClient } from "./control/CoordinatorClient.ts"
import { InvitationClient } from "./control/InvitationClient.ts"
import type { IsForeign, Membership } from "./control/Membership.ts"
import { Registrations } from "./control/Registrations.ts"
import { CoordinatorLease } from "./coordinator/CoordinatorLease.ts"
import type { CoordinatorServer } from "./coordinator/CoordinatorServer.ts"
import { SwarmMessenger } from "./Messenger.ts"
import { type ResolvedOptions, resolveOptions, type SwarmOptions } from "./SwarmOptions.ts"
import type { Alarm } from "./transport/DeadlineTimer.ts"
import { frameKind } from "./transport/FrameAddress.ts"
import { Mesh } from "./transport/Mesh.ts"
import { pollingBy } from "./transport/PollingWaiter.ts"
import { RequestRouter } from "./transport/RequestRouter.ts"
import type { Handle } from "./transport/RingConsumer.ts"

/** The member on which the services of a swarm are built. It has no public interface: pass it on. */
export class CurrentSwarmMember
  extends Context.Service<CurrentSwarmMember, SwarmMember>()("ringfence/layers/CurrentSwarmMember")
{}

export type JoinError = JoinRefused | CoordinatorLost | OpenRingError | DurationInvalid

/**
 * `active`: the member takes part. `leaving` and `shuttingDown`: it begins nothing new. `gone`: it has left the swarm.
 */
type Stage = "active" | "leaving" | "shuttingDown" | "gone"

export class SwarmMember {
  readonly self: MemberInfo
  readonly resolved: ResolvedOptions
  readonly ring: RingPorts["Service"]
  readonly mesh: Mesh
  readonly coordinator: CoordinatorClient
  readonly messages: SwarmMessenger
  readonly arrivals: BarrierClient
  readonly router: RequestRouter
  readonly registrations: Registrations
  readonly inviting: InvitationClient
  /** Runs an effect in a fiber of its own, until this member's scope closes. */
  readonly run: (effect: Effect.Effect<void>) => void
  readonly clock: Clock.Clock
  readonly #isForeign: IsForeign
  readonly #admitted = Deferred.makeUnsafe<void, JoinRefused>()
  readonly #shutDown = Deferred.makeUnsafe<void>()
  readonly #ticking = new Set<() => void>()
  readonly #attention = Latch.makeUnsafe(false)
  readonly #lease: CoordinatorLease
  #stage: Stage = "active"
  #joining: number | undefined
  #isMember = false
  #lostMillis: number | undefined
  /** `ring.lives()` at the last check. */
  #lives = -1

  constructor(
    self: MemberInfo,
    resolved: ResolvedOptions,
    ring: RingPorts["Service"],
    parts: {
      readonly mesh: Mesh
      readonly coordinator: CoordinatorClient
      readonly messages: SwarmMessenger
      readonly router: RequestRouter
      readonly run: (effect: Effect.Effect<void>) => void
      readonly alarm: Alarm
      readonly clock: Clock.Clock
      readonly lease: CoordinatorLease
      readonly isForeign: IsForeign
    }
  ) {
    this.self = self
    this.resolved = resolved
    this.ring = ring
    this.mesh = parts.mesh
    this.coordinator = parts.coordinator
    this.messages = parts.messages
    this.router = parts.router
    this.run = parts.run
    this.clock = parts.clock
    this.#isForeign = parts.isForeign
    this.#lease = parts.lease
    this.messages.mesh = parts.mesh
    this.router.mesh = parts.mesh
    this.arrivals = new BarrierClient({ ...parts, ring, resolved })
    this.registrations = new Registrations(parts.coordinator, () => this.over || this.isDead)
    this.inviting = new InvitationClient(parts.coordinator, resolved, parts.clock, parts.run)
    this.coordinator.onNotice((notice) => this.#onNotice(notice))
  }

  /** The coordinator's side, while this member coordinates. */
  get coordinating(): CoordinatorServer | undefined {
    return this.#lease.coordinating
  }

  /** True once this member begins nothing new. */
  get over(): boolean {
    return this.#stage !== "active"
  }

  /** True once this process is dead to the region, because a test has killed it. */
  get isDead(): boolean {
    return !this.ring.isAlive(this.self.id.slot, this.self.id.generation)
  }

  /** `run` as an effect. */
  beside(effect: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.sync(() => this.run(effect))
  }

  /** After a child of this process has ended: lets the coordinator check at once which processes live. */
  readonly noteExit: Effect.Effect<void> = Effect.suspend(() =>
    this.over ? Effect.void : Effect.ignore(this.coordinator.tell("CheckLiveness"))
  )

  /** Becomes a member. A process that gives up tells the coordinator, which may have admitted it meanwhile. */
  readonly join: Effect.Effect<void, JoinError> = Effect.suspend(() => {
    const refused = () =>
      Effect.fail(new JoinRefused({ reason: "deadline", deadlineMillis: this.resolved.joinDeadlineMillis }))
    return Effect.andThen(this.coordinator.heard, this.#askToJoin).pipe(
      Effect.andThen(Effect.raceFirst(Deferred.await(this.#admitted), this.coordinator.lost)),
      Effect.timeoutOrElse({ duration: this.resolved.joinDeadlineMillis, orElse: refused }),
      Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : this.#takeBack)
    )
  })

  /** Leaves the swarm, and tells the coordinator. */
  readonly leave: Effect.Effect<void, LeaveRefused | CoordinatorLost> = Effect.suspend(
    (): Effect.Effect<void, LeaveRefused | CoordinatorLost> => {
      if (this.#stage === "gone" || this.#stage === "leaving") return Effect.void
      const { coordinating } = this.#lease
      const others = this.#membership.members.filter(({ id }) => !isSame(id, this.self.id))
      if (coordinating !== undefined && others.length > 0 && !this.#hasStandby()) return Effect.fail(new LeaveRefused())
      this.#begin("leaving")
      const left = Effect.suspend(() => this.coordinator.request("Leave")).pipe(
        Effect.retry({ while: ({ reason }) => reason === "replaced" }),
        Effect.ensuring(Effect.sync(() => this.#begin("gone")))
      )
      return coordinating === undefined ? left : Effect.andThen(left, this.#handOver(others.length > 0))
    }
  )

  /** Leaves the swarm together with all other members. */
  readonly shutdown: Effect.Effect<void, CoordinatorLost> = Effect.suspend(() => {
    if (this.#stage === "leaving" || this.#stage === "gone") return Effect.void
    this.#begin("shuttingDown")
    return this.#sayReady.pipe(
      Effect.andThen(Effect.raceFirst(Deferred.await(this.#shutDown), this.coordinator.lost)),
      Effect.andThen(Effect.suspend(() => {
        const failure = this.#lease.coordinating?.hookFailure
        return failure === undefined ? Effect.void : Effect.failCause(failure)
      }))
    )
  })

  /** True while that process is a member and alive. */
  isThere(member: MemberId): boolean {
    return this.coordinator.membership.find(member) !== undefined && this.ring.isAlive(member.slot, member.generation)
  }

  /** Calls the listener at each check of which processes live. */
  onTick(listener: () => void): () => void {
    this.#ticking.add(listener)
    return () => this.#ticking.delete(listener)
  }

  /** Checks whether the coordinator lives, and, as the coordinator, whether all members do. */
  tick(nowMillis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#lives = this.ring.lives()
      this.coordinator.tick()
      this.#lease.coordinating?.tick()
      for (const listener of this.#ticking) listener()
      if (this.coordinator.state !== "lost") {
        this.#lostMillis = undefined
        return Effect.void
      }
      this.#lostMillis ??= nowMillis
      if (nowMillis - this.#lostMillis >= this.resolved.failoverMillis || !this.#isSucceeded()) {
        this.coordinator.giveUp()
      } else if (this.resolved.standby && this.#isMember && !this.over) return this.#takeOver
      return Effect.void
    })
  }

  /** Reports that the swarm is lost, unless this member is leaving it. */
  heedLoss(region: string): Effect.Effect<void> {
    const { onLost = warnOf(this.self, region) } = this.resolved
    return Effect.catch(this.coordinator.lost, (lost) => this.over ? Effect.void : onLost(lost))
  }

  /** Ends all waits of this member, even if leaving failed. */
  readonly end: Effect.Effect<void> = Effect.sync(() => this.#begin("gone"))

  /**
   * Returns when the next check is due, or when an event calls for one. It yields first: the event may come in the
   * middle of the notices of a dead coordinator, all of which count before the check.
   */
  readonly nextTick: Effect.Effect<void> = Effect.suspend(() =>
    Effect.raceFirst(Effect.sleep(this.#pauseMillis), this.#calledFor).pipe(
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(Effect.sync(() => void this.#attention.closeUnsafe()))
    )
  )

  // --- internal ---

  // A sleeping member is woken when a process attaches or goes, so it checks less often on its own.
  get #pauseMillis(): number {
    const { livenessIntervalMillis, strategy, suspectAfterMillis } = this.resolved
    const { coordinating } = this
    const isCalm = strategy === "park" && this.coordinator.state === "up" && coordinating?.isAdmitting !== true
    if (!isCalm) return livenessIntervalMillis
    // The coordinator must notice suspects in time.
    return Math.max(
      1,
      Math.min(livenessIntervalMillis * calmFactor, coordinating === undefined ? Infinity : suspectAfterMillis / 4)
    )
  }

  get #calledFor(): Effect.Effect<void> {
    if (this.resolved.strategy !== "park") return this.#attention.await
    // No glance shows that a process came or went: the check ahead of each sleep is enough.
    const changed = this.ring.waiter.until(() => this.ring.lives() === this.#lives ? undefined : true, () => false)
    // The wait of a process that has left the region fails: there is nothing to check.
    return Effect.raceFirst(this.#attention.await, Effect.catch(changed, () => Effect.never))
  }

  #begin(stage: Stage): void {
    this.#stage = stage
    this.messages.closed = true
    this.arrivals.close()
    if (stage === "gone") this.coordinator.endChanges()
  }

  // --- joining ---

  readonly #askToJoin: Effect.Effect<void, CoordinatorLost> = Effect.suspend(() => {
    const { coordinate, invitation } = this.resolved
    return this.coordinator.tell("Join", (number) => {
      this.#joining = number
      return { member: this.self, coordinates: coordinate, invitation }
    })
  })

  readonly #takeBack: Effect.Effect<void> = Effect.suspend(() =>
    this.coordinator.state === "up"
      ? Effect.ignore(Effect.timeout(this.coordinator.tell("Leave"), answerMillis))
      : Effect.void
  )

  // In each of its turns a joining process attaches to all members, and tells the coordinator.
  #admitting(ticket: number, member: MemberId): void {
    const slots = isSame(member, this.self.id)
      ? [...this.coordinator.membership.members.map(({ id }) => id.slot), member.slot]
      : [member.slot]
    this.run(Effect.ignore(Effect.andThen(
      Effect.forEach(slots, (slot) => this.mesh.attach(slot), { discard: true }),
      this.coordinator.tell("Attached", () => ({ ticket }))
    )))
  }

  #noteAdmission(): void {
    if (this.#isMember || this.coordinator.membership.find(this.self.id) === undefined) return
    this.#isMember = true
    Deferred.doneUnsafe(this.#admitted, Effect.void)
  }

  #noteRefusal(number: number, answer: Answer): void {
    if (number !== this.#joining) return
    const refused = refusalOf(answer)
    if (refused !== undefined) Deferred.doneUnsafe(this.#admitted, Effect.fail(refused))
  }

  // --- notices of the coordinator ---

  #onNotice(notice: Notice): void {
    switch (notice._tag) {
      case "Admitting":
        this.#attention.openUnsafe()
        return this.#admitting(notice.ticket, notice.member.id)
      case "Answered":
        this.#noteRefusal(notice.number, notice.answer)
        return this.#noteAdmission()
      case "Membership":
      case "Admitted":
        return this.#noteAdmission()
      case "Departed":
        return this.#departed(notice.member)
      case "TookOver":
        return this.#tookOver()
      case "ShutDown":
        this.#begin("gone")
        Deferred.doneUnsafe(this.#shutDown, Effect.void)
    }
  }

  // When the coordinator has left, a standby takes over at once, without waiting for the next check.
  #departed(member: MemberId): void {
    if (!isSame(member, this.coordinator.membership.coordinator)) return
    this.run(Effect.map(this.coordinator.ended, () => void this.#attention.openUnsafe()))
  }

  // The new coordinator knows the members, but no request to the old coordinator: ask again.
  #tookOver(): void {
    this.#noteAdmission()
    if (!this.#isMember) this.run(Effect.ignore(this.#askToJoin))
    if (this.#stage === "shuttingDown") this.run(Effect.ignore(this.#sayReady))
  }

  readonly #sayReady: Effect.Effect<void, CoordinatorLost> = Effect.suspend(() =>
    this.coordinator.request("ReadyToShutDown")
  )
    .pipe(Effect.retry({ while: ({ reason }) => reason === "replaced" }))

  // --- the coordinator's role ---

  // The region keeps its name while a process holds it: wait for the next coordinator, but with a limit.
  #handOver(isAwaited: boolean): Effect.Effect<void> {
    const resigned = this.#lease.resign
    if (!isAwaited) return resigned
    const succeeded = this.coordinator.until(() =>
      isSame(this.coordinator.membership.coordinator, this.self.id) ? undefined : true
    )
    return Effect.andThen(resigned, Effect.ignore(Effect.timeout(succeeded, this.resolved.failoverMillis)))
  }

  /** Whether a standby may take over. A process that is not a member yet cannot know. */
  #isSucceeded(): boolean {
    return !this.#isMember || this.#hasStandby() || (this.resolved.standby && !this.over)
  }

  /** The membership; the coordinator's own, which is ahead of its notices, if this member coordinates. */
  get #membership(): Membership {
    return this.#lease.coordinating?.membership ?? this.coordinator.membership
  }

  #hasStandby(): boolean {
    const membership = this.#membership
    return membership.members.some((member) => {
      const { id, standby } = member
      if (!standby || isSame(id, this.self.id) || isSame(id, membership.coordinator)) return false
      return this.ring.isAlive(id.slot, id.generation)
    })
  }

  // A second standby finds that the ring has a writer, and stays a standby.
  get #takeOver(): Effect.Effect<void> {
    const { coordinator, mesh, ring, resolved } = this
    // Apply the old coordinator's last notices first: they may have arrived after the last check.
    coordinator.catchUp()
    const { membership } = coordinator
    return Effect.ignore(this.#lease.take({ ring, mesh, resolved, membership, isForeign: this.#isForeign }))
  }
}

/** How much longer the pause between two checks is while no event calls for one. */
const calmFactor = 5

const refusalOf = (answer: Answer): JoinRefused | undefined => {
  if (answer._tag === "RequestRefused") return new JoinRefused({ reason: "noCoordinator" })
  if (answer._tag !== "Join" || Result.isSuccess(answer.outcome)) return undefined
  return answer.outcome.failure
}

const dispatch =
  (parts: { messages: SwarmMessenger | undefined; readonly router: RequestRouter }): Handle => (message) =>
    message.kind === frameKind.event ? parts.messages?.take(message) : parts.router.take(message)

/** Joins the swarm, and takes part until the scope closes. */
export const joinSwarm = Effect.fnUntraced(function*(options: SwarmOptions) {
  const rings = yield* RingPorts
  const { hold, info, processes } = yield* CxlMemory
  const own = (yield* processes).find(({ slot }) => slot === rings.self.process)
  const isForeign = foreignAmong(processes)
  const resolved = yield* Effect.try({
    try: () => resolveOptions(options, own?.name ?? ""),
    catch: (error) => error as DurationInvalid
  })
  yield* readOptions(info.name, () => {
    refuseUnlessBytes("messageBytesMax", resolved.messageBytesMax)
  })
  const ring = yield* pollingBy(resolved.strategy, rings)
  // A coordinator and a standby keep the region in use after its creator has ended.
  if (resolved.coordinate || resolved.standby) yield* hold
  const id: MemberId = { slot: ring.self.process, generation: ring.self.generation }
  const { name, incarnation, standby } = resolved
  const self: MemberInfo = { id, name, pid: process.pid, standby, incarnation }
  const router = new RequestRouter(id)
  const parts: { messages: SwarmMessenger | undefined; readonly router: RequestRouter } = {
    messages: undefined,
    router
  }
  const handle = dispatch(parts)
  const mesh = yield* Mesh.open(ring, id, { event: handle, reply: handle }, resolved)
  const lease = yield* CoordinatorLease.make
  if (resolved.coordinate) {
    yield* lease.take({ ring, mesh, resolved, membership: undefined, isForeign }).pipe(
      Effect.catchTag("RingUnavailable", ({ writer }) =>
        Effect.fail(
          new JoinRefused({ reason: "coordinated", ...(writer === undefined ? {} : { coordinator: writer }) })
        ))
    )
  }
  const coordinator = yield* CoordinatorClient.open(ring, id, resolved, isForeign)
  const messages = parts.messages = new SwarmMessenger(coordinator)
  const start = yield* FiberSet.makeRuntime<never, void>()
  const run = (effect: Effect.Effect<void>) => void start(effect)
  const alarm: Alarm = yield* FiberHandle.makeRuntime<never>()
  const clock = yield* Clock.Clock
  const made = { mesh, coordinator, messages, router, run, alarm, clock, lease, isForeign }
  const swarmMember = new SwarmMember(self, resolved, ring, made)
  yield* Effect.forkScoped(ticking(swarmMember))
  yield* swarmMember.join
  run(swarmMember.heedLoss(info.name))
  // Leave while the loop above still runs: the coordinator may die meanwhile.
  const leavingMillis = () => swarmMember.coordinating === undefined ? answerMillis : resolved.failoverMillis
  // A dead member does not leave: no answer would arrive, and its finalizer would wait for ever under a test's clock.
  const left = Effect.suspend(() =>
    swarmMember.isDead ? Effect.void : Effect.ignore(Effect.timeout(swarmMember.leave, leavingMillis()))
  )
  yield* Effect.addFinalizer(() => Effect.ensuring(left, swarmMember.end))
  return swarmMember
})

// The process table of a closed region cannot be read: no pid counts as foreign then.
const foreignAmong = (processes: Effect.Effect<ReadonlyArray<AttachedProcess>>): IsForeign => (member) => {
  const table = Effect.runSyncExit(processes)
  return Exit.isSuccess(table) &&
    table.value.some(({ foreignPid, generation, slot }) =>
      foreignPid === true && slot === member.slot && generation === member.generation
    )
}

const warnOf = (self: MemberInfo, region: string) => (lost: CoordinatorLost): Effect.Effect<void> =>
  Effect.logWarning(
    `${lost.message}: the swarm of region ${JSON.stringify(region)} is lost. Member ${
      describeMember(self)
    } still runs, but `
      + `is no longer a member: no other process gets its messages or can call it. To end with the swarm, a program `
      + `waits for Coordinator.lost, or runs in Swarm.run`
  )

/** How long the end of a scope, or of a failed join, waits for the coordinator to remove the member. */
const answerMillis = 500

const ticking = (swarmMember: SwarmMember) =>
  Effect.forever(Effect.andThen(
    swarmMember.nextTick,
    Effect.clockWith((clock) => swarmMember.tick(clock.currentTimeMillisUnsafe()))
  ))
