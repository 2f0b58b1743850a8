/**
 * One replica of this server: what its writer shares with the other replicas and with reports.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { TopicState } from "../../../services/Diagnostics.ts"
import type { ReplicaEvent, ReplicaProgress, ReplicaState } from "../../../services/Replica.ts"
import type { Disk } from "../../ports/Disk.ts"
import type { FileLock } from "../../ports/FileLock.ts"
import type { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import { Condition } from "./Condition.ts"
import type { ResolvedReplica } from "./replicaOptions.ts"
import type { TopicFollower } from "./TopicFollower.ts"

/** What all replicas of a server share. */
export interface ReplicaWork {
  readonly log: ReplicatedLog["Service"]
  /** The region whose log is replicated, which no other region ever is. */
  readonly regionId: string
  readonly disk: Disk
  readonly lock: FileLock
  readonly required: number
  /** How often it may look for new topics, in milliseconds: each look inspects the whole log. */
  readonly lookMillis: number
  /** Open once the server has ended: each replica writes what is committed, and ends. */
  readonly ending: Latch.Latch
  isEnding: boolean
}

export class Member {
  readonly options: ResolvedReplica
  /** The directories of the other replicas of this server. */
  readonly peers: ReadonlyArray<string>
  readonly condition: Condition
  readonly followers = new Map<string, TopicFollower>()
  /** Wakes its writer. */
  readonly woken = Latch.makeUnsafe(false)
  syncs = 0
  syncedBytes = 0

  constructor(options: ResolvedReplica, peers: ReadonlyArray<string>, tell: (event: ReplicaEvent) => void) {
    this.options = options
    this.peers = peers
    this.condition = new Condition(options.dir, tell)
  }

  /** Whether it follows the log in all topics. */
  get isLive(): boolean {
    return [...this.followers.values()].every((follower) => follower.isLive)
  }

  /** Bytes that were appended and are not durable yet. */
  get stagedBytes(): number {
    return [...this.followers.values()].reduce((sum, { files }) => sum + files.stagedBytes(), 0)
  }

  /** Of these, the bytes that no commit has begun to write. */
  get waitingBytes(): number {
    return [...this.followers.values()].reduce((sum, { files }) => sum + files.waitingBytes(), 0)
  }

  /** The batches below are on its disk. */
  syncedIn(topic: string): number {
    return this.followers.get(topic)?.files.synced().index ?? 0
  }

  /**
   * Detaches its reader of the topic, which holds up publishers while another replica is ahead. Its writer need not run for
   * that: its disk may stand still.
   */
  lap(topic: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const follower = this.followers.get(topic)
      if (follower === undefined || !follower.isLive) return Effect.void
      follower.isLapped = true
      follower.isAtPeersEnd = false
      return Effect.andThen(follower.leave, Effect.sync(() => this.woken.openUnsafe()))
    })
  }

  state(topics: ReadonlyArray<TopicState>): ReplicaState {
    const { condition, followers, options, syncedBytes, syncs } = this
    return {
      dir: options.dir,
      name: options.name,
      condition: condition.condition,
      detail: condition.detail,
      topics: [...followers.values()].map((follower) => progressOf(follower, topics)),
      syncs,
      syncedBytes
    }
  }
}

// --- internal ---

const progressOf = ({ files, topic }: TopicFollower, topics: ReadonlyArray<TopicState>): ReplicaProgress => {
  const synced = files.synced()
  const committed = topics.find(({ name }) => name === topic.name)?.committedMessages ?? synced.position
  return {
    topic: topic.name,
    syncedBatches: synced.index,
    syncedRecords: synced.position,
    behindRecords: Math.max(0, committed - synced.position)
  }
}
