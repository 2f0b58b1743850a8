/**
 * The single measurements of the rings and of their references. Each starts its own processes.
 */
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { RingTrips, type TripStrategy } from "../../src/programs/bench/jobs.ts"
import * as Children from "../../src/programs/processes/spawn.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import { type Figure, figure, latencyFigure } from "../harness/comparison.ts"
import * as Machine from "../machine/Machine.ts"
import { BareTrips, RingReader, RingSleepers, RingWriter } from "./jobs.ts"

const mebibyte = 1024 * 1024

export type MeasureError = RegionError | Children.ChildError

export type Measuring<A = ReadonlyArray<Figure>> = Effect.Effect<A, MeasureError, ChildProcessSpawner>

/** Bytes of a ring, and of the buffer of the copy limit. */
export const ringBytes = 8 * mebibyte

/** Messages of one publication, if they are batched. */
export const batchMessages = 64

/** Bare wake-ups measured beside other measurements. */
export const bareTrips = 5000

export interface Stream {
  readonly messageBytes: number
  readonly messages: number
  readonly readers: number
  readonly batched: boolean
  /** The readers hand what a look has shown to native code at once. */
  readonly bySpan?: boolean
}

/** One writer process, and reader processes that read every byte. */
export const streamFigure = (key: string, stream: Stream): Measuring =>
  inNewRegion((region) =>
    Effect.gen(function*() {
      const { batched, bySpan = false, messageBytes, messages, readers } = stream
      const warmup = Math.ceil(messages / 4)
      const common = { region, warmup, messages }
      const messagesPerPublish = batched ? batchMessages : 1
      const writer = yield* Children.started(RingWriter, "writer", {
        ...common,
        name: "writer",
        messageBytes,
        messagesPerPublish
      })
      const reading = yield* Effect.forEach(
        Array.from({ length: readers }, (_, i) => `reader-${i}`),
        // Sum messages of up to 1 KiB in JavaScript: a native call for each would cost more than the sum.
        (name) =>
          Children.started(RingReader, name, {
            ...common,
            name,
            fold: bySpan ? "span" : messageBytes <= 1024 ? "javascript" : "native"
          })
      )
      yield* writer.tell("begin")
      const written = yield* writer.result
      const seen = yield* Children.all(reading, ({ result }) => result)
      yield* Children.end([writer, ...reading])
      const seconds = (Math.max(...seen.map(({ lastMillis }) => lastMillis)) - written.firstMillis) / 1000
      const agrees = seen.every(({ disordered, sum }) => disordered === 0 && sum === written.sum)
      const values = {
        messagesPerSecond: messages / seconds,
        gigabytesPerSecond: messages * messageBytes / 1e9 / seconds,
        writerCores: written.cores,
        readerCores: seen.reduce((sum, { cores }) => sum + cores, 0) / readers
      }
      return [figure(key, values, agrees)]
    })
  )

/**
 * The machine's own limit: one thread copies messages of that size and signals another after each, which reads them.
 */
export const copyLimitFigure = (key: string, { messageBytes, messages }: Stream): Measuring =>
  Effect.map(
    Machine.copyLimit({ totalBytes: Math.max(mebibyte, messages * messageBytes), ringBytes, blockBytes: messageBytes }),
    ({ agree, bytes, seconds }) => [
      figure(
        key,
        { messagesPerSecond: bytes / messageBytes / seconds, gigabytesPerSecond: bytes / 1e9 / seconds },
        agree
      )
    ]
  )

/** Two processes, a message of 64 bytes each way. */
export const tripsFigure = (key: string, strategy: TripStrategy, trips: number): Measuring =>
  inNewRegion((region) =>
    Effect.gen(function*() {
      const job = { region, strategy, ...tripsOf(trips) }
      // Each side waits for the other's ring.
      const asks = yield* Children.spawn(RingTrips, "asks", { ...job, name: "asks", asks: true })
      const answers = yield* Children.spawn(RingTrips, "answers", { ...job, name: "answers", asks: false })
      yield* Children.all([asks, answers], ({ ready }) => ready)
      yield* asks.tell("begin")
      const latency = yield* asks.result
      yield* Children.end([asks, answers])
      return [latencyFigure(key, [latency])]
    })
  )

