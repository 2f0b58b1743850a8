/**
 * The typed face of the native memory module, and the only file that loads it.
 *
 * Handles are objects of the module's classes. A call that cannot be done throws an `Error` with a `fault` (see {@link isFault}); nothing is
 * half done then. Counts are numbers: exact up to 2^53, which no log reaches.
 */
import { createRequire } from "node:module"
import { findModule, howToBuild } from "./prebuilds.ts"

export interface NativeFault extends Error {
  readonly fault: string
  readonly wantedBytes: number
  readonly freeBytes: number
  /** What helps, where the fault alone does not say it; otherwise empty. */
  readonly hint: string
}

export interface NativeRegionInfo {
  readonly path: string
  readonly regionId: string
  readonly bytes: number
  readonly owner: boolean
  readonly slot: number
  readonly generation: number
  readonly geometry: ReadonlyArray<number>
}

export interface NativeProcess {
  readonly slot: number
  readonly generation: number
  readonly pid: number
  readonly foreignPid?: true
  readonly alive: boolean
  readonly name: string
}

/** The place of a topic in the region's table, and which of those that were declared there it is. */
export interface NativeTopicPlace {
  readonly index: number
  readonly generation: number
}

export interface NativeTopic extends NativeTopicPlace {
  readonly order: number
  readonly ack: number
  readonly name: string
}

export interface NativeInspection {
  readonly region: boolean
  readonly detail: string
  readonly bytes: number
  readonly fault: string
  readonly pid: number
  readonly foreignPid?: true
  readonly createdMillis: number
  readonly served: boolean
  readonly held: boolean
  readonly attached: number
  readonly temporary: boolean
  /** 0, as the two below, where it is no region. */
  readonly clients: number
  readonly laneSlots: number
  readonly rings: number
}

export interface NativeCounters {
  readonly epoch: number
  readonly passes: number
  readonly commits: number
  readonly batches: number
  readonly messages: number
  readonly duplicates: number
  readonly purged: number
  readonly held: number
  readonly paused: boolean
  readonly stopped: boolean
}

export interface NativeSessionReport {
  readonly client: number
  readonly generation: number
  readonly sessionId: number
  readonly topic: string
  readonly pid: number
  readonly foreignPid?: true
  readonly endReason: number
  readonly ended: boolean
  readonly batches: number
  readonly messages: number
  readonly held: number
  readonly purged: number
  readonly gapSinceNanos: number
}

export interface NativeGate {
  readonly topic: string
  readonly reader: number
  readonly pid: number
  readonly foreignPid?: true
  readonly name: string
  readonly behind: number
  readonly sinceNanos: number
}

export interface NativeDeadReader {
  readonly topic: string
  readonly reader: number
  readonly pid: number
  readonly foreignPid?: true
  readonly name: string
}

export interface NativeLaneState {
  readonly written: number
  readonly published: number
  readonly scanned: number
  readonly released: number
  readonly inFlight: number
  readonly publishedMessages: number
  readonly fullEvents: number
  readonly held: number
  readonly ordered: number
  readonly orderedMessages: number
  readonly delivered: number
  readonly deliveredMessages: number
  readonly duplicates: number
  readonly purged: number
}

export interface NativeTopicState extends NativeTopic {
  readonly committedBatches: number
  readonly committedMessages: number
  readonly committedBytes: number
  readonly trimmedBatches: number
  readonly trimmedMessages: number
  /** Reader slot + 1 that holds room back, 0 = none. */
  readonly gatingReader: number
  readonly readers: ReadonlyArray<{
    readonly reader: number
    readonly cursor: number
    readonly process: number
    readonly pid: number
    readonly foreignPid?: true
    readonly name: string
  }>
}

export interface NativeSessionState {
  readonly client: number
  readonly sessionId: number
  /** Its place: it is the session's as long as its generation is the same. */
  readonly topic: number
  readonly topicGeneration: number
  readonly pid: number
  readonly foreignPid?: true
  readonly ended: boolean
  readonly batches: number
  readonly messages: number
  readonly held: number
  /** What comes next is missing while others are held behind it. */
  readonly gap: boolean
  readonly heldTotal: number
  readonly duplicates: number
  readonly purged: number
  /** -1 when no lane holds the expected batch. */
  readonly gapBroker: number
  readonly lanes: ReadonlyArray<NativeLaneState>
}

