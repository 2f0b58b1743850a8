/**
 * One member of a swarm: joins, takes part, takes over where it was asked to, and leaves.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import { JoinRefused, LeaveRefused } from "../../services/Coordinator.ts"
import { type CoordinatorLost, isSame, type MemberId, type MemberInfo } from "../../services/Member.ts"
import { type OpenRingError, Ring } from "../../services/Ring.ts"
import { Arrivals } from "./Arrivals.ts"
import { ControlLink } from "./ControlLink.ts"
import type { Answer, Notice } from "./ControlMessages.ts"
import { Exchange } from "./Exchange.ts"
import { frameKind } from "./Frames.ts"
import { Mesh } from "./Mesh.ts"
import { Messages } from "./Messages.ts"
import type { Message } from "./MessageSource.ts"
import { settle, type Settled, type SwarmOptions } from "./Options.ts"
import { type Invitations, Presiding } from "./Presiding.ts"

/** The parts of a member that the services are made of. Pass it on, do not look inside. */
export class SwarmCore extends Context.Service<SwarmCore, Core>()("ringfence/layers/SwarmCore") {}

export type JoinError = JoinRefused | CoordinatorLost | OpenRingError

/** Everybody may come in. */
const openDoor: Invitations = { redeem: () => true }

export class Core {
  readonly self: MemberInfo
  readonly settled: Settled
  readonly ring: Ring["Service"]
  readonly mesh: Mesh
  readonly link: ControlLink
  readonly messages: Messages
  readonly arrivals: Arrivals
  readonly exchange: Exchange
  readonly #invitations: Invitations
  readonly #run: (effect: Effect.Effect<void>) => void
  readonly #admitted = Deferred.makeUnsafe<void>()
  readonly #shutDown = Deferred.makeUnsafe<void>()
  #presiding: Presiding | undefined
  #presidingScope: Scope.Closeable | undefined
  #ticket = 0
  #lostMillis: number | undefined
  #over = false