/** Readers that are killed in their sleep. */
export const deadSleepers = 30

/**
 * The native cost of a publication, on a ring without readers and on a ring whose readers were all killed in their
 * sleep. The two are measured alternately, including the first publication, which finds all dead readers.
 */
export const publishFigures = (keys: { readonly alone: string; readonly dead: string }): Measuring =>
  inNewRegion((region) =>
    Effect.gen(function*() {
      const rings = { alone: "alone", dead: "dead" }
      const nanosOf = yield* Machine.publishCost(region, "writer", Object.values(rings))
      const job = { region, name: "sleeper", ring: rings.dead, sleepers: deadSleepers }
      const sleepers = yield* Children.started(RingSleepers, "sleepers", job)
      yield* Effect.sync(() => process.kill(sleepers.pid, "SIGKILL"))
      yield* Effect.exit(sleepers.finished)
      const once = (ring: string) => nanosOf(ring, publishesInBlock, publishedBytes) / publishesInBlock
      once(rings.alone)
      const first = once(rings.dead)
      const blocks = Array.from({ length: publishBlocks }, () => [once(rings.alone), once(rings.dead)] as const)
      const valuesOf = (nanos: ReadonlyArray<number>) => ({
        p50Nanos: percentileOf(nanos, 0.5),
        p99Nanos: percentileOf(nanos, 0.99)
      })
      return [
        figure(keys.alone, valuesOf(blocks.map(([alone]) => alone))),
        figure(keys.dead, { ...valuesOf(blocks.map(([, dead]) => dead)), firstNanos: first })
      ]
    }), { processes: deadSleepers + 2, ringReaders: deadSleepers })

/** Two processes that only wake each other's event loop. */
export const bareFigure = (key: string, trips: number): Measuring =>
  inNewRegion((region) =>
    Effect.gen(function*() {
      const job = { region, ...tripsOf(trips) }
      const asks = yield* Children.started(BareTrips, "asks", { ...job, name: "asks", asks: true, peer: "answers" })
      const answers = yield* Children.started(BareTrips, "answers", {
        ...job,
        name: "answers",
        asks: false,
        peer: "asks"
      })
      yield* Children.all([answers, asks], ({ tell }) => tell("begin"))
      const latency = yield* asks.result
      yield* Children.end([asks, answers])
      return [latencyFigure(key, [latency])]
    })
  )

export const futexFigure = (key: string, trips: number): Measuring =>
  Effect.map(Machine.futexRoundTrips(trips), (latency) => [figure(key, { ...latency })])

export const nativeRingFigure = (key: string, options: { trips: number; asleep: boolean }): Measuring =>
  Effect.map(Machine.ringRoundTrips(options), (latency) => [figure(key, { ...latency })])

export const lineFigure = (key: string): Measuring =>
  Effect.map(Machine.lineRoundTripMicros, (p50Micros) => [figure(key, { p50Micros })])

/** The numbers of timed round trips and of those for warm-up. */
export const tripsOf = (trips: number) => ({ trips, warmup: Math.ceil(trips / 4) })

// --- internal ---

/** Publications between two readings of the clock, and the number of such blocks. */
const publishesInBlock = 1000
const publishBlocks = 2000
const publishedBytes = 64

const percentileOf = (values: ReadonlyArray<number>, fraction: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(fraction * (values.length - 1))] ?? NaN

const inNewRegion = <A>(
  work: (region: string) => Effect.Effect<A, MeasureError, ChildProcessSpawner | Scope.Scope>,
  sizes: { readonly processes?: number; readonly ringReaders?: number } = {}
): Measuring<A> => {
  const region = `bench-${process.pid}`
  const memory = CxlMemory.layerShm({
    region,
    geometry: { ...Swarm.geometry(), ...ringsOfABench, ...sizes },
    processName: "bench"
  })
  return work(region).pipe(Effect.scoped, Effect.provide(memory))
}

const ringsOfABench = { processes: 8, rings: 2, ringReaders: 4, ringBytes }
