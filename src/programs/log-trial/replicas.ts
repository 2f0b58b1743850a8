/**
 * Replicas of a trial's log, each written by a process of its own.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { clientFields } from "../processes/log-client.ts"
import { type ChildProgram, programBeside } from "../processes/protocol.ts"
import * as Children from "../processes/spawn.ts"

export const ReplicaJob = Schema.Struct({
  ...clientFields,
  dir: Schema.String,
  peers: Schema.Array(Schema.String),
  durableCopies: Schema.Int,
  syncBytes: Schema.Int,
  /** Bytes of each topic that are kept, if not all. */
  keepsBytes: Schema.optionalKey(Schema.Int),
  /** Whether each sync of a file is timed. */
  timesSyncs: Schema.optionalKey(Schema.Boolean)
})
export type ReplicaJob = typeof ReplicaJob.Type

/**
 * When the sync of a file ended, on the clock that all processes share, how long it took, and the processor time that the
 * process had used by then.
 */
export const SyncTime = Schema.Struct({
  endedMillis: Schema.Finite,
  micros: Schema.Finite,
  processorMicros: Schema.Finite
})
export type SyncTime = typeof SyncTime.Type

/** How often the process synced, and the bytes of records that it synced. */
export const ReplicaResult = Schema.Struct({
  syncs: Schema.Int,
  syncedBytes: Schema.Int,
  /** Empty unless they were to be timed. */
  syncTimes: Schema.Array(SyncTime)
})
export type ReplicaResult = typeof ReplicaResult.Type

export const TrialReplica: ChildProgram<ReplicaJob, ReplicaResult> = {
  entry: programBeside(import.meta.url, "replica"),
  job: ReplicaJob,
  result: ReplicaResult
}

/** The replica's files cannot go on: the run cannot either. */
export class ReplicaUnwell extends Schema.TaggedError<ReplicaUnwell>()("ReplicaUnwell", {
  dir: Schema.String,
  condition: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `the replica in ${this.dir} is ${this.condition}: ${this.detail}`
  }
}

/** Ready once each follows the log. */
export const startReplicas = (jobs: ReadonlyArray<ReplicaJob>) =>
  Effect.gen(function*() {
    const replicas = yield* Effect.forEach(jobs, (job) => Children.spawn(TrialReplica, job.name, job))
    yield* Children.all(replicas, ({ ready }) => ready)
    return replicas
  })
