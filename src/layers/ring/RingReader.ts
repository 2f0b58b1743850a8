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

/** Opens the reading end, and waits for the ring's first writer if the options say so. */
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

// One element a pull: a run that ends does not say how much of a longer chunk it has used.
const messagesOf = (reader: MessageReader): RingReaderHandle["messages"] =>
  Stream.fromPull(
    Effect.succeed(
      Effect.flatMap(reader.pullCopy, (copy) => copy === undefined ? Cause.done() : Effect.succeed([copy] as const))
    )
  ).pipe(Stream.ensuring(Effect.sync(() => reader.release())))

/** Frames taken from the ring at once. */
const framesMax = 256

class MessageReader {
  readonly #port: RingReaderPort
  readonly #name: string
  readonly #strategy: WaitStrategy
  readonly #parts = new Parts()
  /** Taken from the ring, and not given out from `#next` on. */
  #copies: ReadonlyArray<RingMessage> = []
  #next = 0
  /** Position behind the last copy that was given out. */
  #given = 0

  constructor(port: RingReaderPort, options: RingReaderOptions) {
    this.#port = port
    this.#name = options.name
    this.#strategy = options.strategy ?? "adaptive"
  }

  /** The next messages. Nothing is taken while it waits: a pull that is interrupted has lost none. */
  readonly pull: Effect.Effect<ReadonlyArray<RingMessage>, ReceiveError> = Effect.suspend(() =>
    this.#hasCopies ? Effect.succeed(this.#giveCopies()) : this.#lent
  )

  /** The next message as a copy that is whole, or `undefined` at the end. */
  readonly pullCopy: Effect.Effect<Uint8Array | undefined, ReceiveError> = Effect.suspend(() =>
    this.#hasCopies ? Effect.succeed(this.#giveCopy()) : this.#copied
  )

  /** Releases what was lent and takes what is there. */
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

  // Drop the copies if any of them was overwritten meanwhile: which of them cannot be told.
  #copy(messages: ReadonlyArray<RingMessage>): boolean {
    const copies = messages.map(({ end, payload }) => ({ payload: payload.slice(), end }))
    if (this.#port.evicted() !== undefined) return false
    if (!this.#hasCopies) this.#given = this.#port.cursors().delivered
    this.#copies = [...this.#giveCopies(), ...copies]
    this.#next = 0
    this.release()
    return true
  }

  // Messages are kept or copied in the step that takes them: no interruption comes between.
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
    // Asking the system whether the writer lives is slow: only a reader that waits asks.
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

  // To a reader that spins a closed end looks like the ring's end; the waiter tells them apart.
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
      // Most messages are one frame: it is the message.
      if (whole === payload) messages.push(frame)
      else if (whole !== undefined) messages.push({ payload: whole, end })
    }
    if (isCopied && this.#port.evicted() !== undefined) return []
    // Parts alone lend nothing, and the next part may need their room.
    if (messages.length === 0) this.release()
    return messages
  }

  /**
   * Messages given out are delivered and handled, and their room is free; copies not given out only free their room.
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
