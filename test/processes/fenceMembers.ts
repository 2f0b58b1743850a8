/**
 * Random histories of fences over real processes: members of a swarm play rounds, and some are killed, leave or join in
 * the middle of them. Afterwards the notes of all are merged and checked.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"
import { bundled } from "../bundles.ts"
import { type Random, randomOf } from "../model/choices.ts"
import type { Fault } from "../model/faults.ts"
import type { FenceEvent, Noted } from "../model/fenceEvents.ts"
import { FenceLog } from "../model/fenceLog.ts"
import { type ActorFailed, OrderedActor } from "./orders.ts"

export interface Joining {
  readonly region: string
  readonly name: string
  readonly coordinates: boolean
  readonly standby: boolean
  readonly fault: Fault
  /** File for its notes. */
  readonly notes: string
}

/** The member kills itself when that event has occurred this many times. */
export interface Doom {
  readonly on: "sent" | "arrived" | "begun" | "returned"
  readonly times: number
}

export interface Playing {
  readonly seed: number
  readonly rounds: number
  /** The mode of the barrier, which is also its name. */
  readonly mode: BarrierMode
  readonly doom?: Doom | undefined
}

export type FenceOrder =
  | ({ readonly _tag: "join" } & Joining)
  /** Answered when the rounds are played; the member then keeps meeting the others until it is told to stop. */
  | ({ readonly _tag: "play" } & Playing)
  | { readonly _tag: "stop" | "settle" | "leave" | "depart" }

type FenceActor = OrderedActor<FenceOrder>

// --- processes ---

/** Processes that are in no swarm, ready for the next. */
export class Pool {
  readonly #idle: Array<FenceActor> = []
  readonly #all = new Set<FenceActor>()

  static readonly make = Effect.acquireRelease(
    Effect.sync(() => new Pool()),
    (pool) => pool.#end
  )

  /** Starts a process for each that died, at once, because it takes a while to be ready. */
  restock(count: number): void {
    while (this.#all.size < count) this.#idle.push(this.#start())
  }

  take(): FenceActor {
    return this.#idle.shift() ?? this.#start()
  }

  giveBack(actor: FenceActor): void {
    this.#idle.push(actor)
  }

  forget(actor: FenceActor): void {
    this.#all.delete(actor)
  }

  #start(): FenceActor {
    const actor: FenceActor = new OrderedActor(fork(script, [], { stdio: ["ignore", 1, 2, "ipc"] }))
    this.#all.add(actor)
    return actor
  }

  get #end(): Effect.Effect<void> {
    return Effect.forEach(this.#all, (actor) => {
      actor.signal("SIGKILL")
      return actor.exit
    }, { discard: true, concurrency: "unbounded" })
  }
}

const script = bundled("test/processes/fenceActor.ts")

/** The most members of a swarm, and some to replace the dead. */
export const poolSize = 8

// --- runs ---

const membersMax = 6

const roundsOfRun = 3

const drawnModes: ReadonlyArray<BarrierMode> = [
  "deliveryFence",
  "processingFence",
  "deliveryFence",
  "processingFence",
  "rendezvous"
]

interface Player {
  readonly actor: FenceActor
  readonly notes: string
  /** May coordinate, and keeps the region. */
  readonly holds: boolean
  coordinates: boolean
  isGone: boolean
}

export interface Counts {
  readonly runs: number
  readonly killed: number
  readonly left: number
  readonly joined: number
  readonly returns: number
  readonly checked: number
}

export interface History {
  readonly violations: ReadonlyArray<string>
  readonly counts: Counts
}

interface SwarmOf {
  readonly region: string
  readonly fault: Fault
  readonly pool: Pool
}

/** Plays this many runs, one after the other, in one swarm. */
export const playRuns = (
  swarm: SwarmOf,
  seed: number,
  runs: number
): Effect.Effect<History, ActorFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "fences-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const company = new Company(swarm, folder)
    yield* company.join(true, true)
    for (let run = 0; run < runs; run += 1) yield* within(`run ${seed + run}`, company.run(randomOf(seed + run)))
    if (swarm.fault === "none") yield* within("settling", company.settle)
    yield* within("leaving", company.disband)
    return company.history(runs, swarm.fault === "none")
  })