  constructor(
    self: MemberInfo,
    settled: Settled,
    ring: Ring["Service"],
    invitations: Invitations,
    parts: {
      readonly mesh: Mesh
      readonly link: ControlLink
      readonly messages: Messages
      readonly exchange: Exchange
      readonly run: (effect: Effect.Effect<void>) => void
      readonly presiding: { readonly presiding: Presiding; readonly scope: Scope.Closeable } | undefined
    }
  ) {
    this.self = self
    this.settled = settled
    this.ring = ring
    this.#invitations = invitations
    this.mesh = parts.mesh
    this.link = parts.link
    this.messages = parts.messages
    this.exchange = parts.exchange
    this.#run = parts.run
    this.#presiding = parts.presiding?.presiding
    this.#presidingScope = parts.presiding?.scope
    this.messages.mesh = parts.mesh
    this.arrivals = new Arrivals(parts.link, parts.mesh, settled)
    this.link.onNotice((notice) => this.#take(notice))
  }

  /** The office, while this member holds it. */
  get presiding(): Presiding | undefined {
    return this.#presiding
  }

  /** True once this member takes part in nothing any more. */
  get over(): boolean {
    return this.#over
  }

  /** Becomes a member. */
  readonly join: Effect.Effect<void, JoinError> = Effect.suspend(() => {
    const { joinDeadlineMillis, invitation } = this.settled
    const refused = () => Effect.fail(new JoinRefused({ reason: "deadline" }))
    const member = this.self
    const asked = this.link.request({ _tag: "Join", member, coordinates: this.settled.coordinate, invitation })
    return Effect.andThen(this.link.heard, asked).pipe(
      Effect.flatMap((answer) => this.#welcomed(answer)),
      Effect.andThen(Deferred.await(this.#admitted)),
      Effect.timeoutOrElse({ duration: joinDeadlineMillis, orElse: refused })
    )
  })

  /** Takes part no more, and says so. */
  readonly leave: Effect.Effect<void, LeaveRefused | CoordinatorLost> = Effect.suspend(
    (): Effect.Effect<void, LeaveRefused | CoordinatorLost> => {
      if (this.#over) return Effect.void
      const others = this.link.roster.members.filter(({ id }) => !isSame(id, this.self.id))
      if (this.#presiding !== undefined && others.length > 0 && !others.some(({ standby }) => standby)) {
        return Effect.fail(new LeaveRefused())
      }
      this.#end()
      return Effect.andThen(Effect.asVoid(this.link.request({ _tag: "Leave" })), this.#resign)
    }
  )

  /** Takes part no more, once nobody does. */
  readonly shutdown: Effect.Effect<void, CoordinatorLost> = Effect.suspend(() => {
    if (this.#over) return Effect.void
    this.#end()
    const all = Effect.raceFirst(Deferred.await(this.#shutDown), this.link.lost)
    return Effect.andThen(this.link.request({ _tag: "ReadyToShutDown" }), all)
  })

  /** Looks after the coordinator's life, and in the office after everybody's. */
  look(nowMillis: number): Effect.Effect<void, never, Scope.Scope> {
    return Effect.suspend(() => {
      this.link.look()
      this.#presiding?.look()
      if (this.link.state !== "lost") {
        this.#lostMillis = undefined
        return Effect.void
      }
      this.#lostMillis ??= nowMillis
      if (this.settled.standby && !this.#over) return this.#takeOver
      if (!this.#hasStandby() || nowMillis - this.#lostMillis >= this.settled.failoverMillis) this.link.giveUp()
      return Effect.void
    })
  }

  // --- internal ---

  #end(): void {
    this.#over = true
    this.messages.closed = true
    this.arrivals.close()
  }

  get #resign(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const scope = this.#presidingScope
      this.#presiding = this.#presidingScope = undefined
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })
  }

  #hasStandby(): boolean {
    return this.link.roster.members.some(({ id, standby }) =>
      standby && this.ring.isAlive(id.slot, id.generation) && !isSame(id, this.link.roster.coordinator)
    )
  }

  // Whoever comes second finds the office taken.
  get #takeOver(): Effect.Effect<void, never, Scope.Scope> {
    const { mesh, ring, settled } = this
    const options = { ring, mesh, settled, invitations: this.#invitations, roster: this.link.roster }
    return Effect.flatMap(presideIn(options), (held) =>
      Effect.sync(() => {
        this.#presiding = held.presiding
        this.#presidingScope = held.scope
      })).pipe(Effect.ignore)
  }

  #welcomed(answer: Answer): Effect.Effect<void, JoinError> {
    if (answer._tag !== "Roster") return Effect.fail(new JoinRefused({ reason: refusalOf(answer) }))
    const slots = [...answer.state.members.map(({ id }) => id.slot), this.self.id.slot]
    return Effect.andThen(
      Effect.forEach(slots, (slot) => this.mesh.attach(slot), { discard: true }),
      Effect.asVoid(this.link.tell({ _tag: "Attached", epoch: this.#ticket }))
    )
  }

  #take(notice: Notice): void {
    if (notice._tag === "Admitting") this.#admitting(notice.epoch, notice.member.id)
    if (notice._tag === "Admitted" && isSame(notice.member.id, this.self.id)) {
      Deferred.doneUnsafe(this.#admitted, Effect.void)
    }
    if (notice._tag === "ShutDown") {
      this.#end()
      Deferred.doneUnsafe(this.#shutDown, Effect.void)
    }
  }

  // A joining member attaches to all others first, and then says so.
  #admitting(ticket: number, member: MemberId): void {
    if (isSame(member, this.self.id)) this.#ticket = ticket
    else {
      this.#run(Effect.ignore(Effect.andThen(
        this.mesh.attach(member.slot),
        this.link.tell({ _tag: "Attached", epoch: ticket })
      )))
    }
  }
}

const presideIn = (options: Parameters<typeof Presiding.open>[0]) =>
  Effect.gen(function*() {
    const parent = yield* Effect.scope
    const scope = yield* Scope.fork(parent)
    const presiding = yield* Presiding.open(options).pipe(
      Scope.provide(scope),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    return { presiding, scope }
  })

const joinReasons = ["noCoordinator", "coordinated", "invitation", "shuttingDown", "deadline"] as const

const refusalOf = (answer: Answer): JoinRefused["reason"] =>
  joinReasons.find((reason) => answer._tag === "Refused" && answer.reason === reason) ?? "noCoordinator"

const dispatch = (parts: { messages: Messages | undefined; readonly exchange: Exchange }) => (message: Message) => {
  if (message.kind === frameKind.event) return parts.messages?.take(message)
  return parts.exchange.take(message)
}

/** Joins, and takes part until the scope closes. */
export const joinSwarm = Effect.fnUntraced(
  function*(options: SwarmOptions & { readonly invitations?: Invitations | undefined }, processName: string) {
    const ring = yield* Ring
    const settled = settle(options, processName)
    const id: MemberId = { slot: ring.self.process, generation: ring.self.generation }
    const { name, occurrence, standby } = settled
    const self: MemberInfo = { id, name, pid: process.pid, standby, occurrence }
    const exchange = new Exchange(id)
    const parts: { messages: Messages | undefined; readonly exchange: Exchange } = { messages: undefined, exchange }
    const handle = dispatch(parts)
    const mesh = yield* Mesh.open(ring, id, { event: handle, reply: handle }, settled)
    const invitations = options.invitations ?? openDoor
    const presiding = settled.coordinate
      ? yield* presideIn({ ring, mesh, settled, invitations, roster: undefined }).pipe(
        Effect.catchTag("RingUnavailable", () => Effect.fail(new JoinRefused({ reason: "coordinated" })))
      )
      : undefined
    const link = yield* ControlLink.open(ring, id, settled)
    const messages = parts.messages = new Messages(link)
    const run = yield* FiberSet.makeRuntime<never, void>()
    const core = new Core(self, settled, ring, invitations, {
      mesh,
      link,
      messages,
      exchange,
      run: (effect) => void run(effect),
      presiding
    })
    yield* core.join
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(core.leave, leavingMillis)))
    yield* Effect.forkScoped(looking(core))
    return core
  }
)

/** How long the end of a scope waits for the coordinator to take a member out. */
const leavingMillis = 500

const looking = (core: Core) =>
  Effect.forever(Effect.andThen(
    Effect.sleep(core.settled.livenessMillis),
    Effect.clockWith((clock) => core.look(clock.currentTimeMillisUnsafe()))
  ))
