/**
 * The ports of rings, which each backend implements: the two ends, frame by frame, and a swarm's questions about rings
 * and processes.
 *
 * Calls are synchronous. A caller that must wait uses a waiter.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OpenRingError, RingCursors, RingReaderState, RingState } from "../../services/Ring.ts"
import type { ProcessId } from "../../services/schema/ProcessId.ts"
import type { Waiter } from "./Waiter.ts"

/** The header of a frame. Kinds below 16 are reserved for the swarm. */
export interface FrameHeader {
  readonly kind: number
  readonly flags: number
  readonly type: number
  readonly sender: number
  readonly senderGeneration: number
  readonly correlation: number
}

/** A frame as it lies in the ring. Its payload is lent: valid until the reader's `released` passes `end`. */
export interface Frame extends FrameHeader {
  readonly payload: Uint8Array
  /** Position after the frame. */
  readonly end: number
}

/** A frame where it lies, in fields that a reader writes again for each frame. */
export interface FrameView extends FrameHeader {
  /** Where its payload begins and ends, in {@link RingReaderPort.bytes}. */
  readonly from: number
  readonly to: number
  /** Positions of the frame, and after it. */
  readonly begin: number
  readonly end: number
}

/** The writing end of a ring. */
export interface RingWriterPort {
  readonly ring: number
  readonly generation: number
  /** The largest payload of one frame. */
  readonly payloadBytesMax: number
  readonly waiter: Waiter
  /** Writes a frame and returns the position after it, or `undefined` without room. Readers see it after `publish`. */
  readonly append: (header: FrameHeader, payload: Uint8Array) => number | undefined
  readonly publish: () => void
  /** `append` and `publish` at once. */
  readonly send: (header: FrameHeader, payload: Uint8Array) => number | undefined
  /** Room for one payload, which `appendClaimed` makes a frame; another write before that takes the room. */
  readonly claim: (payloadBytes: number) => Uint8Array | undefined
  /** `append` of a payload that was written to where `claim` lent room for it. */
  readonly appendClaimed: (header: FrameHeader, payloadBytes: number) => number | undefined
  /** Whether there is room for a payload of that size now. Writes nothing. */
  readonly hasRoom: (payloadBytes: number) => boolean
  /** Position below which all frames are published. */
  readonly published: () => number
  readonly wantRoom: (wants: boolean) => void
  /** The reader that holds the room: the one furthest behind. None when all readers have released all frames. */
  readonly slowestReader: () => SlowestReader | undefined
  /** Evicts the reader that holds the room. False when there is none. */
  readonly evictSlowest: () => boolean
  /** Why no reader will see further frames of this writer. Never set in a killed process. */
  readonly over: () => "closed" | "superseded" | undefined
}

/** The reading end of a ring. */
export interface RingReaderPort {
  readonly ring: number
  readonly waiter: Waiter
  /** Where this reader began: it has reached any target below by definition. */
  readonly baseline: () => number
  /** Generation of the ring's present writer. */
  readonly generation: () => number
  /** Position below which all frames are published. */
  readonly leading: () => number
  /** True when `poll`, `evicted` or `damage` has something to report. */
  readonly ready: () => boolean
  /** Looks how far the ring is published. True when `next` has frames. */
  readonly look: () => boolean
  /** Moves the `read` cursor past the next frame that the last look has shown, and reads that frame into `frame`. */
  readonly next: () => boolean
  /** The frame of the last `next` that returned true. */
  readonly frame: FrameView
  /** The ring's bytes, which hold the frame's payload. Empty once the region is closed. */
  readonly bytes: () => Uint8Array
  /** Whether the last `look` found this reader evicted. `evicted` asks again. */
  readonly isEvicted: () => boolean
  /**
   * A glance at the memory of the ring, which costs a fraction of `ready`: true when frames are published above `read`, or
   * the reader was evicted. It does not see damage from outside.
   */
  readonly isStirred: () => boolean
  /** The next frames, at most `max`; moves the `read` cursor past them. None after an eviction. */
  readonly poll: (max: number) => ReadonlyArray<Frame>
  readonly cursors: () => RingCursors
  /** Moves the cursors that other processes see: forward, never back, and nowhere else. */
  readonly advance: (cursors: RingCursors) => void
  /**
   * The range that this reader lost by an eviction. Check it after copying lent bytes of a ring that evicts: the writer
   * may have overwritten them meanwhile.
   */
  readonly evicted: () => { readonly from: number; readonly to: number } | undefined
  /**
   * Begins again after an eviction or damage, at a new `baseline`. Frames published before it are lost too. Does
   * nothing once this reader has given up its place, because another reader may have taken it.
   */
  readonly rejoin: () => void
  /** True once this reader has given up its place and gets no more frames. Never true in a killed process. */
  readonly over: () => boolean
  /** True once the writer is gone and all its frames are read. Asks the operating system: too slow for a tight loop. */
  readonly ended: () => boolean
  /** Why `poll` returns nothing more, when the bytes at `read` are not a valid frame. */
  readonly damage: () => string | undefined
}

/** A process of the region: its slot in the process table, and the slot's generation. */
export interface ProcessIdentity {
  readonly process: number
  readonly generation: number
}

export interface SlowestReader extends RingReaderState {
  /** The reader's name. */
  readonly name: string
  /** Its process's, unless that has just detached. */
  readonly processId: ProcessId | undefined
}

/**
 * The rings of a region as the swarm uses them: {@link RingWriterPort}, {@link RingReaderPort}, and the liveness of
 * processes. `makeRing` builds the service `Ring` over it.
 */
export class RingPorts extends Context.Service<RingPorts, {
  readonly openWriter: (name: string) => Effect.Effect<RingWriterPort, OpenRingError, Scope.Scope>
  /** `readerName` is the name that other processes see. Default: the process's name. */
  readonly openReader: (
    name: string,
    readerName?: string
  ) => Effect.Effect<RingReaderPort, OpenRingError, Scope.Scope>
  /** Counts the writers opened so far: it changes whenever `rings` does. */
  readonly openings: () => number
  /** All rings that have ever had a writer, except those whose slot another name has taken. */
  readonly rings: Effect.Effect<ReadonlyArray<RingState>>
  /** The readers of a ring that are attached, alive and not evicted. */
  readonly readers: (ring: number) => ReadonlyArray<RingReaderState>
  readonly waiter: Waiter
  /** A waiter that also wakes when a reader delivers or handles more, attaches, leaves or is evicted. */
  readonly cursorWaiter: Waiter
  /**
   * Notes that this process looks again and again from now on, instead of sleeping. False, and it does not count, if more than
   * `others` living processes of the region do so already.
   */
  readonly beginLook: (others: number) => boolean
  readonly endLook: () => void
  /** This process in the region's process table. */
  readonly self: ProcessIdentity
  /** Counts the attachments and departures of processes that this process has noticed. Each wakes `waiter`. */
  readonly lives: () => number
  /** Whether the process is alive, by asking the operating system. False once its slot has another generation. */
  readonly isAlive: (process: number, generation: number) => boolean
}>()("ringfence/layers/RingPorts") {}
