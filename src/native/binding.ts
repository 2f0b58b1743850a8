/**
 * The typed interface of the native memory module, and the only file that loads it.
 *
 * Handles are objects of the module's classes. A failed call throws an `Error` with a `fault` (see {@link isFault}) and
 * has no effect. Counts are numbers: exact up to 2^53, which no log reaches.
 */
import { createRequire } from "node:module"
import { findModule, howToBuild } from "./prebuilds.ts"
import type { RingReaderHandle, RingWriterHandle } from "./ring-handles.ts"
import type {
  NativeBatch,
  NativeCounters,
  NativeCursor,
  NativeDeadReader,
  NativeEpoch,
  NativeFault,
  NativeGate,
  NativeIdentityPlace,
  NativeInspection,
  NativeProcess,
  NativeRecovery,
  NativeRegionInfo,
  NativeRing,
  NativeServer,
  NativeSessionReport,
  NativeSnapshot,
  NativeTopic
} from "./views.ts"

export type * from "./ring-handles.ts"
export type * from "./views.ts"

/** The order of the sizes in a geometry array. */
export const geometryFields = [
  "brokers",
  "clients",
  "topics",
  "readers",
  "laneSlots",
  "indexEntries",
  "epochBlocks",
  "processes",
  "laneBytes",
  "batchBytes",
  "rings",
  "ringReaders",
  "ringBytes"
] as const

/** Numbers that {@link ReaderHandle.poll} writes for each batch. */
export const batchFields = 16

/** Numbers that {@link SessionHandle.frontiers} writes. */
export const frontierFields = 11

/** Numbers that `ringReaders` writes for each reader. */
export const ringReaderFields = 8

/**
 * States of the process that serves a region. `recovering`: it lives, and takes the log over from another. `died`: no
 * living process serves or recovers the log; `stopped`: the log has ended in good order.
 */
export const serverState = { unknown: 0, serving: 1, died: 2, stopped: 3, recovering: 4 } as const

/** States of an epoch. `unknown`: its head is being written or was damaged. */
export const epochState = { free: 0, announced: 1, serving: 2, stopped: 3, unknown: 4 } as const

/** The changes that ring a sleeping process's doorbell. */
export const sleepsFor = { data: 1, room: 2, admission: 4, cursor: 8, frames: 16, end: 32 } as const

/** Why a writer may no longer write its ring. */
export const writerEnd = { none: 0, closed: 1, superseded: 2 } as const

/**
 * How a session ended. `topicGone`: its topic was freed before the sequencer adopted it; `outlived`: a gap lasted longer
 * than the lease; `fenced`: a newer session has its identity, also of one that was refused because it came too late.
 */
export const endReason = { none: 0, closed: 1, died: 2, corrupt: 3, topicGone: 4, outlived: 5, fenced: 6 } as const

/** Order levels, as stored in the layout. */
export const orderLevel = { none: 0, total: 2, session: 5 } as const

/** Levels of acknowledgement, as stored in the layout. */
export const ackLevel = { none: 0, ordered: 1, durable: 2 } as const

/** Where a reader begins. */
export const readFrom = { start: 0, end: 1, position: 2 } as const

/** An attachment of this Node.js environment to a region. */
export interface RegionHandle {
  info(): NativeRegionInfo
  processes(): ReadonlyArray<NativeProcess>
  processAlive(slot: number, generation: number): boolean
  /** Attaches again to anonymous memory of this process. */
  reattach(processName: string): RegionHandle
  /**
   * Keeps the region in use while this process is attached. The last process that holds it removes its name, unless the
   * region's log is recoverable.
   */
  hold(): void
  /** Stops the sequencer first, as `stop(false)` does, if it runs here. */
  close(): void

  /**
   * A FIFO's descriptor, if the caller `polls` and there is one: it empties it, asks `waiterHeard`, and closes it ahead of the
   * region. Else -1, and a thread calls `wake`, as it may later too: either happens at most once for each arming.
   */
  startWaiter(wake: () => void, polls?: boolean): number
  /** Whether it was armed, and must look at what it waits for. */
  waiterHeard(): boolean
  armWaiter(reasons: number): void
  disarmWaiter(): void
  /** See `RingPorts`. False, too, once the region is closed. */
  beginLook(others: number): boolean
  endLook(): void
  /**
   * Counts the attachments and departures of processes that this process has noticed; it asks the system every 100 ms.
   */
  lives(): number
  /** Whether the region's name is gone or names another one: its log was discarded, or it was removed. */
  replaced(): boolean
  /** Rings that process's doorbell if it sleeps. */
  wakeProcess(slot: number): void

