/**
 * Reads a ring message by message: the one loop for all rings of a swarm.
 *
 * Only this loop publishes progress, for every message on every path: a handler only reports that it has begun or
 * ended.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { RangeLost } from "../../../services/Barrier.ts"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import type { Frame, RingReaderPort } from "../../ports/RingPorts.ts"
import type { Waiter } from "../../ports/Waiter.ts"
import { Parts } from "../../ring/Fragments.ts"

/** A whole message. The payload is lent until its handler returns or first waits. */
export interface Message extends Frame {
  readonly kind: number
}

/** Handles a message. Returns `undefined` when it is done at once. */
export type Handle = (message: Message) => Effect.Effect<void> | undefined

/** True for messages whose handlers run one after the other. The loop does not wait for other handlers. */
export type IsSerial = (frame: Frame) => boolean

export interface RingConsumerOptions {
  /** Default: true for all. */
  readonly isSerial?: IsSerial
  /** Called after `catchUp` has handled all messages. */
  readonly caughtUp?: () => void
}

/** The progress of a reader's handlers: begun, or ended. */
export type Cursor = "delivered" | "handled"

interface CursorWait {
  readonly cursor: Cursor
  readonly position: number
  readonly resume: (lost: RangeLost | undefined) => void
}

/** What a check leaves to its fiber: the messages from `at` on. */
interface Rest {
  readonly frames: ReadonlyArray<Frame>
  readonly at: number
  /** The handler of the first of them, which has been called. Otherwise it waits for another handler, if one runs. */
  readonly taking: Effect.Effect<void> | undefined
}

/** The most messages taken from the ring at once. */
const framesMax = 64

/** More steps of a fiber than lie between a message and the first step of its handler. */
const stepsToHandler = 128

export class RingConsumer {
  readonly port: RingReaderPort
  readonly #waiter: Waiter
  readonly #handle: Handle
  readonly #isSerial: IsSerial
  readonly #caughtUp: () => void
  readonly #waits = new Set<CursorWait>()
  readonly #parts = new Parts()
  #delivered: number
  #handled: number
  #released: number
  /** Messages below this position are handled, or in the running handler. */
  #passed: number
  #running: Fiber.Fiber<void> | undefined
  #messages = 0
  #lost: RangeLost | undefined
  #isCatchingUp = false

  constructor(
    port: RingReaderPort,
    handle: Handle,
    waiter = port.waiter,
    { caughtUp = () => undefined, isSerial = () => true }: RingConsumerOptions = {}
  ) {
    this.port = port
    this.#caughtUp = caughtUp
    this.#waiter = waiter
    this.#handle = handle
    this.#isSerial = isSerial
    this.#delivered =
      this.#handled =
      this.#released =
      this.#passed =
        port.baseline()
  }

  position(cursor: Cursor): number {
    return cursor === "delivered" ? this.#delivered : this.#handled
  }

  /** Messages delivered since this reader began. */
  get messages(): number {
    return this.#messages
  }

  readonly #isStirred = (): boolean => this.port.isStirred()

