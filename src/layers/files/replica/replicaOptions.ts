/**
 * Checks the options of replicas, and fills in what is not given.
 */
import type * as Effect from "effect/Effect"
import { millisOf } from "../../../services/input/DurationInput.ts"
import { readOptions, refuseUnless, refuseUnlessBytes } from "../../../services/input/OptionInvalid.ts"
import type { ReplicaOptions } from "../../../services/Replica.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Retention } from "../ReplicaFiles.ts"

/** The options of a server's replicas. */
export interface ReplicasOptions {
  /** Replicas of all topics with ack `durable`, which this process writes while it serves the log. Default: none. */
  readonly replicas?: ReadonlyArray<ReplicaOptions> | undefined
  /**
   * How many of them must have synced a record before it is acknowledged. Default: all. With fewer than all, a log is
   * restored from the replica that is furthest.
   */
  readonly durableCopies?: number | undefined
}

/** The options of a server that restores a log. */
export interface RestoreOptions {
  /**
   * A replica's directory, from which the log is restored: for a new region, when the former one is lost. It is refused if
   * it was not in sync. The other `replicas` go on with the log unless they are further: then restore from the furthest.
   * To be named among `replicas` too, if it shall go on.
   */
  readonly restore?: string | undefined
  /** Runs once the log is restored, before it is served. */
  readonly onRestored?: ((restored: Restored) => Effect.Effect<void>) | undefined
}

/** What was restored of a topic. */
export interface RestoredTopic {
  readonly topic: string
  readonly records: number
  readonly identities: number
  readonly cursors: number
}

/** What was restored. */
export interface Restored {
  readonly dir: string
  /** Counts the restores of the log. */
  readonly term: number
  readonly topics: ReadonlyArray<RestoredTopic>
}

export interface ResolvedReplica {
  readonly dir: string
  /** The name of its readers. */
  readonly name: string
  readonly syncBytes: number
  readonly syncMillis: number
  readonly segmentBytes: number
  readonly retention: Retention
}

export interface ResolvedReplicas {
  readonly replicas: ReadonlyArray<ResolvedReplica>
  readonly required: number
}

export const defaultSyncBytes = 4 * 1024 * 1024
export const defaultSyncMillis = 10
export const defaultSegmentBytes = 64 * 1024 * 1024

/** As many as a reader can say that its server requires. */
export const replicasMax = 255

export const resolveReplicas = (
  region: string,
  { durableCopies, replicas = [] }: ReplicasOptions
): Effect.Effect<ResolvedReplicas, RegionError> =>
  readOptions(region, () => {
    const dirs = new Set(replicas.map(({ dir }) => dir))
    refuseUnless(replicas.length <= replicasMax, "replicas", replicas.length, `at most ${replicasMax} directories`)
    refuseUnless(dirs.size === replicas.length, "replicas", [...dirs].join(", "), "different directories")
    const most = replicas.length
    const required = durableCopies ?? most
    const isPossible = Number.isSafeInteger(required) && required >= Math.min(1, most) && required <= most
    refuseUnless(isPossible, "durableCopies", required, `1 to the number of replicas, ${most}`)
    return { required, replicas: replicas.map(resolved) }
  })

// --- internal ---

const resolved = (options: ReplicaOptions): ResolvedReplica => {
  const { dir, retention, segmentBytes = defaultSegmentBytes, syncBytes = defaultSyncBytes } = options
  refuseUnless(dir !== "" && !dir.includes("\0"), "replicas.dir", JSON.stringify(dir), "the path of a directory")
  refuseUnlessBytes("replicas.syncBytes", syncBytes, 1)
  refuseUnlessBytes("replicas.segmentBytes", segmentBytes, 4096)
  if (retention?.bytes !== undefined) refuseUnlessBytes("replicas.retention.bytes", retention.bytes, 1)
  return {
    dir,
    name: nameOf(dir),
    syncBytes,
    syncMillis: millisOf("replicas.syncInterval", options.syncInterval ?? defaultSyncMillis),
    segmentBytes,
    retention: {
      bytes: retention?.bytes,
      millis: retention?.age === undefined ? undefined : millisOf("replicas.retention.age", retention.age)
    }
  }
}

/** Names of readers are short: of a long path its end says most. */
const nameBytesMax = 31

const nameOf = (dir: string): string => {
  const bytes = new TextEncoder().encode(dir)
  if (bytes.length <= nameBytesMax) return dir
  // The cut may have hit the middle of a character.
  const end = new TextDecoder().decode(bytes.slice(3 - nameBytesMax)).replace(/^\uFFFD+/, "")
  return `…${end}`
}