  serverState(): number
  server(): NativeServer
  /** All epochs that the region remembers, one for each of its blocks, in no order. */
  epochs(): ReadonlyArray<NativeEpoch>
  /** A lane's payload. Detached when the region closes. */
  laneBuffer(lane: number): ArrayBuffer

  rings(): ReadonlyArray<NativeRing>
  ringOpenings(): number
  /** Returns the number of readers written to `out`. */
  ringReaders(ring: number, out: Float64Array): number
  ringReaderName(ring: number, reader: number): string
  openRingWriter(name: string): RingWriterHandle
  openRingReader(ring: string, name: string): RingReaderHandle

  topics(): ReadonlyArray<NativeTopic>
  /**
   * `undefined` when all places are taken and the sequencer, which this call asks to free one, has not answered yet:
   * call again with `wished`.
   */
  declareTopic(name: string, order: number, ack: number, wished: boolean): NativeTopic | undefined
  /**
   * Declares a topic whose counts go on behind so many entries and messages, the last of which was committed at `millis`.
   * Fails with the fault `invalid` when the region has one of that name, and as {@link declareTopic} with `full`, `busy` and
   * `recovering`.
   */
  restoreTopic(name: string, order: number, ack: number, entries: number, messages: number, millis: number): NativeTopic
  /** Names an identity of which so many records were committed before. Fails with `invalid` when the topic has it already. */
  restoreIdentity(topic: number, topicGeneration: number, name: string, committed: number): true
  /** Empty when another identity has its slot. */
  identityName(identity: number, identityGeneration: number): string
  /**
   * Exempts the topic from being freed. False when it has been freed already. Only in the process that runs the sequencer.
   */
  keepTopic(topic: number, topicGeneration: number): boolean
  /**
   * The identity of that name in the topic: an existing one, or a new one. Fails with the fault `full` when the region has
   * no room for another identity, `gone` when the topic has been freed, and as {@link declareTopic} with `busy` and
   * `recovering`: try again soon.
   */
  declareIdentity(topic: number, topicGeneration: number, name: string): NativeIdentityPlace
  /**
   * With an `identity`, -1 for none, a newer session: it fences the session that has the identity. With the incarnation
   * that it `continues`, 0 for none, it ends as `fenced` instead if a newer session had the identity meanwhile.
   */
  openSession(
    topic: number,
    topicGeneration: number,
    identity: number,
    identityGeneration: number,
    continues: number
  ): SessionHandle
  /** Session slots that the sequencer will free with its next look: their clients have closed them or are dead. */
  sessionsEnding(): number
  /**
   * Fails with the fault `gone` when the topic has been freed, and with `recovering` while the log has been served and no
   * process serves it: try again when one does. `durable`: it sees only what is on the disks of the required replicas. Of a
   * replica's reader `replica` is its key and `required` the number of replicas that its server requires; both are 0 for a
   * subscriber.
   */
  openReader(
    topic: number,
    topicGeneration: number,
    name: string,
    from: number,
    position: number,
    durable: boolean,
    replica: number,
    required: number,
    lapped?: boolean
  ): ReaderHandle
  /** Reader places of the topic that the sequencer will free with its next look: their processes are dead. */
  readersEnding(topic: number): number
  /** All named cursors but the damaged ones, and the monotonic clock in microseconds ahead of the look. */
  cursors(): {
    readonly micros: number
    readonly cursors: ReadonlyArray<NativeCursor>
    readonly damaged: number
  }
  /**
   * Takes the cursor of that name, an existing one or a new one. Fails with the fault `held` while a living process has it,
   * unless it is to be taken over; `full` when every slot has a cursor that has not expired; `corrupt`, `gone`, and `busy`
   * and `recovering`: try again soon.
   */
  holdCursor(
    topic: number,
    topicGeneration: number,
    name: string,
    expiresMillis: number,
    nowMillis: number,
    takeOver: boolean
  ): NativeCursor
  /**
   * Returns the monotonic clock in microseconds behind the commit. Fails with `fenced` when another has taken the cursor,
   * and as {@link holdCursor} with `gone`, `busy` and `recovering`. `wanted`: the holder waits until it is on disks.
   */
  commitCursor(index: number, holding: number, position: number, nowMillis: number, wanted: boolean): number
  /** Says that the holder is still there. Fails with `fenced` and `busy`. */
  touchCursor(index: number, holding: number, nowMillis: number): true
  /** Fails with `fenced` and `busy`. */
  leaveCursor(index: number, holding: number, nowMillis: number): true
  /** Names a cursor without a holder. Fails with `invalid` when the topic has it already, and as {@link holdCursor}. */
  restoreCursor(
    topic: number,
    topicGeneration: number,
    name: string,
    expiresMillis: number,
    nowMillis: number,
    position: number,
    touchedMillis: number
  ): true
  /** Whether the files of the required replicas have what the topic's cursors said until that time. */
  cursorsStored(topic: number, micros: number): boolean
  /**
   * Starts the sequencer, which runs until it is stopped, is deposed, or the region closes. It continues the log of a
   * server that is dead or, with its epoch as `suspected`, of one that lives; 0 suspects none. `suspected` may also be the
   * epoch of a process that recovers. A gap of a session that lasts for `leaseMillis` ends it as `outlived`; with 0 never.
   * `copies` replicas must have a durable record; with 0 as many as under the former server, and at least `ownReplicas`.
   * The work is done off the event loop.
   *
   * Rejects with the fault
   * - `busy` when another process serves the log or takes it over, or has begun to do so meanwhile: wait, and try again,
   * - `blocked` when all blocks that may be used are held: `detail` names the processes, and `epochs()` lists them,
   * - `ended` when the log has ended in good order,
   * - `missing` when the region's name is gone.
   */
  startSequencer(
    epochMicros: number,
    manual: boolean,
    ignoreSessionOrder: boolean,
    leaseMillis: number,
    suspected: number,
    copies: number,
    ownReplicas: number
  ): Promise<SequencerHandle>
  /**
   * Grants the broker's lanes to adopted sessions, and returns their number. Does nothing in a process that does not
   * serve the log.
   */
  grantLanes(broker: number): number
  snapshot(): NativeSnapshot
}

