/**
 * The ports of rings, which each backend implements: the two ends, frame by frame, and what a swarm asks about rings
 * and processes.
 *
 * Calls are synchronous. A caller that has to wait does so with a waiter.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OpenRingError, RingCursors, RingReaderState, RingState } from "../../services/Ring.ts"
import type { Waiter } from "./Waiter.ts"

/** The header of a frame. Kinds below 16 are the system's own. */
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
  /** Position behind the frame. */
  readonly end: number
}

/** The writing end of a ring. */
export interface RingWriterPort {
  readonly ring: number
  readonly generation: number
  /** The largest payload of one frame. */
  readonly payloadBytesMax: number
  readonly waiter: Waiter
  /** Position behind the frame, or `undefined` when there is no room. Nothing is seen before `publish`. */
  readonly append: (header: FrameHeader, payload: Uint8Array) => number | undefined
  readonly publish: () => void
  /** `append` and `publish` at once. */
  readonly send: (header: FrameHeader, payload: Uint8Array) => number | undefined
  /** Whether a payload of that size would find room now. Writes nothing. */
  readonly hasRoom: (payloadBytes: number) => boolean
  /** Position below which all frames are published. */
  readonly published: () => number
  readonly wantRoom: (wants: boolean) => void
  /** The reader furthest behind what is published: it holds the room. None when all have released everything. */
  readonly slowestReader: () => SlowestReader | undefined
  /** Evicts the reader that holds the room. False when no reader holds any. */
  readonly evictSlowest: () => boolean
  /** Why no reader will see what is written here. Never set in a killed process. */
  readonly over: () => "closed" | "superseded" | undefined
}

/** The reading end of a ring. */
export interface RingReaderPort {
  readonly ring: number
  readonly waiter: Waiter
  /** Where this reader began: a target below it is reached by definition. */
  readonly baseline: () => number
  /** Generation of the ring's present writer. */
  readonly generation: () => number
  /** Position below which all frames are published. */
  readonly leading: () => number
  /** True when `poll`, `evicted` or `damage` has something to tell. */
  readonly ready: () => boolean
  /** Up to `max` whole frames behind `read`, which moves past them. None once an eviction was seen. */
  readonly poll: (max: number) => ReadonlyArray<Frame>
  readonly cursors: () => RingCursors
  /** Moves cursors forward, never back. The one place where they move. */
  readonly advance: (cursors: RingCursors) => void
  /**
   * The range that an eviction took from this reader. Ask after copying lent bytes of a ring that evicts: they may have
   * been overwritten while they were copied.
   */
  readonly evicted: () => { readonly from: number; readonly to: number } | undefined
  /**
   * Takes part again after an eviction or damage, from `baseline` on. What was published before that is lost too. Does
   * nothing once this reader has given up its place, which another reader may have by now.
   */
  readonly rejoin: () => void
  /** This reader has given up its place: no more frames come. Never true in a killed process. */
  readonly over: () => boolean
  /** The writer is gone and all it published was read. Asks the operating system: too slow for every turn of a loop. */
  readonly ended: () => boolean
  /** Why `poll` gives nothing more: the bytes at `read` are not a valid frame. */
  readonly damage: () => string | undefined
}

/** A process of the region: its slot in the process table, and which of the slot's owners it is. */
export interface ProcessIdentity {
  readonly process: number
  readonly generation: number
}

export interface SlowestReader extends RingReaderState {
  /** The reader's name. */
  readonly name: string
}

/**
 * The rings of a region as the swarm uses them: {@link RingWriterPort} and {@link RingReaderPort}, and which processes
 * live. `makeRing` builds the service `Ring` over it.
 */
export class RingPorts extends Context.Service<RingPorts, {
  readonly openWriter: (name: string) => Effect.Effect<RingWriterPort, OpenRingError, Scope.Scope>
  /** `readerName` is what others see of the reader. Default: the process's name. */
  readonly openReader: (
    name: string,
    readerName?: string
  ) => Effect.Effect<RingReaderPort, OpenRingError, Scope.Scope>
  /** Counts the writers that were ever opened: `rings` has changed when it has. */
  readonly openings: () => number
  /** All rings that were ever written and not taken over for another name. */
  readonly rings: Effect.Effect<ReadonlyArray<RingState>>
  /** The readers of a ring that count: attached, not evicted, and alive. */
  readonly readers: (ring: number) => ReadonlyArray<RingReaderState>
  readonly waiter: Waiter
  /** `waiter`, rung when a reader delivers or handles more, comes, goes or is evicted. */
  readonly cursorWaiter: Waiter
  /** This process in the region's process table. */
  readonly self: ProcessIdentity
  /** Counts the processes that came or went, as far as this process has noticed. `waiter` is rung after each. */
  readonly lives: () => number
  /** Whether the operating system says that the process lives, now. False once its slot has another generation. */
  readonly isAlive: (process: number, generation: number) => boolean
}>()("ringfence/layers/RingPorts") {}
