/**
 * The port under replicas, which each backend implements: the durable topics of a log, readers of them that make records
 * durable by releasing them, and the restoration of a topic in an empty log.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TopicState } from "../../services/Diagnostics.ts"
import type { RegionError } from "../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../services/schema/Topic.ts"
import type { OpenReaderError } from "../../services/Subscriber.ts"
import type { CursorLook } from "./CursorPort.ts"
import type { IndexPort } from "./IndexPort.ts"
import type { LogWaiter } from "./Waiter.ts"

/** What a reader is that writes a replica. */
export interface ReplicaRole {
  /** How many replicas the server requires, 1 to 255: as many must have a record before it is acknowledged. */
  readonly required: number
  /**
   * Which replica it is, 1 to 2^48 - 1, the same over all processes that write its files one after the other. Readers of
   * one key count as one replica: its former writer may be dead and still attached.
   */
  readonly key: number
}

/** Where the counts of a restored topic begin. */
export interface TopicBase {
  /** Batches that were in its index before, and their records. */
  readonly batches: number
  readonly records: number
  /** When the last of them was committed: no batch gets an older time. Default 0. */
  readonly orderedMillis?: number | undefined
}

/** A cursor as the files of a replica keep it. */
export interface StoredCursor {
  readonly name: string
  readonly position: number
  readonly touchedMillis: number
  readonly expiresMillis: number
}

export class ReplicatedLog extends Context.Service<ReplicatedLog, {
  readonly region: string
  readonly waiter: LogWaiter
  /** The topics with ack `durable` that are declared now. */
  readonly topics: () => ReadonlyArray<TopicState>
  /** Their names alone, for a replica that looks for new ones all the time: a state costs a look at all of the log. */
  readonly topicNames: () => ReadonlyArray<string>
  /** The name of the reader of this process that holds up publishers of the topic now, if one does. */
  readonly gate: (topic: string) => string | undefined
  /**
   * Attaches a replica at a position of the topic, of which its files hold everything below: its `release` declares that
   * the batches below are on its disk. It gates publishers like a subscriber until the scope closes. Fails with
   * `PositionTrimmed` when memory no longer holds that position: catch up from the files of another replica first.
   */
  readonly attach: (
    topic: Topic<any>,
    options: { readonly name: string; readonly position: number; readonly role: ReplicaRole }
  ) => Effect.Effect<IndexPort, OpenReaderError, Scope.Scope>
  /** Declares a topic whose counts go on at a base. Fails with `RegionError` (`invalid`) if it is declared already. */
  readonly restoreTopic: (topic: Topic<any>, base: TopicBase) => Effect.Effect<void, TopicError | RegionError>
  /**
   * Names an identity of which so many records were committed before. Fails with `RegionError` (`invalid`) if the topic has
   * it already.
   */
  readonly restoreIdentity: (
    topic: Topic<any>,
    name: string,
    committed: number
  ) => Effect.Effect<void, TopicError | RegionError>
  /** The cursors of a topic, expired ones too, without those that were damaged. */
  readonly cursors: (topic: string) => CursorLook
  /** Names a cursor without a holder. Fails with `RegionError` (`invalid`) if the topic has it already. */
  readonly restoreCursor: (
    topic: Topic<any>,
    cursor: StoredCursor,
    nowMillis: number
  ) => Effect.Effect<void, TopicError | RegionError>
}>()("ringfence/layers/ReplicatedLog") {}
