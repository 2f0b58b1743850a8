/**
 * Rings: one writer, many readers, messages of any length, each reader at its own pace, no loss unless the writer's
 * policy is `evict`.
 *
 * A position is the number of bytes written since the ring was created. It continues under the ring's next writer,
 * whose frames are a new generation: ring, generation and position together identify a place.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { RegionLost } from "./CxlMemory.ts"
import type { DrainTarget } from "./schema/DrainTarget.ts"
import { NamedProcess, ProcessId, showPid, showProcess } from "./schema/ProcessId.ts"
import type { RegionError } from "./schema/RegionError.ts"
import { formatCount, formatMillis, plural } from "./text/quantities.ts"

/** How far a reader has come. */
export interface RingCursors {
  /** The reader has taken the frames before this position. */
  readonly read: number
  /** Their handlers have begun. */
  readonly delivered: number
  /** Their handlers have ended. */
  readonly handled: number
  /** The writer may reuse the bytes before this position. */
  readonly released: number
}

export interface RingState {
  readonly ring: number
  readonly name: string
  readonly generation: number
  /** Whether its writer is alive and has not closed it. */
  readonly written: boolean
  readonly position: number
  /** Process slot of its writer. */
  readonly process: number
  /**
   * Frames published since the ring was created. A writer killed while publishing may have counted unpublished frames.
   */
  readonly frames: number
  /** Laps around the ring. */
  readonly wraps: number
  /** Times its writer began to wait for room. */
  readonly waits: number
  /** Times a reader was evicted. */
  readonly evictions: number
}

export interface RingReaderState extends RingCursors {
  readonly reader: number
  readonly process: number
  readonly processGeneration: number
  readonly baseline: number
}

/** The ring cannot be opened as asked. */
export class RingUnavailable extends Schema.TaggedError<RingUnavailable>()("RingUnavailable", {
  ring: Schema.String,
  reason: Schema.Literals(["written", "missing", "noRings"]),
  /** The process that writes the ring, when the reason is `written`. */
  writer: Schema.optionalKey(NamedProcess)
}) {
  override get message(): string {
    const by = this.writer === undefined ? "" : `: process ${showProcess(this.writer)}`
    const why = {
      written: `has a writer already${by}`,
      missing: "has no writer yet",
      noRings: "cannot be opened: the region was created without rings"
    }
    return `ring "${this.ring}" ${why[this.reason]}`
  }
}

/** The message is larger than the writer's limit. None of it was written. */
export class MessageTooLarge extends Schema.TaggedError<MessageTooLarge>()("MessageTooLarge", {
  ring: Schema.String,
  messageBytes: Schema.Number,
  limitBytes: Schema.Number
}) {
  override get message(): string {
    return `a message of ${plural(this.messageBytes, "byte")} exceeds the limit of ring "${this.ring}" (${
      formatCount(this.limitBytes)
    })`
  }
}

/** The ring had no room: at once (`fail`), or within the deadline (`wait`). */
export class RingFull extends Schema.TaggedError<RingFull>()("RingFull", {
  ring: Schema.String,
  waitedMillis: Schema.Number,
  /** Process slot of the reader that holds the room; -1 when none does. */
  process: Schema.Number,
  /** That reader's name. */
  reader: Schema.String,
  /** That reader's pid, if its process is still attached. */
  pid: Schema.optionalKey(ProcessId.fields.pid),
  foreignPid: ProcessId.fields.foreignPid
}) {
  override get message(): string {
    const full = this.waitedMillis > 0 ? `stayed full for ${formatMillis(this.waitedMillis)}` : "is full"
    if (this.process < 0) return `ring "${this.ring}" ${full}, and no reader holds its room any more: send again`
    const { foreignPid, pid } = this
    const process = pid === undefined
      ? `process slot ${this.process}`
      : showPid(foreignPid === true ? { pid, foreignPid } : { pid })
    return `ring "${this.ring}" ${full}: reader ${JSON.stringify(this.reader)} (${process}) holds the room`
  }
}

