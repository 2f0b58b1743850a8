/**
 * What this machine can do, measured natively: the limits that a benchmark's figures are held against.
 */
import * as Effect from "effect/Effect"
import type { RegionError } from "../services/CxlMemory.ts"
import { attemptPromise, nativeModule } from "./native/Faults.ts"

/** Round trip of one cache line between two threads that spin, in microseconds: tells how near two cores are. */
export const lineRoundTripMicros: Effect.Effect<number, RegionError> = Effect.flatMap(
  nativeModule,
  (native) => attemptPromise("", () => native.measureLineRoundTrip())
)

export interface CopyLimitOptions {
  readonly totalBytes: number
  /** Memory that the copy goes round in. */
  readonly ringBytes: number
  readonly blockBytes: number
  /** Bytes after which the writer tells the reader. Default: every block. At most 64 KiB. */
  readonly publishEveryBytes?: number | undefined
}

export interface CopyLimit {
  readonly seconds: number
  readonly bytes: number
  /** True when the reader's sum is the writer's. */
  readonly agree: boolean
}

/** One writer and one reader thread: the writer copies blocks into a ring, the reader adds up every byte of them. */
export const copyLimit = (options: CopyLimitOptions): Effect.Effect<CopyLimit, RegionError> =>
  Effect.flatMap(
    nativeModule,
    (native) =>
      attemptPromise("", () =>
        native.measureCopyLimit(
          options.totalBytes,
          options.ringBytes,
          options.blockBytes,
          options.publishEveryBytes ?? options.blockBytes
        ))
  )

/** Adds all bytes, as 64-bit words, to the number in `sum` (two words, low first). */
export const fold: Effect.Effect<(bytes: Uint8Array, sum: Uint32Array) => void, RegionError> = Effect.map(
  nativeModule,
  (native) => (bytes, sum) => native.foldInto(bytes, sum)
)