// A run takes some tenths of a second.
const within = <A, E>(what: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.timeoutOrElse(effect, {
    duration: "20 seconds",
    orElse: () => Effect.die(new Error(`${what} came to no end`))
  })

class Company {
  readonly #swarm: SwarmOf
  readonly #folder: string
  #players: Array<Player> = []
  #killed = 0
  #left = 0
  #joined = 0

  constructor(swarm: SwarmOf, folder: string) {
    this.#swarm = swarm
    this.#folder = folder
  }

  join(coordinates: boolean, standby: boolean): Effect.Effect<Player, ActorFailed> {
    return Effect.suspend(() => {
      const { fault, pool, region } = this.#swarm
      this.#joined += 1
      const name = `m${this.#joined}`
      const notes = join(this.#folder, name)
      const player: Player = { actor: pool.take(), notes, holds: coordinates || standby, coordinates, isGone: false }
      return Effect.map(
        player.actor.do({ _tag: "join", region, name, coordinates, standby, fault, notes }),
        () => {
          this.#players.push(player)
          return player
        }
      )
    })
  }

  run(random: Random): Effect.Effect<void, ActorFailed> {
    return Effect.gen({ self: this }, function*() {
      const count = 2 + random(membersMax - 1)
      while (this.#players.length < count) yield* this.join(false, random(2) === 0)
      const mode = drawnModes[random(drawnModes.length)] ?? "deliveryFence"
      const fates = this.#fates(random)
      const playing = yield* Effect.forEach(
        this.#players,
        (player) => Effect.forkChild(this.#play(player, random, mode, fates.get(player))),
        {}
      )
      if (random(3) === 0 && this.#players.length < membersMax) {
        const late = yield* this.join(false, random(2) === 0)
        playing.push(yield* Effect.forkChild(this.#play(late, random, mode, undefined)))
      }
      for (const fiber of playing) yield* Fiber.join(fiber)
      yield* this.#stop()
    })
  }

  get settle(): Effect.Effect<void, ActorFailed> {
    return Effect.forEach(this.#players, ({ actor }) => actor.do({ _tag: "settle" }), {
      concurrency: "unbounded",
      discard: true
    })
  }

  /** Ends all members, the coordinator last. */
  get disband(): Effect.Effect<void, ActorFailed> {
    return Effect.suspend(() => {
      const last = this.#players.toSorted((a, b) => Number(a.coordinates) - Number(b.coordinates))
      return Effect.forEach(last, (player) => this.#leave(player), { discard: true })
    })
  }

  history(runs: number, settled: boolean): History {
    const log = new FenceLog()
    for (const noted of notesIn(this.#folder)) log.take(noted)
    if (settled) log.settled()
    const { checked, returns, violations } = log
    const counts = { runs, killed: this.#killed, left: this.#left, joined: this.#joined, returns, checked }
    return { violations, counts }
  }

  // --- internal ---

  /** The members that are killed or leave in this run. At least one that may coordinate stays. */
  #fates(random: Random): Map<Player, Fate> {
    const fates = new Map<Player, Fate>()
    let holders = this.#players.filter(({ holds }) => holds).length
    let isHolderDrawn = false
    for (let i = 1 + random(2); i > 0 && this.#players.length - fates.size > 1; i -= 1) {
      const player = this.#players[random(this.#players.length)] as Player
      if (fates.has(player) || (player.holds && (isHolderDrawn || holders < 2))) continue
      if (player.holds) {
        isHolderDrawn = true
        holders -= 1
      }
      fates.set(player, fateOf(random, player.coordinates))
    }
    return fates
  }

  #play(player: Player, random: Random, mode: BarrierMode, fate: Fate | undefined): Effect.Effect<void, ActorFailed> {
    const seed = random(2 ** 31)
    const doom = fate?._tag === "doom" ? fate.doom : undefined
    const played = player.actor.do({ _tag: "play", seed, rounds: roundsOfRun, mode, doom })
    const ended = Effect.catch(played, (error) => error.tag === "exited" ? Effect.void : Effect.fail(error))
    return Effect.asVoid(Effect.all([ended, this.#befall(player, fate)], { concurrency: "unbounded" }))
  }

  #befall(player: Player, fate: Fate | undefined): Effect.Effect<void, ActorFailed> {
    if (fate?._tag === "kill") return Effect.delay(this.#kill(player), fate.afterMillis)
    return fate?._tag === "leave" ? Effect.delay(this.#depart(player), fate.afterMillis) : Effect.void
  }

  #kill(player: Player): Effect.Effect<void> {
    return Effect.suspend(() => {
      noteGone(player)
      player.actor.signal("SIGKILL")
      return Effect.asVoid(player.actor.exit)
    })
  }

  #leave(player: Player): Effect.Effect<void, ActorFailed> {
    return Effect.map(player.actor.do({ _tag: "leave" }), () => this.#letGo(player))
  }

  // A member that has become the coordinator since its fate was drawn stays.
  #depart(player: Player): Effect.Effect<void, ActorFailed> {
    return Effect.map(player.actor.do<boolean>({ _tag: "depart" }), (hasLeft) => {
      if (hasLeft) this.#letGo(player)
    })
  }

  #letGo(player: Player): void {
    player.isGone = true
    this.#left += 1
    this.#swarm.pool.giveBack(player.actor)
  }

  // A member whose planned death lies beyond its rounds can still die until it has stopped.
  #stop(): Effect.Effect<void, ActorFailed> {
    this.#players = this.#players.filter(({ isGone }) => !isGone)
    const stopped = (player: Player) =>
      player.actor.do<boolean>({ _tag: "stop" }).pipe(
        Effect.map((coordinates) => {
          player.coordinates = coordinates
        }),
        Effect.catch((error) => error.tag === "exited" ? Effect.void : Effect.fail(error))
      )
    return Effect.forEach(this.#players, stopped, { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Effect.sync(() => {
        const dead = this.#players.filter(({ actor }) => actor.hasExited)
        for (const { actor } of dead) this.#swarm.pool.forget(actor)
        this.#killed += dead.length
        this.#players = this.#players.filter(({ actor }) => !actor.hasExited)
        this.#swarm.pool.restock(poolSize)
      }))
    )
  }
}

// --- what befalls them ---

type Fate =
  | { readonly _tag: "doom"; readonly doom: Doom }
  | { readonly _tag: "kill" | "leave"; readonly afterMillis: number }

// The coordinator may not leave its members, but any member can be killed.
const fateOf = (random: Random, coordinates: boolean): Fate => {
  const drawn = random(10)
  const afterMillis = random(40)
  if (drawn < 3 && !coordinates) return { _tag: "leave", afterMillis }
  if (drawn < 5) return { _tag: "kill", afterMillis }
  const on = (["arrived", "arrived", "sent", "begun", "returned"] as const)[random(5)] ?? "arrived"
  return { _tag: "doom", doom: { on, times: 1 + random(on === "sent" || on === "begun" ? 8 : roundsOfRun) } }
}

// --- notes ---

// A process's own notes name the member that it was.
const noteGone = ({ notes }: Player): void => {
  const at = Number(process.hrtime.bigint())
  const [first] = parsed(notes)
  if (first !== undefined) appendFileSync(`${notes}.gone`, `${JSON.stringify(goneOf(first, at))}\n`)
}

const goneOf = ({ who }: Noted, at: number): Noted => ({ at, who, event: { _tag: "gone" } satisfies FenceEvent })

const notesIn = (folder: string): ReadonlyArray<Noted> =>
  readdirSync(folder).flatMap((name) => parsed(join(folder, name))).toSorted((a, b) => a.at - b.at)

// Ignores a line that was cut short by a death.
const parsed = (path: string): ReadonlyArray<Noted> =>
  readFileSync(path, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line) as Noted)
