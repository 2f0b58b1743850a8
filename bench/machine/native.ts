/**
 * The typed interface of the measuring addon, which is built in this repository only, and the only file that loads it.
 */
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"
import { RegionError } from "../../src/services/schema/RegionError.ts"

export interface RoundTrips {
  readonly p50Micros: number
  readonly p99Micros: number
}

export interface CopyLimit {
  readonly seconds: number
  readonly bytes: number
  /** True if the reader's sum equals the writer's. */
  readonly agree: boolean
}

/** What a verb costs in nanoseconds, by hand and in each coherence; `flushed` is negative where it cannot be. */
export interface VerbCost {
  readonly verb: string
  readonly byHand: number
  readonly coherent: number
  readonly flushed: number
}

/** What a pass of the sequencer costs in nanoseconds, with one session. */
export interface PassCost {
  /** Between two sleeps, while nothing is published. */
  readonly idleNanos: number
  /** The same with one batch in each pass, and its publishing. */
  readonly batchNanos: number
  /** One that looks at everything, while nothing is published. */
  readonly wholeNanos: number
}

/** An attachment that writes rings. */
export interface PublishCost {
  /** The nanoseconds to write that many messages of that size to one of the rings, each published on its own. */
  nanos(ring: number, publishes: number, messageBytes: number): number
  close(): void
}

export interface Measuring {
  /** Adds every byte, as 64-bit words, to the number in `sum` (low word first). */
  foldInto(bytes: Uint8Array, sum: Uint32Array): void
  /**
   * The same of the payloads of frames that lie one behind the other and are numbered from `first` on, in their first
   * words. Returns how many there are, -1 when one is out of order.
   */
  foldFrames(bytes: Uint8Array, first: number, sum: Uint32Array): number
  measureCopyLimit(
    totalBytes: number,
    ringBytes: number,
    blockBytes: number,
    publishEveryBytes: number,
    flushed: boolean
  ): Promise<CopyLimit>
  measurePass(brokers: number, clients: number): Promise<PassCost>
  measureVerbs(): Promise<ReadonlyArray<VerbCost>>
  measureLineRoundTrip(): Promise<number>
  measureFutexRoundTrips(trips: number): Promise<RoundTrips>
  measureRingRoundTrips(trips: number, asleep: boolean): Promise<RoundTrips>
  readonly PublishCost: new(path: string, processName: string, rings: ReadonlyArray<string>) => PublishCost
}

/** The addon, loaded once. */
export const measuring: Effect.Effect<Measuring, RegionError> = Effect.try({
  try: () => createRequire(import.meta.url)("../../build/Release/ringfence-measure.node") as Measuring,
  catch: (cause) =>
    new RegionError({
      fault: "unsupported",
      region: "",
      detail: `the measuring addon does not load: ${cause instanceof Error ? cause.message : String(cause)}`,
      hint: "run `npm run build`"
    })
})