/** A session's writing end: its lanes. */
export interface SessionHandle {
  /** `ordered`: whether its batches are put into an order, false under order `none`. `durable`: its topic's ack is that. */
  info(): {
    readonly sessionId: number
    readonly slot: number
    readonly generation: number
    readonly ordered: boolean
    readonly durable: boolean
  }
  /**
   * Whether the session is adopted, and every broker has granted its lane. Never true of a session that was refused, fenced
   * or outlived before: {@link endReason} says so.
   */
  ready(): boolean
  /** Once it is ready: the session's number among those of its identity, from 1; zeros without an identity. */
  identity(): { readonly incarnation: number; readonly base: number }
  /** Offset in the lane's buffer, -1 when the lane is full. */
  begin(broker: number, batchSequence: number): number
  seal(
    broker: number,
    batchSequence: number,
    firstMessage: number,
    messages: number,
    payloadBytes: number,
    uniformBytes: number,
    lengths: Uint32Array
  ): boolean
  publish(broker: number): void
  inFlight(broker: number): number
  committedBatches(): number
  committedMessages(): number
  /**
   * Of a durable topic: a number of index entries, among which are those of all messages that `committedMessages` has
   * returned. -1 while it cannot be read afresh, because another process takes the log over.
   */
  commitPoint(): number
  /** The index entries below are on the disks of the required replicas, as far as this session has seen; -1 none yet. */
  durableEntries(): number
  /** See {@link endReason}. */
  endReason(): number
  fullEvents(): number
  /** Batches that are held behind a missing batch. */
  held(): number
  /** The broker whose lane holds that batch unpublished, or -1. */
  brokerHolding(batchSequence: number): number
  /**
   * Once the session has ended as `outlived` or `fenced`, before `close`: copies, in sequence order, from the committed
   * prefix on.
   */
  uncommitted(): ReadonlyArray<NativeBatch>
  frontiers(broker: number, out: Float64Array): void
  wantRoom(): void
  /** Declares that all batches are published, so that the session may end. */
  close(): void
}

