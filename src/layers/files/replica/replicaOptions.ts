/**
 * Checks the options of replicas, and fills in what is not given.
 */
import type * as Effect from "effect/Effect"
import { resolve } from "node:path"
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
   * How many replicas must have synced a record before it is acknowledged. With fewer than all, a log is restored from the
   * replica that is furthest. More than these counts replicas of other processes in (`layerReplica`). The log keeps the
   * number when the server is killed. Default: as many as it has kept, and at least all of these.
   */
  readonly durableCopies?: number | undefined
}

/** The options of a replica that a process of its own writes. */
export interface ReplicaClientOptions extends ReplicaOptions {
  /**
   * Directories of the log's other replicas on this host, which the process must be allowed to read: what memory no longer
   * has is read there. Default: none.
   */
  readonly peers?: ReadonlyArray<string> | undefined
  /**
   * How many replicas must have synced a record before it is acknowledged, while this one is attached. The largest number
   * that the server or an attached replica says counts. Default: this one and all its peers.
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

export interface ResolvedReplicaClient {
  readonly replica: ResolvedReplica
  readonly peers: ReadonlyArray<string>
  readonly required: number
}

/** As many as a reader can say that are required. */
export const replicasMax = 255

export const resolveReplicas = (
  region: string,
  { durableCopies, replicas = [] }: ReplicasOptions
): Effect.Effect<ResolvedReplicas, RegionError> =>
  readOptions(region, () => {
    refuseUnless(replicas.length <= replicasMax, "replicas", replicas.length, `at most ${replicasMax} directories`)
    refuseUnlessDifferent("replicas", replicas.map(({ dir }) => dir), "different directories")
    if (durableCopies !== undefined) refuseUnlessCopies(durableCopies)
    const required = durableCopies ?? replicas.length
    return { required, replicas: replicas.map((replica) => resolved(replica, "replicas.")) }
  })

export const resolveReplicaClient = (
  region: string,
  { durableCopies, peers = [], ...options }: ReplicaClientOptions
): Effect.Effect<ResolvedReplicaClient, RegionError> =>
  readOptions(region, () => {
    const dirs = [options.dir, ...peers]
    refuseUnlessDifferent("peers", dirs, "different directories, without its own", peers)
    const required = durableCopies ?? peers.length + 1
    refuseUnlessCopies(required)
    return { required, peers, replica: resolved(options, "") }
  })

// --- internal ---

/** One directory is one copy, however its path is written. */
const refuseUnlessDifferent = (
  option: string,
  dirs: ReadonlyArray<string>,
  wanted: string,
  shown: ReadonlyArray<string> = dirs
): void => {
  const isDifferent = new Set(dirs.map((dir) => resolve(dir))).size === dirs.length
  refuseUnless(isDifferent, option, shown.join(", "), wanted)
}

const refuseUnlessCopies = (required: number): void => {
  const isPossible = Number.isSafeInteger(required) && required >= 1 && required <= replicasMax
  refuseUnless(isPossible, "durableCopies", required, `1 to ${replicasMax}`)
}

/** `of`: what precedes the options' names. */
const resolved = (options: ReplicaOptions, of: "" | "replicas."): ResolvedReplica => {
  const { dir, retention, segmentBytes = defaultSegmentBytes, syncBytes = defaultSyncBytes } = options
  refuseUnless(dir !== "" && !dir.includes("\0"), `${of}dir`, JSON.stringify(dir), "the path of a directory")
  refuseUnlessBytes(`${of}syncBytes`, syncBytes, 1)
  refuseUnlessBytes(`${of}segmentBytes`, segmentBytes, 4096)
  if (retention?.bytes !== undefined) refuseUnlessBytes(`${of}retention.bytes`, retention.bytes, 1)
  return {
    dir,
    name: nameOf(dir),
    syncBytes,
    syncMillis: millisOf(`${of}syncInterval`, options.syncInterval ?? defaultSyncMillis),
    segmentBytes,
    retention: {
      bytes: retention?.bytes,
      millis: retention?.age === undefined ? undefined : millisOf(`${of}retention.age`, retention.age)
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
