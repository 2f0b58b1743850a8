/**
 * The total order: one lease holder scans the lanes, orders the batches that it finds, and commits them epoch by epoch.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { NamedProcess, type ProcessId, showProcess } from "./schema/ProcessId.ts"
import type { Order } from "./schema/Topic.ts"

export interface SequencerOptions {
  /** How long an ordered batch may wait for its commit while other batches are held. Default 500 µs, at most 1 s. */
  readonly epochLinger?: Duration.Input | undefined
  /**
   * How long a batch of a session may be missing while later ones wait for it, before the session is fenced: it ends at its
   * committed prefix, and its publisher resumes with the rest in another session as soon as it runs. Only time counts in
   * which the sequencer itself could have taken the batch. Order `session` only: no other has such gaps. Default 30
   * seconds; 0 waits for ever.
   */
  readonly lease?: Duration.Input | undefined
  /** `thread` (default) runs on its own; `manual` advances only by {@link Sequencer.step}, for tests. */
  readonly drive?: "thread" | "manual"
  /**
   * Whether the log outlives this server's good end too: its region keeps it, and the next server or a standby continues
   * it. Default false: the log ends, and its readers read it to the end.
   */
  readonly keep?: boolean | undefined
  /** Switches off the hold rule of order `session`, so that tests can see their order checks fail. */
  readonly unsafeIgnoreSessionOrder?: boolean
}

export interface SequencerStatus {
  readonly epoch: number
  readonly state: "serving" | "paused" | "stopped" | "deposed"
  readonly passes: number
  readonly commits: number
  readonly batches: number
  readonly messages: number
  readonly duplicates: number
  readonly purged: number
  readonly held: number
}

/**
 * This process continues the log of a server that was killed, was stopped for too long, or kept the log at its end. All
 * that was acknowledged is there, in the same order; sessions and subscribers go on.
 */
export interface TakenOver {
  readonly _tag: "TakenOver"
  /** Counts the servers of the log, those included that died before they served. */
  readonly epoch: number
  /**
   * The process that served it before, unless that is lost. Its name is empty when another process has its place in the
   * table of processes.
   */
  readonly former: NamedProcess | undefined
  /** Records in the order, over all topics, kept or trimmed; batches that are kept; sessions that go on. */
  readonly records: number
  readonly keptBatches: number
  readonly openSessions: number
  /** How long the recovery took, from its beginning to the first pass. */
  readonly recoveryMillis: number
}

/**
 * Another process has taken over the log, because this one was stopped or did not run for longer than a standby tolerates.
 * Nothing that this process has ordered since is believed; what it acknowledged before stands.
 */
export class Deposed extends Schema.TaggedError<Deposed>()("Deposed", {
  region: Schema.String,
  epoch: Schema.Number,
  /** The process that serves the log now, unless its name is lost. */
  by: Schema.optionalKey(NamedProcess)
}) {
  override get message(): string {
    const who = this.by === undefined ? "another process" : showProcess(this.by)
    return `${who} has taken over the log of region "${this.region}", because this process did not run for a time`
  }
}

/**
 * Why a session ended. `closed` by its client; `died`: with its process; `corrupt`: its lane held an invalid batch;
 * `outlived`: a gap lasted longer than the lease, and its publisher resumes when it runs again; `fenced`: a newer session
 * has its identity.
 */
export type SessionEnd = "closed" | "died" | "corrupt" | "outlived" | "fenced"

/** Events of the order and its sessions, as they happen. */
export type SequencerEvent =
  | TakenOver
  | { readonly _tag: "Deposed"; readonly epoch: number; readonly by: NamedProcess | undefined }
  | ({
    readonly _tag: "SessionOpened"
    readonly sessionId: number
    readonly topic: string
    /** Its identity, if it has one, and the session's number among those of the identity, from 1. */
    readonly identity?: string
    readonly incarnation?: number
  } & ProcessId)
  | {
    readonly _tag: "SessionEnded"
    readonly sessionId: number
    readonly topic: string
    readonly order: Order
    readonly reason: SessionEnd
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
    /** Whether it writes a replica, and is no subscriber. */
    readonly isReplica: boolean
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
 * Orders every topic of the region. Exactly one process of a region is believed to run it: the one of the largest epoch.
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
  /** Fails once another process has taken over the log: race it with what only the log's server may do. */
  readonly lost: Effect.Effect<never, Deposed>
  /** Begins with `TakenOver` if this process has taken the log over. */
  readonly events: Stream.Stream<SequencerEvent>
}>()("ringfence/Sequencer") {}