export interface NativeRing {
  readonly ring: number
  readonly generation: number
  readonly process: number
  readonly written: boolean
  readonly position: number
  readonly frames: number
  readonly waits: number
  readonly evictions: number
  readonly name: string
}

export interface NativeRingWriter {
  readonly ring: number
  readonly generation: number
  readonly position: number
  readonly payloadBytesMax: number
}

export interface NativeRingReader {
  readonly ring: number
  readonly slot: number
  readonly generation: number
  readonly baseline: number
  readonly ringBytes: number
}

export interface NativeSnapshot {
  readonly epoch: number
  readonly topics: ReadonlyArray<NativeTopicState>
  readonly sessions: ReadonlyArray<NativeSessionState>
}

/** Order of the sizes in a geometry array, as the module reads them. */
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

export interface NativeServer {
  readonly state: number
  readonly alive: boolean
  readonly own: boolean
  /** 0 when it is not known any more. */
  readonly pid: number
  readonly foreignPid?: true
  readonly name: string
}

/** Numbers that {@link ReaderHandle.poll} writes for each batch. */
export const batchFields = 12

/** Numbers that {@link SessionHandle.frontiers} writes. */
export const frontierFields = 11

/** Numbers that `ringReaders` writes for each reader. */
export const ringReaderFields = 8

/** States of the process that serves a region. */
export const serverState = { unknown: 0, serving: 1, died: 2, stopped: 3 } as const

/** What a sleeping process wants to be rung for. */
export const sleepsFor = { data: 1, room: 2, admission: 4, cursor: 8, frames: 16, end: 32 } as const

/** Why a ring's writer is one no more. */
export const writerEnd = { none: 0, closed: 1, superseded: 2 } as const

/** How a session ended. `topicGone`: it never began, because its topic was freed before the sequencer adopted it. */
export const endReason = { none: 0, closed: 1, died: 2, corrupt: 3, topicGone: 4 } as const

/** Order levels as the layout stores them. */
export const orderLevel = { total: 2, session: 5 } as const

/** Where a reader begins. */
export const readFrom = { start: 0, end: 1, position: 2 } as const

/** An attachment to a region, of this environment. */
export interface RegionHandle {
  info(): NativeRegionInfo
  processes(): ReadonlyArray<NativeProcess>
  processAlive(slot: number, generation: number): boolean
  /** Attaches once more to anonymous memory of this process. */
  reattach(processName: string): RegionHandle
  /** Keeps it in use while this process is attached; the name goes with the last one that does. */
  hold(): void
  close(): void

  startWaiter(wake: () => void): void
  armWaiter(reasons: number): void
  disarmWaiter(): void
  /** Counts the times that processes were seen to have come or gone: asked of the system every 100 ms. */
  lives(): number
  /** Rings that process's doorbell if it sleeps. */
  wakeProcess(slot: number): void

  serverState(): number
  /** The process that serves the log, or the region's creator while none does yet. */
  server(): NativeServer
  /** A lane's payload. Detached when the region closes. */
  laneBuffer(lane: number): ArrayBuffer

  rings(): ReadonlyArray<NativeRing>
  ringOpenings(): number
  /** Readers written to `out`. */
  ringReaders(ring: number, out: Float64Array): number
  ringReaderName(ring: number, reader: number): string
  openRingWriter(name: string): RingWriterHandle
  openRingReader(ring: string, name: string): RingReaderHandle

  topics(): ReadonlyArray<NativeTopic>
  /**
   * `undefined` while all places are taken and the sequencer, which was asked to free one, has not answered: then it is
   * called again, with `wished`.
   */
  declareTopic(name: string, order: number, ack: number, wished: boolean): NativeTopic | undefined
  /** The topic is never freed from now on. False when it is none any more. Only where the sequencer runs. */
  keepTopic(topic: number, topicGeneration: number): boolean
  openSession(topic: number, topicGeneration: number): SessionHandle
  /** Session slots that come free as soon as the sequencer looks: their clients have closed, or are dead. */
  sessionsEnding(): number
  /** With the fault `gone` when the topic is freed. */
  openReader(topic: number, topicGeneration: number, name: string, from: number, position: number): ReaderHandle
  /** Places of the topic's readers that come free as soon as the sequencer looks: their processes are dead. */
  readersEnding(topic: number): number
  /** Runs until it is stopped, or the region closes. */
  startSequencer(epochMicros: number, manual: boolean, ignoreSessionOrder: boolean): SequencerHandle
  /** Sessions that the broker has admitted. */
  grantLanes(broker: number): number
  snapshot(): NativeSnapshot
}

