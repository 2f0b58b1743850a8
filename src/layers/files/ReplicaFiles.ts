/**
 * The files of one replica, for the one process that writes them.
 */
import type * as Effect from "effect/Effect"
import type { DiskError } from "../ports/Disk.ts"
import type { StoredCursor } from "../ports/ReplicatedLog.ts"
import type { ReplicaReadError } from "./ReplicaError.ts"
import type { Manifest } from "./ReplicaManifest.ts"
import type { Place, StoredBatch, StoredIdentity, StoredTopic } from "./StoredTopic.ts"

/** Where a topic's files begin when there are none yet. */
export interface TopicBase extends Place {
  /** What is committed of identities below it. */
  readonly identities?: ReadonlyMap<string, StoredIdentity> | undefined
}

/** What is kept: whole segments go, the oldest first, while either bound is passed; the last segment of a topic stays. */
export interface Retention {
  /** Bytes of one topic. Default: no bound. */
  readonly bytes?: number | undefined
  /** Age of a record since it was ordered, in milliseconds. Default: no bound. */
  readonly millis?: number | undefined
}

export interface ReplicaFilesOptions {
  /** The log to be replicated. `undefined` takes what the directory holds, and fails if it holds nothing. */
  readonly logId: string | undefined
  /** A segment grows up to this, unless a single group of batches is larger. Default 64 MiB. */
  readonly segmentBytes?: number | undefined
  readonly retention?: Retention | undefined
  /** Most bytes that `append` takes before the next `commit`; a larger batch is taken alone. Default 8 MiB. */
  readonly stagingBytes?: number | undefined
}

/** Segments that retention has removed. */
export interface Retained {
  readonly segments: number
  readonly bytes: number
}

/** A topic's files, for writing. */
export interface TopicFiles extends StoredTopic {
  /** Where the oldest batch of the files begins. */
  readonly start: () => Place
  /** Behind the last batch that is durable here. Never moves back. */
  readonly synced: () => Place
  /** Behind the last batch that was appended: the next one must begin there. */
  readonly end: () => Place
  /** Bytes appended and not yet durable. */
  readonly stagedBytes: () => number
  /** Of these, the bytes that no commit has begun to write. */
  readonly waitingBytes: () => number
  /** Identities as of `synced`. */
  readonly syncedIdentities: () => ReadonlyMap<string, StoredIdentity>
  /**
   * Copies the batch; writes nothing. `false`, and nothing copied, when there is no room: `commit` first. A batch that does
   * not begin at `end` is a defect of the caller.
   */
  readonly append: (batch: StoredBatch) => boolean
  /** Of the waiting bytes, those that {@link writeAhead} has not written. */
  readonly unwrittenBytes: () => number
  /**
   * Writes what waits to where the next commit will have it, also while a commit runs: so the commit itself has less to write.
   * It makes nothing durable, and fails with the next commit. Returns the bytes: none where the next group may stand elsewhere.
   */
  readonly writeAhead: Effect.Effect<number>
  /**
   * Makes all batches durable that were appended before this call, and returns `synced`. One runs at a time, and it is
   * not interrupted; batches may be appended meanwhile. After a failure it may be called again at any time: it keeps
   * what was appended, and writes it to a new segment.
   */
  readonly commit: Effect.Effect<Place, DiskError>
  /** Named cursors of the topic, as they were written last. */
  readonly cursors: () => ReadonlyArray<StoredCursor>
  /** Writes the cursors durably, all at once. */
  readonly setCursors: (cursors: ReadonlyArray<StoredCursor>) => Effect.Effect<void, DiskError>
  /**
   * Removes the segments that retention does not keep, at this time of the wall clock, but none with records at or above
   * `needed`. Default: retention alone decides.
   */
  readonly retain: (nowMillis: number, needed?: number) => Effect.Effect<Retained, DiskError>
}

/** What a repair has taken from a peer. */
export interface Repaired {
  readonly segments: number
  readonly batches: number
  readonly records: number
}

/** The files of a replica, held by this process. */
export interface ReplicaFiles {
  readonly dir: string
  readonly manifest: () => Manifest
  /** Says in the manifest whether the files hold all that is durable here. Writes only a change. */
  readonly setInSync: (inSync: boolean) => Effect.Effect<void, DiskError>
  /** Says in the manifest that the log was restored, with these ends of its topics, and which region holds it now. */
  readonly setTerm: (
    number: number,
    from: Readonly<Record<string, number>>,
    region: string
  ) => Effect.Effect<void, DiskError>
  /**
   * Opens a topic's files; the same ones when they are open. Where there are none yet, they begin at `base`, by default
   * at 0: compare `synced` with what you need next. Reads the last segment, and writes its last group again when nothing
   * proves that it is durable. `ReplicaDamaged` leaves the files as they are: see `repairFrom`.
   */
  readonly topic: (
    name: string,
    declared: { readonly order: string; readonly ack: string },
    base?: TopicBase
  ) => Effect.Effect<TopicFiles, ReplicaReadError>
  /**
   * Writes the damaged and missing segments of a topic again, from another replica of the log. Fails with `ReplicaDamaged`
   * when the peer does not have these batches either. A topic that is open is closed first: open it again.
   */
  readonly repairFrom: (topic: string, peer: StoredTopic) => Effect.Effect<Repaired, ReplicaReadError>
  /**
   * Moves a topic's files to `aside/<name>-<n>`, so that they begin again. A topic that is open is closed first: open it
   * again.
   */
  readonly setAside: (topic: string) => Effect.Effect<void, DiskError>
}

/** The files of a replica, for reading, with or without a process that writes them. */
export interface StoredFiles {
  readonly dir: string
  readonly manifest: Manifest
  readonly topics: ReadonlyMap<string, StoredTopic>
}
