/**
 * The reading end of a ring as programs use it: whole messages, lent or copied, and the three ways to wait for one.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RegionLost } from "../../services/CxlMemory.ts"
import {
  type OpenRingError,
  ReaderEvicted,
  type ReceiveError,
  RingClosed,
  RingCorrupt,
  type RingMessage,
  type RingReaderHandle,
  type RingReaderOptions,
  type WaitStrategy
} from "../../services/Ring.ts"
import type { RingPorts, RingReaderPort } from "../ports/RingPorts.ts"
import { continuedFlag, partFlag, Parts } from "./Fragments.ts"
import { spin, spinMicros, spinning } from "./spin.ts"

export const makeRingReader = (port: RingReaderPort, options: RingReaderOptions): RingReaderHandle => {
  const reader = new MessageReader(port, options)
  return {
    ring: port.ring,
    pull: reader.pull,
    poll: () => reader.take(),
    messages: messagesOf(reader),
    cursors: () => port.cursors()
  }
}

/** Opens the reading end, and first waits for the ring's writer if the options say so. */
export const openWhenWritten = (
  ring: RingPorts["Service"],
  options: RingReaderOptions
): Effect.Effect<RingReaderPort, OpenRingError, Scope.Scope> => {
  const open = ring.openReader(options.name, options.readerName)
  if (options.awaitWriter !== true) return open
  const isWritten = Effect.map(
    ring.rings,
    (rings) => rings.some(({ name, written }) => written && name === options.name)
  )
  const awaited = ring.waiter.until(() => Effect.runSync(isWritten) ? true : undefined)
  return Effect.andThen(awaited, open)
}

// --- internal ---

// Pull one element at a time: a run that ends does not say how much of a longer chunk it has consumed.
const messagesOf = (reader: MessageReader): RingReaderHandle["messages"] =>
  Stream.fromPull(
    Effect.succeed(
      Effect.flatMap(reader.pullCopy, (copy) => copy === undefined ? Cause.done() : Effect.succeed([copy] as const))
    )
  ).pipe(Stream.ensuring(Effect.sync(() => reader.release())))

/** The most frames taken from the ring at once. */
const framesMax = 256

class MessageReader {
  readonly #port: RingReaderPort
  readonly #name: string
  readonly #strategy: WaitStrategy
  readonly #parts = new Parts()
  /** Copied messages; those from `#next` on are not delivered yet. */
  #copies: ReadonlyArray<RingMessage> = []
  #next = 0
  /** Position after the last delivered copy. */
  #given = 0

  constructor(port: RingReaderPort, options: RingReaderOptions) {
    this.#port = port
    this.#name = options.name
    this.#strategy = options.strategy ?? "adaptive"
  }

  /** The next messages. Takes nothing while it waits, so that an interrupted pull loses none. */
  readonly pull: Effect.Effect<ReadonlyArray<RingMessage>, ReceiveError> = Effect.suspend(() =>
    this.#hasCopies ? Effect.succeed(this.#giveCopies()) : this.#lent
  )

  /** A copy of the next whole message, or `undefined` at the end. */
  readonly pullCopy: Effect.Effect<Uint8Array | undefined, ReceiveError> = Effect.suspend(() =>
    this.#hasCopies ? Effect.succeed(this.#giveCopy()) : this.#copied
  )

  /** Releases the lent messages and takes those that are published, without waiting. */
  take(): ReadonlyArray<RingMessage> {
    if (this.#hasCopies) return this.#giveCopies()
    this.release()
    return this.#poll()
  }

  get #hasCopies(): boolean {
    return this.#next < this.#copies.length
  }

