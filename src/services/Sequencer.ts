/**
 * The total order: one lease holder scans the lanes, orders the batches that it finds, and commits them epoch by epoch.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ProcessId } from "./schema/ProcessId.ts"
import type { Order } from "./schema/Topic.ts"

export interface SequencerOptions {
  /** How long an ordered batch may wait for its commit while other batches are held. Default 500 µs, at most 1 s. */
  readonly epochLinger?: Duration.Input | undefined
  /** `thread` (default) runs on its own; `manual` advances only by {@link Sequencer.step}, for tests. */
  readonly drive?: "thread" | "manual"
  /** Switches off the hold rule of order `session`, so that tests can see their order checks fail. */
  readonly unsafeIgnoreSessionOrder?: boolean
}

export interface SequencerStatus {
  readonly epoch: number
  readonly state: "serving" | "paused" | "stopped"
  readonly passes: number
  readonly commits: number
  readonly batches: number
  readonly messages: number
  readonly duplicates: number
  readonly purged: number
  readonly held: number
}

/** Events of the order and its sessions, as they happen. */
export type SequencerEvent =
  | ({ readonly _tag: "SessionOpened"; readonly sessionId: number; readonly topic: string } & ProcessId)
  | {
    readonly _tag: "SessionEnded"
    readonly sessionId: number
    readonly topic: string
    readonly order: Order
    readonly reason: "closed" | "died" | "corrupt"
    /** Of order `none`, which commits nothing: the batches and messages that were published. */
    readonly committedBatches: number
    readonly committedMessages: number
    readonly purgedBatches: number
  }
  | ({ readonly _tag: "ReaderEnded"; readonly topic: string; readonly reader: string } & ProcessId)
  | ({
    readonly _tag: "ReaderStalled"
    readonly topic: string
    readonly reader: string
    readonly behindBatches: number
  } & ProcessId)
  | {
    readonly _tag: "SessionGap"
    readonly sessionId: number
    readonly topic: string
    readonly batch: number
    readonly broker: number | undefined
    readonly held: number
    readonly sinceMillis: number
  }

/**
 * Orders every topic of the region. Exactly one process of a region runs it.
 *
 * @example
 * ```ts
 * import { Sequencer } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const follow = Sequencer.use(({ events }) => Stream.runForEach(events, (event) => Effect.log(event._tag)))
 * ```
 */
export class Sequencer extends Context.Service<Sequencer, {
  readonly epoch: number
  readonly status: Effect.Effect<SequencerStatus>
  /** Makes one pass over all lanes, under `drive: "manual"` or while paused. True when it changed anything. */
  readonly step: Effect.Effect<boolean>
  /** Stops ordering without giving up the lease: publishers fill their lanes, then wait. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly events: Stream.Stream<SequencerEvent>
}>()("ringfence/Sequencer") {}
