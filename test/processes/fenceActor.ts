/**
 * A process that is a member of one swarm after the other, plays random rounds in them, and notes its events.
 *
 * A note is in its file before the process goes on, so that a killed process has noted all that it did.
 *
 * Usage: node fenceActor.ts
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { closeSync, openSync, writeSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import * as Rings from "../../src/layers/Rings.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { CurrentSwarmMember } from "../../src/layers/swarm/SwarmMember.ts"
import { Barrier, type BarrierError } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { Messenger } from "../../src/services/Messenger.ts"
import type { MemberId } from "../../src/services/schema/Member.ts"
import { type Random, randomOf, reaching, Say, saying, sendsAhead } from "../model/choices.ts"
import { spoiling } from "../model/faults.ts"
import { type FenceEvent, type Noted, watching } from "../model/fenceEvents.ts"
import type { Doom, FenceOrder, Joining, Playing } from "./fenceMembers.ts"
import { answering } from "./obeying.ts"

/** Comparable between the processes of a machine. */
const now = (): number => Number(process.hrtime.bigint())

/** The notes, up to this process's planned end. */
class Notes {
  readonly #file: number
  #who: MemberId = { slot: -1, generation: 0 }
  #doom: { readonly on: Doom["on"]; left: number } | undefined

  constructor(path: string) {
    this.#file = openSync(path, "a")
  }

  of(who: MemberId): void {
    this.#who = who
  }

  doom(doom: Doom | undefined): void {
    this.#doom = doom === undefined ? undefined : { on: doom.on, left: doom.times }
  }

  readonly now = now

