/**
 * Measures natively the limits of this machine, with which a benchmark's figures are compared.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { regionPath } from "../../src/layers/CxlMemory.ts"
import { attemptPromise } from "../../src/layers/native/region/NativeError.ts"
import type { Coherence } from "../../src/services/CxlMemory.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import { answerBarely, askBarely, openDoorbell } from "./Doorbell.ts"
import { type CopyLimit, measuring, type PassCost, type RoundTrips, type VerbCost } from "./native.ts"
import { openPublishCost } from "./PublishCost.ts"

export type { CopyLimit, PassCost, RoundTrips, VerbCost } from "./native.ts"

/** Round trip of one cache line between two spinning threads, in microseconds: shows how near two cores are. */
export const lineRoundTripMicros: Effect.Effect<number, RegionError> = Effect.flatMap(
  measuring,
  (addon) => attemptPromise("", () => addon.measureLineRoundTrip())
)

/** The verbs of the publication discipline, beside the same instructions by hand. */
export const verbCosts: Effect.Effect<ReadonlyArray<VerbCost>, RegionError> = Effect.flatMap(
  measuring,
  (addon) => attemptPromise("", () => addon.measureVerbs())
)

/** A pass of the sequencer with one session, in a region with so many brokers and slots of sessions. */
export const passCost = (brokers: number, clients: number): Effect.Effect<PassCost, RegionError> =>
  Effect.flatMap(measuring, (addon) => attemptPromise("", () => addon.measurePass(brokers, clients)))

export interface CopyLimitOptions {
  readonly totalBytes: number
  /** Bytes of the buffer that the copy cycles through. */
  readonly ringBytes: number
  readonly blockBytes: number
  /** Bytes after which the writer signals the reader. Default: every block. At most 256 KiB. */
  readonly publishEveryBytes?: number | undefined
  /** Whether the writer writes back, and the reader invalidates, by instruction. Default: coherent. */
  readonly coherence?: Coherence | undefined
}

/** Measures a writer thread that copies blocks into a ring, and a reader thread that sums every byte. */
export const copyLimit = (options: CopyLimitOptions): Effect.Effect<CopyLimit, RegionError> =>
  Effect.flatMap(
    measuring,
    (addon) =>
      attemptPromise("", () =>
        addon.measureCopyLimit(
          options.totalBytes,
          options.ringBytes,
          options.blockBytes,
          options.publishEveryBytes ?? options.blockBytes,
          options.coherence === "flushed"
        ))
  )

/** One futex each way between two sleeping threads: the least time to wake and be woken. */
export const futexRoundTrips = (trips: number): Effect.Effect<RoundTrips, RegionError> =>
  Effect.flatMap(measuring, (addon) => attemptPromise("", () => addon.measureFutexRoundTrips(trips)))

/** A message of 64 bytes each way through two rings, between native threads that sleep or spin. */
export const ringRoundTrips = (
  options: { readonly trips: number; readonly asleep: boolean }
): Effect.Effect<RoundTrips, RegionError> =>
  Effect.flatMap(
    measuring,
    (addon) => attemptPromise("", () => addon.measureRingRoundTrips(options.trips, options.asleep))
  )

/** One end of a bare round trip between two sleeping event loops: futex, waiting thread, call, and back. */
export interface BareEnd {
  /** The round trips in microseconds. The peer answers as many. */
  readonly ask: (peer: string, trips: number) => Effect.Effect<Float64Array, RegionError>
  readonly answer: (peer: string, trips: number) => Effect.Effect<void, RegionError>
}

/** Attaches to an otherwise unused region, under the name by which the peer finds this process. */
export const bareEnd = (region: string, processName: string): Effect.Effect<BareEnd, RegionError, Scope.Scope> =>
  Effect.map(openDoorbell(regionPath(region), processName), (doorbell): BareEnd => ({
    ask: (peer, trips) => askBarely(doorbell, peer, trips),
    answer: (peer, trips) => answerBarely(doorbell, peer, trips)
  }))

/** Attaches as the writer of these rings, and measures natively the time to publish messages to one of them. */
export const publishCost = (
  region: string,
  processName: string,
  rings: ReadonlyArray<string>
): Effect.Effect<
  (ring: string, publishes: number, messageBytes: number) => number,
  RegionError,
  Scope.Scope
> => openPublishCost(regionPath(region), processName, rings)

/** Adds all bytes, as 64-bit words, to the number in `sum` (two words, low first). */
export const fold: Effect.Effect<(bytes: Uint8Array, sum: Uint32Array) => void, RegionError> = Effect.map(
  measuring,
  (addon) => (bytes, sum) => addon.foldInto(bytes, sum)
)

/** The same of a span of frames (`RingBatch.span`) whose payloads are numbered; returns their number, -1 out of order. */
export const foldFrames: Effect.Effect<
  (bytes: Uint8Array, first: number, sum: Uint32Array) => number,
  RegionError
> = Effect.map(measuring, (addon) => (bytes, first, sum) => addon.foldFrames(bytes, first, sum))
