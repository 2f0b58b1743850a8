/**
 * The measurements of `ringfence bench`: each starts and ends its own processes.
 */
import * as Effect from "effect/Effect"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Swarm from "../../layers/Swarm.ts"
import { planRegion } from "../cli/region-plan.ts"
import * as LogRun from "../log-trial/run.ts"
import * as Histogram from "../measure/histogram.ts"
import type { LatencyHistogram } from "../measure/latency.ts"
import * as Children from "../processes/spawn.ts"
import {
  BarrierMember,
  benchTopic,
  CallClient,
  CallServer,
  LogPublisher,
  LogSubscriber,
  RingTrips,
  type TripStrategy
} from "./jobs.ts"
import type { Measured, MeasurementName } from "./report.ts"

export const recordBytes = 1024
const mebibyte = 1024 * 1024
const brokers = 4
const barrierMembers = 4
/** The fraction of the measured rate at which acknowledgements are timed: low enough that they do not queue. */
const paceFraction = 0.1

/** At `scale` 1 each measurement takes a second or two. */
const sizesOf = (scale: number) => {
  const scaled = (count: number) => Math.max(1, Math.round(count * scale))
  return {
    logRecords: scaled(2048) * 1024,
    warmupRecords: 64 * 1024,
    pacedRecords: scaled(512) * 1024,
    spinTrips: scaled(400_000),
    sleepTrips: scaled(10_000),
    calls: scaled(10_000),
    barriers: scaled(3000)
  }
}

const warmed = (count: number) => Math.ceil(count / 4)

// What one publisher and one subscriber observe. Only acknowledged records are paced.
const runLog = (scale: number, order: "session" | "none") =>
  Effect.gen(function*() {
    const { logRecords, pacedRecords, warmupRecords } = sizesOf(scale)
    const region = yield* planRegion(`bench-${process.pid}`, { brokers, clients: 1, readers: 1, topics: 1 })
    const paced = order === "none" ? 0 : pacedRecords
    const records = warmupRecords + logRecords + paced
    const { publishers, subscribers } = yield* LogRun.run({
      label: undefined,
      region,
      serve: { topics: [benchTopic(order)] },
      records,
      publisher: LogPublisher,
      publishers: [{
        region: region.name,
        name: "publisher",
        order,
        recordBytes,
        warmupRecords,
        records: logRecords,
        pacedRecords: paced,
        paceFraction
      }],
      subscriber: LogSubscriber,
      subscribers: [{ region: region.name, name: "subscriber", order, records }]
    })
    return { logRecords, published: publishers[0]!.result, seen: subscribers[0]!.result }
  })

const throughput = (name: string, what: string, records: number, millis: number): Measured => ({
  name,
  what: `${records.toLocaleString("en-US")} records of 1 KiB, ${what}`,
  gigabytesPerSecond: records * recordBytes / 1e6 / millis,
  recordsPerSecond: 1000 * records / millis
})

const measureLog = (scale: number) =>
  Effect.gen(function*() {
    const session = yield* runLog(scale, "session")
    const none = yield* runLog(scale, "none")
    const { firstOfferMillis, lastAckMillis, latency: acknowledgements } = session.published
    return [
      throughput(
        "throughput",
        "acknowledged and taken by a subscriber",
        session.logRecords,
        lastAckMillis - firstOfferMillis
      ),
      latency("acknowledgement", `of one record, at ${100 * paceFraction} % of that rate`, [acknowledgements]),
      throughput(
        "throughput, order none",
        "taken by a subscriber; nothing is acknowledged",
        none.logRecords,
        none.seen.lastMillis - none.published.firstOfferMillis
      )
    ]
  })

const latency = (name: string, what: string, parts: ReadonlyArray<LatencyHistogram>): Measured => {
  const { histogram, p50, p99 } = Histogram.merged(parts).percentiles()
  return { name, what, p50Micros: p50, p99Micros: p99, latency: histogram }
}

const ringsForTrips = { processes: 8, rings: 2, ringReaders: 4, ringBytes: mebibyte }

const measureTrips = (strategy: TripStrategy, trips: number) => {
  const region = `bench-${process.pid}`
  const memory = CxlMemory.layerShm({
    region,
    geometry: { ...Swarm.geometry(), ...ringsForTrips },
    processName: "bench"
  })
  return Effect.gen(function*() {
    const job = { region, strategy, trips, warmup: warmed(trips) }
    // Each side waits for the other's ring.
    const asks = yield* Children.spawn(RingTrips, "asks", { ...job, name: "asks", asks: true })
    const answers = yield* Children.spawn(RingTrips, "answers", { ...job, name: "answers", asks: false })
    yield* Children.all([asks, answers], ({ ready }) => ready)
    yield* asks.tell("begin")
    const result = yield* asks.result
    yield* Children.end([asks, answers])
    return result
  }).pipe(Effect.scoped, Effect.provide(memory))
}

const measureRoundTrips = (scale: number) =>
  Effect.gen(function*() {
    const { sleepTrips, spinTrips } = sizesOf(scale)
    const spinning = yield* measureTrips("spin", spinTrips)
    const asleep = yield* measureTrips("park", sleepTrips)
    return [
      latency("round trip, spinning", "64 bytes each way over two rings", [spinning]),
      latency("round trip, asleep", "the same, each side asleep until it is rung", [asleep])
    ]
  })

const swarmJob = (members: number, strategy: "spin" | "park") => ({
  region: `bench-${process.pid}`,
  members,
  strategy
})

const measureCalls = (strategy: "spin" | "park", calls: number) =>
  Effect.gen(function*() {
    const job = { ...swarmJob(2, strategy), calls, warmup: warmed(calls) }
    const server = yield* Children.started(CallServer, "server", { ...job, name: "server", coordinates: true })
    const client = yield* Children.started(CallClient, "client", { ...job, name: "client", coordinates: false })
    const result = yield* client.result
    yield* Children.end([client])
    yield* Children.end([server])
    return result
  }).pipe(Effect.scoped)

const measureCall = (scale: number) =>
  Effect.gen(function*() {
    const { calls } = sizesOf(scale)
    return [
      latency(
        "call, spinning",
        "a typed RPC and its answer, between two processes",
        [yield* measureCalls("spin", calls)]
      ),
      latency("call, asleep", "the same, each side asleep until it is rung", [
        yield* measureCalls("park", calls)
      ])
    ]
  })

const measureBarrier = (scale: number) =>
  Effect.gen(function*() {
    const { barriers } = sizesOf(scale)
    const job = { ...swarmJob(barrierMembers, "park"), rounds: barriers, warmup: warmed(barriers) }
    // Start them one after the other: the first creates the region that the others join.
    const members = yield* Effect.forEach(
      Array.from({ length: barrierMembers }, (_, i) => i),
      (i) => Children.started(BarrierMember, `member-${i}`, { ...job, name: `member-${i}`, coordinates: i === 0 })
    )
    yield* Children.all(members, ({ tell }) => tell("begin"))
    const parts = yield* Children.all(members, ({ result }) => result)
    yield* Children.end(members)
    const what = `a delivery fence of ${barrierMembers} processes, each asleep until it is rung`
    return [latency("barrier", what, parts)]
  }).pipe(Effect.scoped)

export const measurements = {
  log: measureLog,
  "round-trip": measureRoundTrips,
  call: measureCall,
  barrier: measureBarrier
} as const satisfies Record<MeasurementName, unknown>