/**
 * This reader was too slow and lost every message that has a byte between `from` and `to`. The next read continues
 * after the loss.
 */
export class ReaderEvicted extends Schema.TaggedError<ReaderEvicted>()("ReaderEvicted", {
  ring: Schema.String,
  from: Schema.Number,
  to: Schema.Number
}) {
  override get message(): string {
    return `ring "${this.ring}": this reader was too slow and lost ${
      plural(this.to - this.from, "byte")
    }, from ${this.from}`
  }
}

/** The ring holds no valid frame at the reader's position: its memory was damaged from outside. */
export class RingCorrupt extends Schema.TaggedError<RingCorrupt>()("RingCorrupt", {
  ring: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `ring "${this.ring}": ${this.detail}`
  }
}

/** This end of the ring was used after its scope ended, or after another process took the ring over. */
export class RingClosed extends Schema.TaggedError<RingClosed>()("RingClosed", {
  ring: Schema.String,
  end: Schema.Literals(["writer", "reader"]),
  reason: Schema.Literals(["closed", "superseded"])
}) {
  override get message(): string {
    const why = this.reason === "closed"
      ? "its scope has ended; open another in a scope that lasts as long as its use"
      : "another process has taken the ring over; open it again once that process has closed it"
    return `ring "${this.ring}": this ${this.end} is closed: ${why}`
  }
}

/** What a writer does when the ring is full: wait, fail at once, or evict the slowest reader, which loses messages. */
export type FullPolicy = "wait" | "fail" | "evict"

export interface RingWriterOptions {
  readonly name: string
  /** Default `wait`. */
  readonly whenFull?: FullPolicy | undefined
  /** How long `wait` waits before it fails with {@link RingFull}. Default 30 seconds. */
  readonly roomDeadline?: Duration.Input | undefined
  /** The largest message; messages longer than one frame are sent in fragments. Default 16 MiB. */
  readonly messageBytesMax?: number | undefined
}

/**
 * How a reader waits: it spins (yielding to the event loop now and then), spins briefly before it sleeps, or sleeps.
 */
export type WaitStrategy = "spin" | "adaptive" | "park"

export interface RingReaderOptions {
  readonly name: string
  /** The name that other processes see. Default: the process's name. */
  readonly readerName?: string | undefined
  /** Default `adaptive`. */
  readonly strategy?: WaitStrategy | undefined
  /** Waits for a writer if the ring has none. Default: fails with {@link RingUnavailable}. */
  readonly awaitWriter?: boolean | undefined
}

export type SendError = MessageTooLarge | RingFull | RingClosed | RegionLost

export interface RingWriterHandle {
  readonly ring: number
  readonly generation: number
  /** Writes and publishes the message if there is room. */
  readonly offer: (message: Uint8Array) => boolean
  /** Writes the message without publishing it: `publish` makes all written messages visible at once. */
  readonly append: (message: Uint8Array) => boolean
  /** Writes and publishes as many of the messages as there is room for, together, and returns their number. */
  readonly appendAll: (messages: Iterable<Uint8Array>) => number
  /**
   * Room in the ring for one message of that size, for the caller to write it where it will lie. `commit` publishes it.
   * `undefined` when there is no room, or a message of that size needs more than one frame. Any other write takes the room
   * back.
   */
  readonly claim: (messageBytes: number) => Uint8Array | undefined
  /** Publishes what was written to the claimed room. False when nothing is claimed any more. */
  readonly commit: () => boolean
  readonly publish: () => void
  /** Writes and publishes the message, and treats a full ring as `whenFull` says. */
  readonly send: (message: Uint8Array) => Effect.Effect<void, SendError>
  /** The ring's present end as a drain target: a reader that reaches it has seen every message sent so far. */
  readonly target: () => DrainTarget
}

/**
 * A whole message, lent until the next pull. On a ring that evicts, the writer may overwrite a lent message earlier,
 * and the next pull then fails: read such rings through {@link RingReaderHandle.messages}.
 */
export interface RingMessage {
  readonly payload: Uint8Array
  /** Position after it. */
  readonly end: number
}

