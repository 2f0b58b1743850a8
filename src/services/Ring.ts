/**
 * Rings: one writer, many readers, messages of any length, every reader at its own pace, no loss unless asked for.
 *
 * A position is the number of bytes written since the ring was born. It continues when the ring gets another writer,
 * whose frames are a new generation: a place in a ring is named by ring, generation and position together.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { RegionLost } from "./CxlMemory.ts"
import type { DrainTarget } from "./schema/DrainTarget.ts"
import type { RegionError } from "./schema/RegionError.ts"
import { formatCount, formatMillis, plural } from "./text/quantities.ts"

/** How far a reader is. */
export interface RingCursors {
  /** Taken from the ring. */
  readonly read: number
  /** Its handler has begun. */
  readonly delivered: number
  /** Its handler has ended; everything before it too. */
  readonly handled: number
  /** Its bytes are no longer needed. */
  readonly released: number
}

export interface RingState {
  readonly ring: number
  readonly name: string
  readonly generation: number
  /** Its writer lives and has not closed it. */
  readonly written: boolean
  readonly position: number
  /** Process slot of its writer. */
  readonly process: number
  /** Frames published since the ring was born. A writer killed while it publishes may have counted frames never seen. */
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
  reason: Schema.Literals(["written", "missing", "noRings"])
}) {
  override get message(): string {
    const why = {
      written: "has a writer already",
      missing: "has no writer yet",
      noRings: "cannot be: the region was created without room for it"
    }
    return `ring "${this.ring}" ${why[this.reason]}`
  }
}

/** The message is larger than the writer's limit. Nothing of it was written. */
export class MessageTooLarge extends Schema.TaggedError<MessageTooLarge>()("MessageTooLarge", {
  ring: Schema.String,
  messageBytes: Schema.Number,
  limitBytes: Schema.Number
}) {
  override get message(): string {
    return `a message of ${plural(this.messageBytes, "byte")} is more than ring "${this.ring}" takes (${
      formatCount(this.limitBytes)
    })`
  }
}

/** No room was found, at once (`fail`) or within the deadline (`wait`). */
export class RingFull extends Schema.TaggedError<RingFull>()("RingFull", {
  ring: Schema.String,
  waitedMillis: Schema.Number,
  /** Process slot of the reader that holds the room; -1 when none does. */
  process: Schema.Number,
  /** That reader's name. */
  reader: Schema.String
}) {
  override get message(): string {
    const holder = this.process < 0 ? "no reader" : `reader "${this.reader}" (process slot ${this.process})`
    return `ring "${this.ring}" stayed full for ${formatMillis(this.waitedMillis)}; ${holder} holds the space`
  }
}

/**
 * This reader was too slow and lost every message of which a byte lies between `from` and `to`. Reading on continues
 * behind it.
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

/** The ring does not hold a valid frame: the memory was damaged from outside. */
export class RingCorrupt extends Schema.TaggedError<RingCorrupt>()("RingCorrupt", {
  ring: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `ring "${this.ring}": ${this.detail}`
  }
}

/** This end of the ring is used after its scope has ended, or after another process has taken the ring over. */
export class RingClosed extends Schema.TaggedError<RingClosed>()("RingClosed", {
  ring: Schema.String,
  end: Schema.Literals(["writer", "reader"]),
  reason: Schema.Literals(["closed", "superseded"])
}) {
  override get message(): string {
    const why = this.reason === "closed" ? "its scope has ended" : "another process writes the ring now"
    return `ring "${this.ring}": this ${this.end} is over, ${why}: open another in a scope that lasts as long as it is used`
  }
}

/** What a full ring does to a message: it waits, it fails at once, or the slowest reader loses what it has not read. */
export type FullPolicy = "wait" | "fail" | "evict"

export interface RingWriterOptions {
  readonly name: string
  /** Default `wait`. */
  readonly whenFull?: FullPolicy | undefined
  /** How long `wait` waits before it fails with {@link RingFull}. Default 30 seconds. */
  readonly roomDeadline?: Duration.Input | undefined
  /** Messages above this are refused; those above one frame are sent in fragments. Default 16 MiB. */
  readonly messageBytesMax?: number | undefined
}

/** How a reader waits: it spins (yielding to the event loop now and then), spins a little before it sleeps, or sleeps. */
export type WaitStrategy = "spin" | "adaptive" | "park"

export interface RingReaderOptions {
  readonly name: string
  /** The name that others see. Default: the process's name. */
  readonly readerName?: string | undefined
  /** Default `adaptive`. */
  readonly strategy?: WaitStrategy | undefined
  /** Waits for the ring's writer. Default: fails with {@link RingUnavailable} when the ring has no writer. */
  readonly awaitWriter?: boolean | undefined
}

export type SendError = MessageTooLarge | RingFull | RingClosed | RegionLost

export interface RingWriterHandle {
  readonly ring: number
  readonly generation: number
  /** Writes and publishes the message if there is room. */
  readonly offer: (message: Uint8Array) => boolean
  /** Writes it without publishing: `publish` makes all written messages visible at once. */
  readonly append: (message: Uint8Array) => boolean
  readonly publish: () => void
  /** Waits for room as `whenFull` says. Fails at once with {@link RingClosed} when this writer has ended. */
  readonly send: (message: Uint8Array) => Effect.Effect<void, SendError>
  /** Where this ring stands now: a reader that reaches it has seen everything sent before. */
  readonly target: () => DrainTarget
}

/**
 * A message, whole. Lent until the next pull, like its batch. On a ring that evicts, a lent message may be overwritten
 * earlier: the next pull then fails. Read such rings through {@link RingReaderHandle.messages}.
 */
export interface RingMessage {
  readonly payload: Uint8Array
  /** Position behind it. */
  readonly end: number
}

export type ReceiveError = ReaderEvicted | RingCorrupt | RingClosed | RegionLost

export interface RingReaderHandle {
  readonly ring: number
  /** The next messages, lent until the next pull. Waits for one; empty once the writer is gone and all was read. */
  readonly pull: Effect.Effect<ReadonlyArray<RingMessage>, ReceiveError>
  /** `pull` without waiting. Also empty where `pull` would fail: call `pull` to learn why. */
  readonly poll: () => ReadonlyArray<RingMessage>
  /**
   * Messages, copied, each whole and as it was sent. Ends when the writer is gone. Run it any number of times, and mix
   * it with `pull` and `poll`: each goes on at the first message that was not given out.
   */
  readonly messages: Stream.Stream<Uint8Array, ReceiveError>
  readonly cursors: () => RingCursors
}

export type OpenRingError = RingUnavailable | RegionError | RegionLost

/**
 * The rings of a region, for programs that use them alone or beside a swarm.
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
  /** Opens a reading end until the scope closes. It begins with what is published from now on. */
  readonly reader: (options: RingReaderOptions) => Effect.Effect<RingReaderHandle, OpenRingError, Scope.Scope>
  /** All rings that were ever written and whose name was not given up for another. */
  readonly rings: Effect.Effect<ReadonlyArray<RingState>>
  /** The readers of a ring that count: attached, not evicted, and alive. */
  readonly readers: (ring: number) => ReadonlyArray<RingReaderState>
}>()("ringfence/Ring") {
  static writer(options: RingWriterOptions): Effect.Effect<RingWriterHandle, OpenRingError, Scope.Scope | Ring> {
    return Ring.use((ring) => ring.writer(options))
  }

  static reader(options: RingReaderOptions): Effect.Effect<RingReaderHandle, OpenRingError, Scope.Scope | Ring> {
    return Ring.use((ring) => ring.reader(options))
  }
}