  #giveCopy(): Uint8Array {
    const { end, payload } = this.#copies[this.#next] as RingMessage
    this.#next += 1
    this.#given = end
    return payload
  }

  #giveCopies(): ReadonlyArray<RingMessage> {
    const rest = this.#copies.slice(this.#next)
    this.#next = this.#copies.length
    return rest
  }

  // After an eviction drop all copies: the writer may have overwritten any of them meanwhile.
  #copy(messages: ReadonlyArray<RingMessage>): boolean {
    const copies = messages.map(({ end, payload }) => ({ payload: payload.slice(), end }))
    if (this.#port.evicted() !== undefined) return false
    if (!this.#hasCopies) this.#given = this.#port.cursors().delivered
    this.#copies = [...this.#giveCopies(), ...copies]
    this.#next = 0
    this.release()
    return true
  }

  // Take messages and deliver or copy them in one step: an interruption between the two would lose them.
  #pulling<B>(
    deliver: (messages: ReadonlyArray<RingMessage>) => B | undefined,
    end: B
  ): Effect.Effect<B, ReceiveError> {
    const taken: Effect.Effect<B, ReceiveError> = Effect.suspend(() => {
      const messages = this.#poll()
      if (messages.length === 0) {
        const failure = this.#failure()
        return failure === undefined ? pull : Effect.fail(failure)
      }
      const delivered = deliver(messages)
      return delivered === undefined ? pull : Effect.succeed(delivered)
    })
    // Asking the system whether the writer lives is slow: ask only when about to wait.
    const takenOrEnded = Effect.suspend(() =>
      this.#port.over() ? this.#closed : this.#port.ready() ? taken : Effect.as(this.#attached, end)
    )
    const pull: Effect.Effect<B, ReceiveError> = Effect.suspend(() => {
      if (this.#port.over()) return this.#closed
      this.release()
      const isReady = this.#strategy === "park" ? this.#port.ready() : spin(this.#ready, spinMicros) !== undefined
      return isReady ? taken : Effect.andThen(this.#wait, takenOrEnded)
    })
    return pull
  }

  // To a spinning reader a lost region looks like the end of the ring; the waiter fails for a lost region.
  readonly #attached: Effect.Effect<unknown, RegionLost> = Effect.suspend(() => this.#port.waiter.until(() => true))

  readonly #closed: Effect.Effect<never, RingClosed | RegionLost> = Effect.suspend(() =>
    Effect.andThen(
      this.#attached,
      Effect.fail(new RingClosed({ ring: this.#name, end: "reader", reason: "closed" }))
    )
  )

  // Another fiber may have taken copies while this one waited.
  readonly #lent = this.#pulling((messages) => this.#hasCopies ? [...this.#giveCopies(), ...messages] : messages, [])

  readonly #copied = this.#pulling<Uint8Array | undefined>(
    (messages) => this.#copy(messages) ? this.#giveCopy() : undefined,
    undefined
  )

  #poll(): ReadonlyArray<RingMessage> {
    const messages: Array<RingMessage> = []
    let isCopied = false
    for (const frame of this.#port.poll(framesMax)) {
      const { end, flags, payload } = frame
      isCopied ||= (flags & (partFlag | continuedFlag)) !== 0
      const whole = this.#parts.whole(flags, payload)
      // A message of one frame needs no copy.
      if (whole === payload) messages.push(frame)
      else if (whole !== undefined) messages.push({ payload: whole, end })
    }
    if (isCopied && this.#port.evicted() !== undefined) return []
    // Parts are copied, and the next part may need their room.
    if (messages.length === 0) this.release()
    return messages
  }

  /**
   * Marks delivered messages as delivered and handled, and releases their room; of undelivered copies it releases only
   * the room.
   */
  release(): void {
    const { read } = this.#port.cursors()
    const given = this.#hasCopies ? this.#given : read
    this.#port.advance({ read, delivered: given, handled: given, released: read })
  }

  readonly #ready = (): true | undefined => this.#port.ready() ? true : undefined
  readonly #readyOrEnded = (): true | undefined =>
    this.#port.ready() || this.#port.over() || this.#port.ended() ? true : undefined

  readonly #wait: Effect.Effect<unknown, RegionLost> = Effect.suspend(() =>
    this.#strategy === "spin" ? spinning(this.#ready, this.#readyOrEnded) : this.#port.waiter.until(this.#readyOrEnded)
  )

  #failure(): ReaderEvicted | RingCorrupt | undefined {
    const lost = this.#port.evicted()
    if (lost !== undefined) {
      this.#parts.forget()
      this.#port.rejoin()
      return new ReaderEvicted({ ring: this.#name, from: lost.from, to: this.#port.baseline() })
    }
    const detail = this.#port.damage()
    return detail === undefined ? undefined : new RingCorrupt({ ring: this.#name, detail })
  }
}