/**
 * The messages that one look at the ring has shown, lent until the next pull: `next` moves to the next one and shows it in
 * the other fields, which are the same object's for all messages. What is not moved to is left for the next pull.
 *
 * @example
 * ```ts
 * import { type RingReaderHandle } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const bytesOf = (reader: RingReaderHandle) =>
 *   Effect.map(reader.pullBatch, (batch) => {
 *     let bytes = 0
 *     while (batch?.next() === true) bytes += batch.to - batch.from
 *     return bytes
 *   })
 * ```
 */
export interface RingBatch {
  /** Moves to the next message. False when this batch has no more. */
  readonly next: () => boolean
  /** The kind of the message's frame: 16 on rings outside a swarm. */
  readonly kind: number
  /** Holds the message from `from` to `to`: the ring itself, or a copy of a message that came in parts. */
  readonly bytes: Uint8Array
  readonly from: number
  readonly to: number
  /** Position after the message. */
  readonly end: number
  /** The message's bytes, as a view of its own. */
  readonly payload: () => Uint8Array
  /**
   * Moves past all further messages that are frames in one piece of memory, and returns them as they lie in the ring: each
   * a header of 32 bytes, the payload, and padding to eight bytes (`docs/memory-layout.md`), for consumers in native code.
   * `undefined` when no message is left, or the next one came in parts, which `next` shows.
   */
  readonly span: () => Uint8Array | undefined
}

export type ReceiveError = ReaderEvicted | RingCorrupt | RingClosed | RegionLost

export interface RingReaderHandle {
  readonly ring: number
  /** The next messages, lent until the next pull. Waits for one; empty once the writer is gone and all are read. */
  readonly pull: Effect.Effect<ReadonlyArray<RingMessage>, ReceiveError>
  /** The next messages as a batch, which has at least one. Waits for it; `undefined` once the writer is gone and all are read. */
  readonly pullBatch: Effect.Effect<RingBatch | undefined, ReceiveError>
  /** `pull` without waiting. Also empty where `pull` would fail: call `pull` to learn why. */
  readonly poll: () => ReadonlyArray<RingMessage>
  /**
   * Copies of whole messages, as they were sent. Ends when the writer is gone. Run it any number of times, and mix it
   * with `pull` and `poll`: each continues at the first message not yet delivered.
   */
  readonly messages: Stream.Stream<Uint8Array, ReceiveError>
  readonly cursors: () => RingCursors
}

export type OpenRingError = RingUnavailable | RegionError | RegionLost

/**
 * The rings of a region, for use with or without a swarm.
 *
 * @example
 * ```ts
 * import { Ring } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const writer = yield* Ring.writer({ name: "ticks" })
 *   const reader = yield* Ring.reader({ name: "ticks" })
 *   yield* writer.send(new Uint8Array([1, 2, 3]))
 *   const [message] = yield* reader.pull
 *   return message?.payload.length
 * })
 * ```
 */
export class Ring extends Context.Service<Ring, {
  /** Opens the writing end until the scope closes. A ring has one writer at a time. */
  readonly writer: (options: RingWriterOptions) => Effect.Effect<RingWriterHandle, OpenRingError, Scope.Scope>
  /** Opens a reading end until the scope closes. It begins with the next message published. */
  readonly reader: (options: RingReaderOptions) => Effect.Effect<RingReaderHandle, OpenRingError, Scope.Scope>
  /** All rings that have ever had a writer, except those whose slot another name has taken. */
  readonly rings: Effect.Effect<ReadonlyArray<RingState>>
  /** The readers of a ring that are attached, alive and not evicted. */
  readonly readers: (ring: number) => ReadonlyArray<RingReaderState>
}>()("ringfence/Ring") {
  static writer(options: RingWriterOptions): Effect.Effect<RingWriterHandle, OpenRingError, Scope.Scope | Ring> {
    return Ring.use((ring) => ring.writer(options))
  }

  static reader(options: RingReaderOptions): Effect.Effect<RingReaderHandle, OpenRingError, Scope.Scope | Ring> {
    return Ring.use((ring) => ring.reader(options))
  }
}