  /**
   * Reads for ever. Handlers begin in the order of their messages. Serial handlers run one after the other; other
   * messages do not wait for a running handler. Ends only when part of the ring was lost, which `lost` names.
   */
  readonly run: Effect.Effect<void, RegionLost> = Effect.suspend(() => {
    const step: Effect.Effect<void, RegionLost> = Effect.flatMap(
      this.#waiter.until(() => this.#next(), this.#isStirred),
      (rest) => rest === "over" ? Effect.void : Effect.andThen(this.#rest(rest), step)
    )
    return step
  })

  /** `run` for a synchronous handler, which is called as soon as the message is seen. */
  readonly runAtOnce: Effect.Effect<void, RegionLost> = Effect.suspend(() =>
    Effect.asVoid(this.#waiter.until(() => this.catchUp() ? undefined : true, this.#isStirred))
  )

  /** Handles all published messages with a synchronous handler. False when part of the ring was lost. */
  catchUp(): boolean {
    if (this.#isCatchingUp || !this.port.ready()) return true
    this.#isCatchingUp = true
    try {
      for (let frames = this.port.poll(framesMax); frames.length > 0; frames = this.port.poll(framesMax)) {
        for (const frame of frames) {
          this.#begin(frame)
          this.#pass(frame.end)
        }
        this.#advance()
      }
    } finally {
      this.#isCatchingUp = false
    }
    this.#caughtUp()
    return !this.#noteLoss()
  }

  /** True within `catchUp`. */
  get isCatchingUp(): boolean {
    return this.#isCatchingUp
  }

  /** True when this reader has reached the target, or never will. */
  hasReached({ position }: DrainTarget, cursor: Cursor): boolean {
    return this.#lost !== undefined || this.position(cursor) >= position
  }

  /** Waits until this reader has reached the target. */
  reached({ position }: DrainTarget, cursor: Cursor): Effect.Effect<void, RangeLost> {
    return this.#reaches(position, cursor)
  }

  #reaches(position: number, cursor: Cursor): Effect.Effect<void, RangeLost> {
    return Effect.callback((resume) => {
      if (this.#lost !== undefined) return resume(Effect.fail(this.#lost))
      if (this.position(cursor) >= position) return resume(Effect.void)
      const wait: CursorWait = {
        cursor,
        position,
        resume: (lost) => resume(lost === undefined ? Effect.void : Effect.fail(lost))
      }
      this.#waits.add(wait)
      return Effect.sync(() => {
        this.#waits.delete(wait)
      })
    })
  }

  // Handles here what is done at once, as answers are and messages to others, without a step of the fiber. Only one batch: a
  // writer that never pauses must not keep the fiber from yielding to the event loop.
  #next(): Rest | "over" | undefined {
    if (this.#isCatchingUp || !this.port.ready()) return undefined
    const frames = this.port.poll(framesMax)
    if (frames.length === 0) return this.#noteLoss() ? "over" : undefined
    this.#isCatchingUp = true
    try {
      const rest = this.#atOnce(frames, 0)
      if (rest !== undefined) return rest
      return this.port.ready() ? { frames: this.port.poll(framesMax), at: 0, taking: undefined } : undefined
    } catch (defect) {
      return { frames, at: frames.length, taking: Effect.die(defect) }
    } finally {
      this.#isCatchingUp = false
    }
  }

  // Stops at a message whose handler is not done at once, or has to wait for another.
  #atOnce(frames: ReadonlyArray<Frame>, from: number): Rest | undefined {
    for (let at = from; at < frames.length; at++) {
      const frame = frames[at] as Frame
      if (this.#running !== undefined && this.#isSerial(frame)) return { frames, at, taking: undefined }
      const taking = this.#begin(frame)
      if (taking !== undefined) return { frames, at, taking }
      this.#pass(frame.end)
    }
    this.#advance()
    return undefined
  }

  #rest({ at, frames, taking }: Rest): Effect.Effect<void> {
    const frame = frames[at]
    const running = this.#running
    if (taking === undefined) {
      const isHeld = running !== undefined && frame !== undefined && this.#isSerial(frame)
      return isHeld ? Effect.flatMap(Fiber.await(running), () => this.#each(frames, at)) : this.#each(frames, at)
    }
    if (frame === undefined) return taking
    const taken = this.#isSerial(frame)
      ? this.#start(taking, frame.end)
      : Effect.map(taking, () => this.#pass(frame.end))
    return Effect.flatMap(taken, () => this.#each(frames, at + 1))
  }

  // Synchronous unless it has to wait.
  #each(frames: ReadonlyArray<Frame>, from: number): Effect.Effect<void> {
    const rest = this.#atOnce(frames, from)
    return rest === undefined ? Effect.void : this.#rest(rest)
  }

  // Returns once the handler has begun: the next message's handler must not begin before it.
  #start(handler: Effect.Effect<void>, end: number): Effect.Effect<void> {
    return Effect.flatMap(Effect.forkChild(this.#told(handler, end), { startImmediately: true }), (running) => {
      if (running.pollUnsafe() !== undefined) return Effect.sync(() => this.#pass(end))
      this.#passed = end
      this.#running = running
      running.addObserver(() => {
        this.#running = undefined
        this.#pass(this.#passed)
        this.#advance()
      })
      if (this.#delivered >= end) return Effect.void
      return Effect.raceFirst(Effect.ignore(this.#reaches(end, "delivered")), Effect.asVoid(Fiber.await(running)))
    })
  }

  #pass(end: number): void {
    this.#passed = end
    this.#delivered = Math.max(this.#delivered, end)
    if (this.#running === undefined) this.#handled = end
  }

  #begin(frame: Frame): Effect.Effect<void> | undefined {
    const payload = this.#parts.whole(frame.flags, frame.payload)
    if (payload !== undefined) this.#messages++
    const running = payload === undefined
      ? undefined
      : this.#handle(payload === frame.payload ? frame : { ...frame, payload })
    this.#released = frame.end
    if (running === undefined) this.#delivered = frame.end
    return running
  }

  // Publishes that the handler has begun at the end of this turn, when it has: a fence that waits for it continues at
  // once. A fiber that would yield before the handler's first step takes a new turn first.
  #told(running: Effect.Effect<void>, end: number): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      if (fiber.currentOpCount + stepsToHandler > fiber.cache.maxOpsBeforeYield) {
        return Effect.andThen(Effect.yieldNow, this.#told(running, end))
      }
      queueMicrotask(() => this.#begun(end))
      return running
    })
  }

  #begun(end: number): void {
    if (end <= this.#delivered) return
    this.#delivered = end
    this.#advance()
  }

  #advance(): void {
    const { read } = this.port.cursors()
    this.port.advance({ read, delivered: this.#delivered, handled: this.#handled, released: this.#released })
    if (this.#waits.size === 0) return
    for (const wait of this.#waits) {
      if (this.position(wait.cursor) < wait.position) continue
      this.#waits.delete(wait)
      wait.resume(undefined)
    }
  }

  #noteLoss(): boolean {
    const evicted = this.port.evicted()
    const { read } = this.port.cursors()
    if (evicted === undefined && this.port.damage() === undefined) return false
    this.#lost = new RangeLost({ ring: this.port.ring, from: evicted?.from ?? read, to: evicted?.to ?? read })
    for (const wait of this.#waits) wait.resume(this.#lost)
    this.#waits.clear()
    return true
  }

  get lost(): RangeLost | undefined {
    return this.#lost
  }
}
