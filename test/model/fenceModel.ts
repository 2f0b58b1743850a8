/**
 * Random sends, barriers of all modes, joins, leaves and deaths among up to six members, in one simulated world.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { makeCxlMemory } from "../../src/layers/memory/region/CxlMemory.ts"
import { attachHeap, type HeapRegion } from "../../src/layers/memory/region/HeapRegion.ts"
import { makeRingPorts } from "../../src/layers/memory/ring/RingPorts.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import type { BarrierError } from "../../src/services/Barrier.ts"
import { type MemberId, showMember } from "../../src/services/schema/Member.ts"
import { joinAs, type JoinOptions, type TestMember } from "../backends/swarm.ts"
import { modes, type Random, randomOf, reaching, Say, saying, sendsAhead } from "./choices.ts"
import { type Fault, spoiling } from "./faults.ts"
import { type FenceEvent, type Notebook, watching } from "./fenceEvents.ts"
import { FenceLog } from "./fenceLog.ts"
import { simulate, Stuck } from "./simulation.ts"

export interface FenceRun {
  readonly seed: number
  readonly violations: ReadonlyArray<string>
  /** Fences that returned, and messages checked at their returns. */
  readonly returns: number
  readonly checked: number
  /** Deaths, departures and joins during the run. */
  readonly disturbances: number
}

/** How long a run may take, in simulated time. */
const limitMillis = 120_000

const roundsMax = 7

const membersMax = 6

export const runFences = async (seed: number, fault: Fault): Promise<FenceRun> => {
  const random = randomOf(seed)
  const run = new Run(random, fault)
  const exit = await simulate(run.all, random, limitMillis)
  const { checked, returns, violations } = run.log
  const ended = Exit.isSuccess(exit) ? [] : [`the run failed: ${whyOf(exit)}`]
  return { seed, violations: [...violations, ...ended], returns, checked, disturbances: run.disturbances }
}

const whyOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return ""
  const [reason] = exit.cause.reasons
  if (reason?._tag === "Die") {
    return reason.defect instanceof Error
      ? `${reason.defect.message} ${reason.defect instanceof Stuck ? "" : reason.defect.stack}`
      : String(reason.defect)
  }
  return JSON.stringify(reason)
}

interface Player {
  readonly member: TestMember
  readonly note: (event: FenceEvent) => void
  /** Messages. */
  sent: number
  isGone: boolean
  readonly scope: Scope.Closeable
  readonly fibers: Set<Fiber.Fiber<unknown, unknown>>
  round: number
}

class Run {
  readonly log = new FenceLog()
  disturbances = 0
  readonly #random: Random
  readonly #fault: Fault
  readonly #players: Array<Player> = []
  readonly #ended: Array<Player> = []
  /** The waits for the next arrival of that member. */
  readonly #arrivals = new Map<string, () => void>()
  #region: HeapRegion | undefined
  #joins = 0
  #steps = 0

  constructor(random: Random, fault: Fault) {
    this.#random = random
    this.#fault = fault
  }

  readonly all: Effect.Effect<void, unknown> = Effect.gen({ self: this }, function*() {
    const random = this.#random
    this.#region = yield* Swarm.makeHeapRegion({ members: 8, plainRings: 0, ringBytes: 16 * 1024 })
    yield* attachHeap(this.#region, "owner")
    const standbys = random(3)
    const count = 2 + random(4)
    for (let index = 0; index < count; index += 1) {
      yield* this.#join({ coordinate: index === 0, standby: index > 0 && index <= standbys })
    }
    for (const player of this.#players) yield* this.#play(player)
    yield* this.#disturb()
    yield* Effect.forEach(this.#fibers, (fiber) => Fiber.await(fiber), { discard: true })
    // Let handlers end, and deaths be noticed.
    yield* Effect.sleep(3000)
    this.log.settled()
    yield* Effect.forEach(
      [...this.#players, ...this.#ended],
      ({ scope }) => Effect.exit(Scope.close(scope, Exit.void)),
      {
        concurrency: "unbounded",
        discard: true
      }
    )
  }).pipe(Effect.scoped)

  get #fibers(): ReadonlyArray<Fiber.Fiber<unknown, unknown>> {
    return this.#players.flatMap(({ fibers }) => [...fibers])
  }

  // --- members ---

  #join(options: JoinOptions) {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      const name = `m${this.#joins++}`
      const region = this.#region as HeapRegion
      const process = yield* Scope.provide(attachHeap(region, name), scope)
      const ring = makeRingPorts(region, process)
      const book = this.#bookOf({ slot: ring.self.process, generation: ring.self.generation })
      const member = yield* joinAs(
        {
          ring,
          memory: makeCxlMemory(region, process),
          kill: Effect.sync(() => process.kill()),
          flip: () => Effect.void
        },
        name,
        {
          ...options,
          livenessInterval: 20,
          failover: 400,
          joinDeadline: 2000,
          drain: this.#fault === "draining off" ? "off" : "on",
          over: (rings) => watching(book)(spoiling(this.#fault)(rings))
        }
      ).pipe(Scope.provide(scope))
      const note = (event: FenceEvent) => book.note(event, book.now())
      const player: Player = { member, note, sent: 0, isGone: false, scope, fibers: new Set(), round: this.#furthest() }
      yield* this.#listen(player).pipe(Scope.provide(scope))
      note({ _tag: "joined", ring: member.swarmMember.mesh.target().ring })
      this.#players.push(player)
      return player
    })
  }

  #furthest(): number {
    return Math.max(0, ...this.#players.map(({ round }) => round))
  }

  #bookOf(who: MemberId): Notebook {
    return {
      now: () => this.#steps += 1,
      note: (event, at) => {
        this.log.take({ at, who, event })
        if (event._tag === "arrived") this.#arrivals.get(showMember(who))?.()
      }
    }
  }

  #listen(player: Player) {
    const { member, note } = player
    return member.messenger.subscribe(Say, ({ fence, handlerMillis, n }, { sender }) => {
      note({ _tag: "begun", sender, n })
      const fences = fence < 0 || player.isGone ? Effect.void : this.#enter(player, fence)
      return fences.pipe(
        Effect.andThen(handlerMillis > 0 ? Effect.sleep(handlerMillis) : Effect.void),
        Effect.andThen(Effect.sync(() => note({ _tag: "handled", sender, n })))
      )
    })
  }

  // --- what a member does ---

  #play(player: Player) {
    return this.#startIn(player, this.#script(player))
  }

