/**
 * A topic as the files of a replica hold it: what can be read there.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { IndexedBatch, PositionTrimmed } from "../../services/Subscriber.ts"
import type { ReplicaReadError } from "./ReplicaError.ts"

/** A place between two batches of a topic: the index of the next batch, and the position of its first record. */
export interface Place {
  readonly index: number
  readonly position: number
}

/** The identity that published a batch, and the place of its first record among those of the identity. */
export interface BatchIdentity {
  readonly name: string
  readonly record: number
  readonly incarnation: number
}

/** A batch of a replica. It has all that a batch of the live log has, and its identity. Its bytes are lent. */
export interface StoredBatch extends IndexedBatch {
  readonly identity?: BatchIdentity | undefined
}

/** What is committed of an identity, and the number of its last session. */
export interface StoredIdentity {
  readonly committed: number
  readonly incarnation: number
}

/**
 * Reads one topic's batches in order. Its buffers take 20 MiB where it reads files through, because it reads ahead; and one
 * group of batches if that is larger.
 */
export interface StoredReader {
  /** Where the next batch begins. The first is the one that holds the position that was asked for. */
  readonly next: () => Place
  /**
   * The next batches, at least one; empty at the end. Their bytes are lent until the next pull. Another pull after the end
   * looks for more.
   */
  readonly pull: Effect.Effect<ReadonlyArray<StoredBatch>, ReplicaReadError | PositionTrimmed>
}

/** A topic's files for reading. */
export interface StoredTopic {
  readonly name: string
  readonly order: string
  readonly ack: string
  /** The oldest batch that the files have, and the place behind the last one. */
  readonly bounds: Effect.Effect<{ readonly start: Place; readonly end: Place }, ReplicaReadError>
  /** Identities of the topic as of the place behind the last batch. */
  readonly identities: Effect.Effect<ReadonlyMap<string, StoredIdentity>, ReplicaReadError>
  /** Identities as of the oldest batch: with these a copy of the files begins. */
  readonly startIdentities: Effect.Effect<ReadonlyMap<string, StoredIdentity>, ReplicaReadError>
  /** Reads from the batch that holds the position. Fails when retention has removed it. */
  readonly read: (
    position: number
  ) => Effect.Effect<StoredReader, ReplicaReadError | PositionTrimmed, Scope.Scope>
  /** Position of the first record that was ordered at that time (wall clock, milliseconds) or later; the end if none was. */
  readonly seek: (orderedMillis: number) => Effect.Effect<number, ReplicaReadError>
}
