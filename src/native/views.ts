/**
 * What the native memory module tells of a region and of its log: plain objects.
 */

export interface NativeRegionInfo {
  readonly path: string
  readonly regionId: string
  readonly bytes: number
  readonly owner: boolean
  readonly flushed: boolean
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

/** The place of a topic in the region's table, and the generation of that place. */
export interface NativeTopicPlace {
  readonly index: number
  readonly generation: number
}

export interface NativeTopic extends NativeTopicPlace {
  readonly order: number
  readonly ack: number
  readonly name: string
}

/** The slot of an identity in the region's table, and the generation of that slot. */
export interface NativeIdentityPlace {
  readonly index: number
  readonly generation: number
}

/** An identity of a topic that is not over. */
export interface NativeIdentity {
  readonly name: string
  /** The place of its topic. */
  readonly topic: number
  /** How many sessions had it. */
  readonly incarnation: number
  /** Records that its sessions committed. */
  readonly committed: number
  /** The session that has it now; 0 none. */
  readonly sessionId: number
}

/** A named cursor of a topic that is not over. */
export interface NativeCursor {
  /** Its slot, and how many had a cursor of that slot. */
  readonly index: number
  readonly holding: number
  /** The place of its topic. */
  readonly topic: number
  readonly topicGeneration: number
  readonly name: string
  /** Counts what was written to its slot. */
  readonly changes: number
  /** The records below are handled; -1 nothing was committed. */
  readonly position: number
  /** Wall clock of its last opening, commit or leaving, and how long behind that it is forgotten, unless it is held. */
  readonly touchedMillis: number
  readonly expiresMillis: number
  /** Monotonic clock behind the last commit whose holder waits until it is on disks; 0 there was none. */
  readonly wantedMicros: number
  /** By a living process, which the fields below name. */
  readonly held: boolean
  readonly process: string
  readonly pid: number
  readonly foreignPid?: true
}

/** A batch that a session's end has left uncommitted, copied out of its lane. */
export interface NativeBatch {
  readonly batchSequence: number
  readonly firstMessage: number
  readonly messages: number
  readonly payload: Uint8Array
  /** The length of every record; 0 when `lengths` tells them. */
  readonly uniformBytes: number
  readonly lengths: Uint32Array
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
  /** Whether the region's log was served and did not end in good order, and no process serves it now. */
  readonly recoverable: boolean
  /** The process that served the log last; 0 when it is unknown, or none did. */
  readonly serverPid: number
  readonly foreignServerPid?: true
  readonly held: boolean
  readonly attached: number
  readonly temporary: boolean
  readonly bell: "no" | "used" | "left"
  /** 0, like the two below, if the file is not a region. */
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
  /** Whether another process has taken the log over. From then on this sequencer publishes nothing. */
  readonly deposed: boolean
}

/** A process's service of the log, as its block in the region says. */
export interface NativeEpoch {
  /** 0 when its block was never used. */
  readonly epoch: number
  /** See `epochState`. */
  readonly state: number
  /** Whether a living process holds the block. A stopped process, or one that was deposed, may hold it for long. */
  readonly held: boolean
  /** Of the process that wrote the block last; 0 when it is unknown. */
  readonly pid: number
  readonly foreignPid?: true
  readonly name: string
}

/** What a sequencer found when it started. */
export interface NativeRecovery {
  /** The epoch whose log it continues; 0 when it began an empty log. */
  readonly epoch: number
  /** The process that served that epoch; 0 when it is unknown. */
  readonly pid: number
  readonly foreignPid?: true
  readonly name: string
  /** Batches that are kept in the order, over all topics. */
  readonly batches: number
  /** Records in the order, over all topics, kept or trimmed. */
  readonly messages: number
  /** Sessions that go on. */
  readonly sessions: number
  readonly micros: number
}

export interface NativeSessionReport {
  readonly client: number
  readonly generation: number
  readonly sessionId: number
  readonly topic: string
  readonly order: number
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
  /** The slot + 1 of the reader that holds the room; 0 = none. */
  readonly gatingReader: number
  /** Of a durable topic: no replica has what would have to go for room, and none is attached. */
  readonly unreplicated: boolean
  readonly replicasRequired: number
  /** -1, like the records below, while that is not known. */
  readonly durableBatches: number
  readonly durableMessages: number
  readonly readers: ReadonlyArray<{
    readonly reader: number
    readonly cursor: number
    /** Batches that it has not released, and their records. */
    readonly behind: number
    readonly behindMessages: number
    /** Whether memory keeps what it has not released. */
    readonly gates: boolean
    /** Of a replica: how many its server requires; 0 of a subscriber. */
    readonly replica: number
    readonly process: number
    readonly pid: number
    readonly foreignPid?: true
    readonly name: string
  }>
}

export interface NativeSessionState {
  readonly client: number
  readonly sessionId: number
  /** The place of its topic, valid while that place has the generation below. */
  readonly topic: number
  readonly topicGeneration: number
  readonly pid: number
  readonly foreignPid?: true
  /** The name of its process. */
  readonly process: string
  readonly ended: boolean
  /** Whether its client has closed it or is dead, and it has not ended yet. */
  readonly ending: boolean
  /** Whether it has ended, and its process lives and has not closed it. */
  readonly quarantined: boolean
  readonly batches: number
  readonly messages: number
  readonly held: number
  /** Whether the expected batch is missing while others are held behind it. */
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
  /** Counted by its predecessors. */
  readonly frames: number
  readonly payloadBytesMax: number
}

export interface NativeRingReader {
  readonly ring: number
  readonly slot: number
  readonly generation: number
  readonly baseline: number
  readonly ringBytes: number
}

/** The processes that a ring's writer rings. */
export interface NativeRingWatch {
  /** The version of the readers' table at which the writer looked through it last, modulo 2^32. */
  readonly version: number
  /** The sleep word of each other process that read the ring then, with bits of `sleepsFor`. */
  readonly sleeps: ReadonlyArray<ArrayBuffer>
}

/** Generations of a reader's place: of the reader, of its claim, and the last former one. */
export interface NativeRingPlace {
  readonly generation: number
  readonly claimed: number
  readonly former: number
}

export interface NativeSnapshot {
  readonly epoch: number
  readonly topics: ReadonlyArray<NativeTopicState>
  readonly sessions: ReadonlyArray<NativeSessionState>
  readonly identities: ReadonlyArray<NativeIdentity>
  readonly cursors: ReadonlyArray<NativeCursor>
}

/**
 * The process of the largest epoch: it serves the log, served it last, or is about to take it over. The region's creator
 * before there is one.
 */
export interface NativeServer {
  /** See `serverState`. */
  readonly state: number
  readonly alive: boolean
  readonly own: boolean
  /** Its epoch, 0 before there is one. */
  readonly epoch: number
  /**
   * Counts up at least ten times a second while it runs, also while it recovers or sleeps. One that stays the same over
   * so many looks in a row, each at its time, makes it suspect.
   */
  readonly pulse: number
  /** Whether the log was served and has not ended in good order: another process can continue it once the server is dead. */
  readonly recoverable: boolean
  /** 0 when it is unknown. */
  readonly pid: number
  readonly foreignPid?: true
  readonly name: string
}

export interface NativeFault extends Error {
  readonly fault: string
  readonly wantedBytes: number
  readonly freeBytes: number
  /** The next step, if the fault alone does not imply it; otherwise empty. */
  readonly hint: string
}