/** A subscriber's reading end: of a topic's index or, under order `none`, of its lanes. */
export interface ReaderHandle {
  /** Returns the number of batches written to `out`, or -1 when the memory contradicts the layout. */
  poll(out: Float64Array, max: number): number
  /**
   * The same of a reader that holds nothing back: `to` has room for a batch, and takes the copies. Behind batches that were
   * overwritten it goes on at the oldest one kept.
   */
  copy(out: Float64Array, max: number, to: Uint8Array): number
  /** Of such a reader: where the batch begins that it copies next. */
  position(): number
  /** Of such a reader: goes on at that batch, which begins there. False when it is not kept. */
  resume(index: number, position: number): boolean
  /** Releases the batches below that number; of a reader that holds nothing back, says so for reports. */
  release(index: number): void
  /** Of a replica's reader: its files have what the topic's cursors said until that time. */
  storedCursors(micros: number): void
  next(): number
  /** Of lanes: one more than `next` while another batch can be polled. */
  committed(): number
  /** Of lanes: the records that were polled. */
  committedMessages(): number
  close(): void
}

/** The sequencer that runs in this process. */
export interface SequencerHandle {
  /** Makes one pass. True when it changed anything. */
  step(): boolean
  pause(): void
  resume(): void
  /**
   * Orders what was published, and ends the log. With `keep` the log does not end: it stays in the region, whose name
   * stays too, for a server that continues it. A sequencer that was deposed only gives its block back.
   */
  stop(keep: boolean): void
  /** What it found when it started. */
  recovery(): NativeRecovery
  /**
   * The epoch that has replaced this one, once there is one. The process's doorbell rings then for
   * {@link sleepsFor}.end, and `counters().deposed` is true; `endDead` gives the block back.
   */
  deposed(): NativeEpoch | undefined
  counters(): NativeCounters
  sessions(): ReadonlyArray<NativeSessionReport>
  gates(): ReadonlyArray<NativeGate>
  /** Ends the sessions and readers of dead processes, and returns those readers. */
  endDead(): ReadonlyArray<NativeDeadReader>
}

/** Counts the bytes prefaulted while a region is being created, and can cancel the creation. */
export interface ProgressHandle {
  bytes(): number
  /** Ends the creation soon, with the fault `cancelled` and nothing left of the region, unless it has finished. */
  cancel(): void
}

export interface Native {
  readonly Progress: new() => ProgressHandle
  createRegion(
    path: string,
    processName: string,
    geometry: Float64Array,
    mode: number,
    group: number,
    prefault: boolean,
    numaNode: number,
    flushed: boolean,
    progress: ProgressHandle
  ): Promise<RegionHandle>
  attachRegion(path: string, processName: string, allowForeign: boolean): RegionHandle
  inspectRegion(path: string): NativeInspection
  /** The state of the region's log, read without attaching to it. */
  inspectLog(path: string): NativeSnapshot
  /**
   * Removes a region that no living process keeps. Fails with the fault `recoverable` if its log can be continued, unless
   * it is to be discarded.
   */
  removeDeadRegion(path: string, discard: boolean): void
  /** Bytes of a device, or of huge pages; -1 where the file system tells how many are free. */
  freeBytes(path: string): number
  /** Bytes of a region with these sizes, -1 if they are impossible. */
  layoutBytes(geometry: Float64Array): number

  /**
   * Takes the exclusive lock of a file, which it creates if it is missing: returns what releases it. The number of a
   * failure is negative (`-errno`); 0 and above say that another has the lock: its pid, 0 if that is unknown.
   */
  lockFile(path: string): (() => void) | number
  /** Ends this process when the other end of that pipe closes. False when the pipe is not the lifeline. */
  holdLifeline(descriptor: number, proof: string, exitCode: number): boolean
}

export const isFault = (error: unknown): error is NativeFault =>
  error instanceof Error && typeof (error as Partial<NativeFault>).fault === "string"

/** Loads the module, once. Returns it, or the reason why it cannot be loaded here. */
export const load = (): Native | { readonly unavailable: string } => {
  loaded ??= loadOnce()
  return loaded
}

// --- internal ---

let loaded: Native | { readonly unavailable: string } | undefined

const loadOnce = (): Native | { readonly unavailable: string } => {
  const found = findModule()
  if ("unavailable" in found) return found
  try {
    return createRequire(import.meta.url)(found.path) as Native
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { unavailable: `the native memory module does not load: ${reason}; ${howToBuild()}` }
  }
}