  readonly note = (event: FenceEvent, at = now()): void => {
    this.#write(event, at)
    if (event._tag !== this.#doom?.on) return
    this.#doom.left -= 1
    if (this.#doom.left > 0) return
    this.#write({ _tag: "gone" }, now())
    process.kill(process.pid, "SIGKILL")
  }

  close(): void {
    closeSync(this.#file)
  }

  #write(event: FenceEvent, at: number): void {
    const noted: Noted = { at, who: this.#who, event }
    writeSync(this.#file, `${JSON.stringify(noted)}\n`)
  }
}

const memory = ({ coordinates, name: processName, region }: Joining) =>
  coordinates
    ? CxlMemory.layerShm({
      region,
      geometry: Swarm.geometry({ members: 8, ringBytes: 16 * 1024, plainRings: 0 }),
      processName
    })
    : CxlMemory.layerAttach({ region, processName })

const layerOf = (joining: Joining, notes: Notes) => {
  const { coordinates: coordinate, fault, name, standby } = joining
  const watched = Layer.effect(
    RingPorts,
    Effect.map(RingPorts, (ring) => {
      notes.of({ slot: ring.self.process, generation: ring.self.generation })
      return watching(notes)(spoiling(fault)(ring))
    })
  )
  const drain = fault === "draining off" ? "off" : "on"
  return Swarm.layer({ name, coordinate, standby, drain, livenessInterval: 20 }).pipe(
    Layer.provideMerge(watched),
    Layer.provideMerge(Rings.layerNative),
    Layer.provideMerge(memory(joining))
  )
}

/** One membership of this process. */
interface Life {
  readonly notes: Notes
  readonly scope: Scope.Closeable
  readonly coordinator: Coordinator["Service"]
  readonly barrier: Barrier["Service"]
  readonly messenger: Messenger["Service"]
  /** Messages. */
  sent: number
  play: Play | undefined
}

/** A script of this member, and what its handlers do meanwhile. */
interface Play {
  readonly playing: Playing
  readonly random: Random
  readonly stop: Deferred.Deferred<"stopped">
  readonly ended: Deferred.Deferred<void>
}

const join = (joining: Joining) =>
  Effect.gen(function*() {
    const notes = new Notes(joining.notes)
    const scope = yield* Scope.make()
    const context = yield* Layer.build(layerOf(joining, notes)).pipe(Scope.provide(scope))
    const life: Life = {
      notes,
      scope,
      coordinator: Context.get(context, Coordinator),
      barrier: Context.get(context, Barrier),
      messenger: Context.get(context, Messenger),
      sent: 0,
      play: undefined
    }
    yield* listen(life).pipe(Scope.provide(scope))
    notes.note({ _tag: "joined", ring: Context.get(context, CurrentSwarmMember).mesh.target().ring })
    return life
  })

const listen = (life: Life) =>
  life.messenger.subscribe(Say, ({ fence, handlerMillis, n }, { sender }) => {
    life.notes.note({ _tag: "begun", sender, n })
    const fenced = fence >= 0 && life.play !== undefined ? enter(life, life.play) : Effect.void
    return fenced.pipe(
      Effect.andThen(handlerMillis > 0 ? Effect.sleep(handlerMillis) : Effect.void),
      Effect.andThen(Effect.sync(() => life.notes.note({ _tag: "handled", sender, n })))
    )
  })

/** Plays its rounds, then only meets the others until it is told to stop. */
const script = (life: Life, play: Play, played: Deferred.Deferred<void>) =>
  Effect.gen(function*() {
    for (let round = 0;; round += 1) {
      if (round === play.playing.rounds) yield* Deferred.succeed(played, undefined)
      const sends = round < play.playing.rounds ? sendsAhead(play.random) : 0
      for (let i = 0; i < sends && life.play === play; i += 1) yield* send(life, play.random)
      const outcome = yield* enter(life, play)
      if (outcome !== "on") return
    }
  }).pipe(
    Effect.ensuring(Deferred.succeed(played, undefined)),
    Effect.ensuring(Deferred.succeed(play.ended, undefined))
  )

// Uninterruptible, so that every sent message is counted.
const send = (life: Life, random: Random) =>
  Effect.suspend(() => {
    const to = reaching(random, life.coordinator.members().map(({ id }) => id))
    const since = now()
    return life.messenger.send(Say, { n: life.sent, ...saying(random) }, to).pipe(
      Effect.andThen(Effect.sync(() => {
        life.sent += 1
        const addressed = typeof to === "string" ? to : "member" in to ? to.member : "local"
        life.notes.note({ _tag: "sent", to: addressed, since })
      })),
      Effect.ignore,
      Effect.uninterruptible
    )
  })

type Outcome = "on" | "over" | "stopped"

const enter = (life: Life, { playing: { mode }, stop }: Play): Effect.Effect<Outcome> => {
  const entered = life.barrier.enter(mode, { mode, deadline: 400 }).pipe(
    Effect.map(({ round, term }): Outcome => {
      life.notes.note({ _tag: "returned", name: mode, term, round, mode })
      return "on"
    }),
    Effect.catch((error) => failed(life, error))
  )
  return Effect.raceFirst(entered, Deferred.await(stop))
}

const failed = ({ notes }: Life, error: BarrierError): Effect.Effect<Outcome> => {
  if (error._tag === "ShuttingDown") return Effect.succeed("over")
  const isRefusal = error._tag === "RangeLost" || error._tag === "ArrivalRefused" || error._tag === "ModeMismatch"
  if (isRefusal || (error._tag === "CoordinatorLost" && error.reason === "died")) {
    notes.note({ _tag: "failed", why: `${error._tag} ${error.message}` })
    return Effect.succeed("over")
  }
  return Effect.as(Effect.sleep(2), "on")
}

const begin = (life: Life, playing: Playing) =>
  Effect.gen(function*() {
    const [stop, ended, played] = [
      Deferred.makeUnsafe<"stopped">(),
      Deferred.makeUnsafe<void>(),
      Deferred.makeUnsafe<void>()
    ]
    const play: Play = { playing, random: randomOf(playing.seed), stop, ended }
    life.play = play
    life.notes.doom(playing.doom)
    // Start it at once: a leaving member could otherwise end it before it begins, and it would never report its end.
    yield* Effect.forkIn(script(life, play, played), life.scope, { startImmediately: true })
    yield* Deferred.await(played)
  })

const stop = (life: Life) =>
  Effect.gen(function*() {
    const { play } = life
    life.play = undefined
    life.notes.doom(undefined)
    if (play !== undefined) {
      yield* Deferred.succeed(play.stop, "stopped")
      yield* Deferred.await(play.ended)
    }
    return life.coordinator.coordinates()
  })

/** After it, all messages sent before have arrived. */
const settle = ({ barrier, notes }: Life) =>
  Effect.map(
    barrier.enter("settled", { mode: "processingFence", deadline: "10 seconds" }),
    ({ mode, round, term }) => notes.note({ _tag: "returned", name: "settled", term, round, mode })
  )

const leave = (life: Life) =>
  Effect.gen(function*() {
    life.notes.note({ _tag: "gone" })
    yield* life.coordinator.leave
    yield* Scope.close(life.scope, Exit.void)
    life.notes.close()
  })

let life: Life | undefined

const living = <A, E>(obeyed: (life: Life) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => life === undefined ? Effect.die("it is no member") : obeyed(life))

const obey = (order: FenceOrder): Effect.Effect<unknown, unknown> => {
  switch (order._tag) {
    case "join":
      return Effect.map(join(order), (joined) => void (life = joined))
    case "play":
      return living((life) => begin(life, order))
    case "stop":
      return living(stop)
    case "settle":
      return living(settle)
    case "leave":
      return living(leave)
    // False when it stays: it coordinates by now, and there may be no standby to take over from it.
    case "depart":
      return living((life) => life.coordinator.coordinates() ? Effect.succeed(false) : Effect.as(leave(life), true))
  }
}

process.on("message", ({ number, order }: { readonly number: number; readonly order: FenceOrder }) => {
  Effect.runFork(answering(number, obey(order)))
})
// The parent is gone.
process.once("disconnect", () => process.exit(0))