/** A session's writing end: its lanes. */
export interface SessionHandle {
  info(): { readonly sessionId: number; readonly slot: number; readonly generation: number }
  /** Whether the session is adopted, and every broker has granted its lane. */
  ready(): boolean
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
  /** See {@link endReason}. */
  endReason(): number
  fullEvents(): number
  /** Batches that are held behind a missing one. */
  held(): number
  /** The broker whose lane holds that batch unpublished, -1 when none does. */
  brokerHolding(batchSequence: number): number
  frontiers(broker: number, out: Float64Array): void
  wantRoom(wants: boolean): void
  /** Everything is published: the session may end. */
  close(): void
}

/** A subscriber's reading end. */
export interface ReaderHandle {
  /** Batches written to `out`, or -1 when the index contradicts the layout. */
  poll(out: Float64Array, max: number): number
  /** Nothing is read any more of the batches below that number. */
  release(index: number): void
  next(): number
  committed(): number
  committedMessages(): number
  close(): void
}

/** The sequencer that runs in this process. */
export interface SequencerHandle {
  /** True when the pass has moved anything. */
  step(): boolean
  pause(): void
  resume(): void
  stop(): void
  counters(): NativeCounters
  sessions(): ReadonlyArray<NativeSessionReport>
  gates(): ReadonlyArray<NativeGate>
  /** Ends the sessions and readers of dead processes, and tells which readers those were. */
  endDead(): ReadonlyArray<NativeDeadReader>
}

/** The writing end of a ring. */
export interface RingWriterHandle {
  info(): NativeRingWriter
  /** Position behind the frame, -1 when there is no room, -2 when it is too large. */
  append(
    kindAndFlags: number,
    type: number,
    sender: number,
    senderGeneration: number,
    correlation: number,
    payload: Uint8Array,
    publish: boolean
  ): number
  publish(): void
  published(): number
  hasRoom(payloadBytes: number): boolean
  wantRoom(wants: boolean): void
  /** Reader slot, -1 when no reader holds any room. */
  slowestReader(): number
  evictSlowest(): boolean
  /** Whether it still is the ring's: see {@link writerEnd}. */
  end(): number
  close(): void
}

/** The reading end of a ring. */
export interface RingReaderHandle {
  info(): NativeRingReader
  /** The ring's bytes, twice in a row. Detached when the region closes. */
  buffer(): ArrayBuffer
  /** Of the ring's present writer. */
  generation(): number
  /** Position below which frames are whole, -1 once the reader is evicted. */
  available(): number
  advance(read: number, delivered: number, handled: number, released: number): void
  evicted(out: Float64Array): boolean
  /** Where it begins again, -1 when it has left. */
  rejoin(): number
  /** Its writer is gone, and nothing is published above `read`. */
  ended(read: number): boolean
  close(): void
}

/** Counts the bytes prefaulted while a region is being created, and can give its creation up. */
export interface ProgressHandle {
  bytes(): number
  /** The creation ends soon, with the fault `cancelled` and nothing left of the region, unless it has ended already. */
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
    progress: ProgressHandle
  ): Promise<RegionHandle>
  attachRegion(path: string, processName: string, allowForeign: boolean): RegionHandle
  inspectRegion(path: string): NativeInspection
  removeDeadRegion(path: string): void
  /** -1 when the sizes do not fit together. */
  layoutBytes(geometry: Float64Array): number

  /** Ends this process when the other end of that pipe is closed. False when it is not the lifeline. */
  holdLifeline(descriptor: number, proof: string, exitCode: number): boolean
}

export const isFault = (error: unknown): error is NativeFault =>
  error instanceof Error && typeof (error as Partial<NativeFault>).fault === "string"

/** The module, or the reason why it cannot be loaded here. Loaded once. */
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
