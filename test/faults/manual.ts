/**
 * The two ends of a log whose sequencer advances only by steps, between which the test does what it wants.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { IndexPort } from "../../src/layers/ports/IndexPort.ts"
import type { LanePort } from "../../src/layers/ports/LanePort.ts"
import type { RegionLost } from "../../src/services/CxlMemory.ts"
import type { LogSnapshot } from "../../src/services/Diagnostics.ts"
import type { PublisherFenced } from "../../src/services/Publisher.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../src/services/schema/Topic.ts"
import type { From, PositionTrimmed } from "../../src/services/Subscriber.ts"

/** An end of the log, and the effect that closes it before the test ends. */
export interface Part<P> {
  readonly port: P
  readonly close: Effect.Effect<void>
}

export type OpenError = TopicError | RegionError | RegionLost | PositionTrimmed | PublisherFenced

export interface IdentityClaim {
  readonly identity: string
  /** The incarnation that it continues; 0, the default, takes the identity. */
  readonly continues?: number
}

export interface ManualLog {
  /** Opens a session; takes one step of the sequencer, which adopts it. */
  readonly open: (topic: Topic, claim?: IdentityClaim) => Effect.Effect<Part<LanePort>, OpenError, Scope.Scope>
  readonly attach: (topic: Topic, from: From) => Effect.Effect<Part<IndexPort>, OpenError, Scope.Scope>
  readonly step: Effect.Effect<boolean>
  readonly snapshot: Effect.Effect<LogSnapshot>
}

/** Runs the opening in a scope of its own, below the test's. */
export const scopedPart = <P, E>(
  opening: Effect.Effect<P, E, Scope.Scope>
): Effect.Effect<Part<P>, E, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const port = yield* opening.pipe(
      Scope.provide(scope),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    return { port, close: Scope.close(scope, Exit.void) }
  })

/** Writes one batch; false when the lane is full. The records carry `stamp`, so that mixed-up memory shows. */
export const writeBatch = (
  lanes: LanePort,
  broker: number,
  batch: { readonly sequence: number; readonly firstMessage: number; readonly lengths: ReadonlyArray<number> }
): boolean => {
  const room = lanes.begin(broker, batch.sequence)
  if (room === undefined) return false
  const payloadBytes = batch.lengths.reduce((sum, length) => sum + length, 0)
  const uniform = batch.lengths.every((length) => length === batch.lengths[0]) ? batch.lengths[0] ?? 0 : 0
  room.fill(stampOf(lanes.sessionId, batch.sequence), 0, payloadBytes)
  lanes.seal(broker, {
    batchSequence: batch.sequence,
    firstMessage: batch.firstMessage,
    messageCount: batch.lengths.length,
    payloadBytes,
    uniformBytes: uniform,
    lengths: Uint32Array.from(batch.lengths)
  })
  return true
}

export const stampOf = (sessionId: number, sequence: number): number => (sessionId * 37 + sequence * 11 + 1) & 0xff