  #script(player: Player): Effect.Effect<void> {
    const random = this.#random
    return Effect.gen({ self: this }, function*() {
      while (player.round < roundsMax) {
        const sends = sendsAhead(random)
        for (let i = 0; i < sends; i += 1) yield* this.#send(player)
        const { round } = player
        if (random(8) === 0) yield* this.#startIn(player, this.#enter(player, round % modes.length))
        const outcome = yield* this.#enter(player, round % modes.length)
        if (outcome === "over") return
        player.round = round + 1
        if (random(4) === 0) yield* Effect.sleep(random(8))
      }
    })
  }

  #startIn(player: Player, effect: Effect.Effect<unknown>): Effect.Effect<void> {
    return Effect.withFiber((parent) =>
      Effect.sync(() => {
        const fiber = Effect.runForkWith(parent.context)(effect)
        player.fibers.add(fiber)
      })
    )
  }

  #send(player: Player): Effect.Effect<void> {
    const random = this.#random
    return Effect.suspend(() => {
      const { member, note } = player
      const to = reaching(random, this.#players.map((other) => other.member.id))
      const since = (this.#steps += 1)
      const done = Effect.sync(() => {
        player.sent += 1
        note({ _tag: "sent", to: typeof to === "string" ? to : "member" in to ? to.member : "local", since })
      })
      const pause = random(6) === 0 ? Effect.sleep(random(4)) : random(3) === 0 ? Effect.yieldNow : Effect.void
      const sent = member.messenger.send(Say, { n: player.sent, ...saying(random) }, to)
      return Effect.ignore(Effect.andThen(sent, Effect.andThen(done, pause)))
    })
  }

  #enter(player: Player, which: number): Effect.Effect<"on" | "over"> {
    const { member, note } = player
    const deadline = 150 + this.#random(500)
    const name = `b${which}`
    return member.barrier.enter(name, { mode: modes[which], deadline }).pipe(
      Effect.map(({ mode, round, term }) => {
        note({ _tag: "returned", name, term, round, mode })
        return "on" as const
      }),
      Effect.catch((error) => this.#failed(player, error))
    )
  }

  #failed({ note }: Player, error: BarrierError): Effect.Effect<"on" | "over"> {
    if (error._tag === "RangeLost" || error._tag === "ArrivalRefused") {
      note({ _tag: "failed", why: `${error._tag} ${error.message}` })
      return Effect.succeed("over")
    }
    const isOver = error._tag === "ShuttingDown" || (error._tag === "CoordinatorLost" && error.reason === "died")
    return Effect.as(Effect.sleep(1 + this.#random(20)), isOver ? "over" : "on")
  }

  // --- what befalls them ---

  #disturb(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const random = this.#random
      const times = 1 + random(3)
      for (let i = 0; i < times; i += 1) {
        yield* Effect.sleep(random(30))
        this.disturbances += 1
        const drawn = random(10)
        if (drawn < 5) yield* this.#kill()
        else if (drawn < 7) yield* this.#leave()
        else if (this.#players.length < membersMax) {
          yield* Effect.matchEffect(this.#join({}), {
            onFailure: () => Effect.void,
            onSuccess: (player) => this.#play(player)
          })
        }
      }
    })
  }

  #drawn(): Player | undefined {
    return this.#players.length < 2 ? undefined : this.#players[this.#random(this.#players.length)]
  }

  // Kills most members just after they have arrived: then their messages count, and only their arrivals tell how many.
  #kill(): Effect.Effect<void> {
    const player = this.#drawn()
    if (player === undefined) return Effect.void
    const killed = Effect.suspend(() => {
      if (player.isGone) return Effect.void
      this.#remove(player)
      return Effect.andThen(player.member.kill, Fiber.interruptAll(player.fibers))
    })
    return this.#random(3) === 0 ? killed : Effect.andThen(this.#arrival(player), killed)
  }

  #arrival({ member }: Player): Effect.Effect<void> {
    const who = showMember(member.id)
    const arrived = Effect.callback<void>((resume) => {
      this.#arrivals.set(who, () => resume(Effect.void))
      return Effect.sync(() => this.#arrivals.delete(who))
    })
    return Effect.ignore(Effect.timeout(arrived, 200))
  }

  #leave(): Effect.Effect<void> {
    const player = this.#drawn()
    if (player === undefined || player.member.coordinator.coordinates()) return Effect.void
    this.#remove(player)
    return Effect.andThen(Effect.exit(player.member.close), Fiber.interruptAll(player.fibers))
  }

  #remove(player: Player): void {
    player.isGone = true
    player.note({ _tag: "gone" })
    this.#players.splice(this.#players.indexOf(player), 1)
    this.#ended.push(player)
  }
}
