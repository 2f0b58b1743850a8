/**
 * The log on disk: each replica follows the order of all topics with ack `durable`, and writes them to files of its own.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { RegionLost } from "./CxlMemory.ts"

export interface ReplicaOptions {
  /** The directory of its files. It is created if it is missing, its parent must exist. */
  readonly dir: string
  /** Bytes that wait to be synced at which it syncs at once. Default 4 MiB. */
  readonly syncBytes?: number | undefined
  /** How long a record may wait for others that are synced with it. Default 10 ms; 0 syncs as fast as the disk can. */
  readonly syncInterval?: Duration.Input | undefined
  /** A segment file grows up to this, and by one group of batches beyond. Default 64 MiB. */
  readonly segmentBytes?: number | undefined
  /** What is kept on disk: whole segments go, the oldest first; a topic's last segment stays. Default: all. */
  readonly retention?: ReplicaRetention | undefined
}

export interface ReplicaRetention {
  /** Bytes of one topic. */
  readonly bytes?: number | undefined
  /** Age of a record since it was ordered. */
  readonly age?: Duration.Input | undefined
}

/**
 * - `waiting`: another process writes the directory; a takeover waits for its end.
 * - `catching up`: its files lack records, which it reads from memory or from another replica's files.
 * - `in sync`: it follows the log.
 * - `lapped`: it held up publishers while another replica was ahead, and was detached; or memory no longer holds the
 *   records behind its files. It reads them from another replica's files, if one has them.
 * - `failing`: its disk refuses to write or to read. It tries again.
 * - `damaged`: its files contradict what was written there, and no other replica has the records; or they are another
 *   log's.
 * - `stopped`: its server has ended.
 */
export type ReplicaCondition =
  | "waiting"
  | "catching up"
  | "in sync"
  | "lapped"
  | "failing"
  | "damaged"
  | "stopped"

/** How far a replica has come in one topic. */
export interface ReplicaProgress {
  readonly topic: string
  /** The batches and records below are on its disk. */
  readonly syncedBatches: number
  readonly syncedRecords: number
  /** Records that are committed and not on its disk yet. */
  readonly behindRecords: number
}

export interface ReplicaState {
  readonly dir: string
  /** The name of its readers, which publishers and `ringfence doctor` see. */
  readonly name: string
  readonly condition: ReplicaCondition
  /** The error, or what it waits for; empty while it is in sync. */
  readonly detail: string
  readonly topics: ReadonlyArray<ReplicaProgress>
  /** How often it has synced, and the bytes of records that it has synced. */
  readonly syncs: number
  readonly syncedBytes: number
}

/** A replica's condition has changed. */
export interface ReplicaEvent {
  readonly _tag: "ReplicaChanged"
  readonly dir: string
  readonly condition: ReplicaCondition
  readonly detail: string
}

/**
 * The replicas that this process writes: beside the log's memory if it serves the log, or as a client of it. A record of a topic with ack `durable` is acknowledged
 * once as many replicas as are required have synced it. A replica that is stuck, slow or failing is named here, in
 * its events, and in the errors of publishers that wait for it; it holds up no topic of another ack.
 *
 * @example
 * ```ts
 * import { CxlMemory, Log, Replica } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Stream from "effect/Stream"
 *
 * const Server = Log.layerServe({ replicas: [{ dir: "/var/lib/shop/a" }, { dir: "/mnt/other/shop" }] }).pipe(
 *   Layer.provideMerge(CxlMemory.layerShm({ region: "shop" }))
 * )
 * const watch = Replica.use(({ events }) =>
 *   Stream.runForEach(events, ({ condition, detail, dir }) => Effect.logInfo(`${dir}: ${condition} ${detail}`))
 * ).pipe(Effect.provide(Server))
 * ```
 */
export class Replica extends Context.Service<Replica, {
  /** How many replicas must have a record before it is acknowledged, those of other processes too; 0 without replicas. */
  readonly required: number
  readonly states: Effect.Effect<ReadonlyArray<ReplicaState>>
  /** Changes of conditions, as they happen; at most the last 256 of a slow reader. */
  readonly events: Stream.Stream<ReplicaEvent>
  /**
   * Returns once the log has ended in good order and what it had ordered is on the disks. Fails when the log is lost: its
   * server is gone, and no other process went on with it in time.
   */
  readonly ended: Effect.Effect<void, RegionLost>
}>()("ringfence/Replica") {}
