/**
 * Kills the process that serves a log under load, again and again, and measures the pause until its standby acknowledges.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../../layers/CxlMemory.ts"
import * as Log from "../../../layers/Log.ts"
import { planRegion, type RegionPlan } from "../../cli/region-plan.ts"
import { writeNotice } from "../../cli/streams.ts"
import { killAndMeasure } from "../../log-trial/kill.ts"
import { type Servers, startServers, type TakeoverResult } from "../../log-trial/servers.ts"
import * as Children from "../../processes/spawn.ts"
import { Filler, LoadPublisher, LoadSubscriber, type Published, type Seen, TakeoverTopic } from "./jobs.ts"

export interface Takeover extends TakeoverResult {
  /** From SIGKILL to the first acknowledgement of the standby. */
  readonly pauseMillis: number
}

export interface Load {
  readonly takeovers: ReadonlyArray<Takeover>
  readonly published: Published
  readonly seen: Seen
}

/** Kills so many servers under load. */
export const takeOverUnderLoad = Effect.fnUntraced(function*(kills: number) {
  const region = yield* planRegion(`bench-${process.pid}`, { brokers: 4, clients: 1, readers: 1, topics: 1 })
  return yield* served(region, (servers) =>
    Effect.gen(function*() {
      const job = { region: region.name }
      const subscriber = yield* Children.started(LoadSubscriber, "subscriber", { ...job, name: "subscriber" })
      const publisher = yield* Children.started(LoadPublisher, "publisher", { ...job, name: "publisher" })
      yield* publisher.tell("begin")
      const takeovers: Array<Takeover> = []
      for (let kill = 1; kill <= kills; kill += 1) {
        takeovers.push(yield* Effect.raceFirst(takeOver(servers), failing([publisher, subscriber])))
        if (kill % killsPerNotice === 0) yield* writeNotice(`measuring: ${kill} of ${kills} kills`)
        yield* servers.standBy
      }
      yield* publisher.tell("finish")
      const published = yield* publisher.result
      yield* subscriber.tell("finish")
      const seen = yield* subscriber.result
      yield* Children.end([publisher, subscriber])
      const load: Load = { takeovers, published, seen }
      return load
    }))
})

/** The recoveries of a log that keeps so many entries, none of them released. */
export const recover = Effect.fnUntraced(function*(entries: number, recoveries: number) {
  const lanes = { brokers: 4, clients: 1 }
  const region = yield* planRegion(`bench-${process.pid}`, {
    ...lanes,
    readers: 1,
    topics: 1,
    indexEntries: spare * entries,
    laneSlots: spare * entries / lanes.brokers,
    batchBytes: 4096,
    laneBytes: spare * entries / lanes.brokers * bytesPerBatch
  })
  return yield* served(region, (servers) =>
    Effect.gen(function*() {
      const job = { region: region.name, name: "filler", batches: entries }
      const filler = yield* Children.started(Filler, "filler", job)
      yield* filler.result
      const found: Array<TakeoverResult> = []
      for (let recovery = 0; recovery < recoveries; recovery += 1) {
        found.push(yield* replaced(servers, killed))
        yield* servers.standBy
      }
      yield* Children.end([filler])
      return found
    }))
})

// --- internal ---

const killsPerNotice = 20

/** A batch of one record takes less of its lane, and a lane must hold eight of the largest. */
const bytesPerBatch = 64

/** The sequencer trims before the index or a lane is full. */
const spare = 2

// Runs the work as a client of a log that children serve.
const served = <A, E, R>(region: RegionPlan, work: (servers: Servers) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const { geometry, name } = region
    const topics = [TakeoverTopic]
    const servers = yield* startServers({
      region: name,
      geometry,
      coherence: "coherent",
      topics,
      unsafeIgnoreSessionOrder: false
    })
    const client = Log.layerClient().pipe(
      Layer.provideMerge(CxlMemory.layerAttach({ region: name, processName: "bench" }))
    )
    const result = yield* Effect.provide(Effect.scoped(work(servers)), client)
    yield* servers.end
    return result
  }))

const failing = (children: ReadonlyArray<Children.Child<unknown>>) =>
  Effect.andThen(Children.all(children, ({ result }) => result), Effect.never)

const replaced = <A, E, R>(servers: Servers, end: (victim: Children.Child<unknown>) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const victim = servers.serving()
    const standby = servers.promote()
    yield* end(victim)
    return yield* standby.result
  })

const takeOver = (servers: Servers) =>
  Effect.gen(function*() {
    let pauseMillis = 0
    const end = (victim: Children.Child<unknown>) =>
      Effect.map(killAndMeasure(victim, Effect.void), (killed) => void (pauseMillis = killed.pauseMillis))
    const result = yield* replaced(servers, end)
    const takeover: Takeover = { ...result, pauseMillis }
    return takeover
  })

const killed = (victim: Children.Child<unknown>) =>
  Effect.andThen(Effect.sync(() => process.kill(victim.pid, "SIGKILL")), Effect.ignore(victim.finished))
