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
  type RingBatch,
  RingClosed,
  RingCorrupt,
  type RingMessage,
  type RingReaderHandle,
  type RingReaderOptions,
  type WaitStrategy
} from "../../services/Ring.ts"
import type { RingPorts, RingReaderPort } from "../ports/RingPorts.ts"
import { MessageBatch } from "./MessageBatch.ts"
import { spin, spinMicros, spinning } from "./spin.ts"

export const makeRingReader = (port: RingReaderPort, options: RingReaderOptions): RingReaderHandle => {
  const reader = new MessageReader(port, options)
  return {
    ring: port.ring,
    pull: reader.pull,
    pullBatch: reader.pullBatch,
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

/** The most messages of one pull. */
const messagesMax = 256

/** Copies between two releases of their room: a writer that waits for it must not wait for a whole ring of them. */
const copiesMax = 64

class MessageReader {
  readonly #port: RingReaderPort
  readonly #name: string
  readonly #strategy: WaitStrategy
  readonly #batch: MessageBatch
  #copies = 0

  constructor(port: RingReaderPort, options: RingReaderOptions) {
    this.#port = port
    this.#name = options.name
    this.#strategy = options.strategy ?? "adaptive"
    this.#batch = new MessageBatch(port)
  }

  /** The next messages. Takes nothing while it waits, so that an interrupted pull loses none. */
  readonly pull = this.#pulling<ReadonlyArray<RingMessage>>(() => this.#messages(), [])

  readonly pullBatch = this.#pulling<RingBatch | undefined>(() => this.#batch, undefined)

  /** A copy of the next whole message, or `undefined` at the end. */
  readonly pullCopy: Effect.Effect<Uint8Array | undefined, ReceiveError> = Effect.suspend(() => {
    const copy = this.#copies < copiesMax && this.#batch.keep() ? this.#copy() : undefined
    return copy === undefined ? this.#copied : Effect.succeed(copy)
  })

  /** Releases the lent messages and takes those that are published, without waiting. */
  take(): ReadonlyArray<RingMessage> {
    this.release()
    if (this.#port.isStirred()) this.#port.look()
    const messages = this.#messages()
    // Parts are copied, and the next part may need their room.
    if (messages.length === 0) this.release()
    return messages
  }

  #messages(): ReadonlyArray<RingMessage> {
    const messages: Array<RingMessage> = []
    while (messages.length < messagesMax && this.#batch.next()) {
      messages.push({ payload: this.#batch.payload(), end: this.#batch.end })
    }
    return messages
  }

  // Drop a copy after an eviction: the writer may have overwritten it meanwhile.
  #copy(): Uint8Array | undefined {
    if (!this.#batch.next()) return undefined
    const copy = this.#batch.payload().slice()
    this.#copies += 1
    return this.#port.evicted() === undefined ? copy : undefined
  }

  // Take messages and deliver or copy them in one step: an interruption between the two would lose them.
  #pulling<B>(deliver: () => B | undefined, end: B): Effect.Effect<B, ReceiveError> {
    const taken = (): Effect.Effect<B, ReceiveError> => {
      this.#port.look()
      if (!this.#port.isEvicted() && this.#batch.keep()) {
        const delivered = deliver()
        if (delivered !== undefined) return Effect.succeed(delivered)
      }
      const failure = this.#failure()
      return failure === undefined ? pull : Effect.fail(failure)
    }
    // Asking the system whether the writer lives is slow: ask only when about to wait.
    const takenOrEnded = Effect.suspend(() =>
      this.#port.over() ? this.#closed : this.#isReady() ? taken() : Effect.as(this.#attached, end)
    )
    const pull: Effect.Effect<B, ReceiveError> = Effect.suspend(() => {
      if (this.#port.over()) return this.#closed
      // Parts are copied, and the next part may need their room.
      this.release()
      const isReady = this.#strategy === "park" ? this.#isReady() : spin(this.#ready, spinMicros) !== undefined
      return isReady ? taken() : Effect.andThen(this.#wait, takenOrEnded)
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

  readonly #copied = this.#pulling<Uint8Array | undefined>(() => this.#copy(), undefined)

  /** Marks the delivered messages as delivered and handled, and releases their room. */
  release(): void {
    const { delivered } = this.#batch
    this.#copies = 0
    this.#port.advance({ read: delivered, delivered, handled: delivered, released: delivered })
  }

  // A message may be left of a batch that was not read to its end.
  #isReady(): boolean {
    return this.#port.ready() || this.#batch.keep()
  }

  readonly #ready = (): true | undefined =>
    (this.#port.isStirred() || this.#batch.keep()) && this.#isReady() ? true : undefined
  readonly #readyOrEnded = (): true | undefined =>
    this.#isReady() || this.#port.over() || this.#port.ended() ? true : undefined

  readonly #wait: Effect.Effect<unknown, RegionLost> = Effect.suspend(() =>
    this.#strategy === "spin" ? spinning(this.#ready, this.#readyOrEnded) : this.#port.waiter.until(this.#readyOrEnded)
  )

  #failure(): ReaderEvicted | RingCorrupt | undefined {
    const lost = this.#port.evicted()
    if (lost !== undefined) {
      this.#batch.forget()
      this.#port.rejoin()
      return new ReaderEvicted({ ring: this.#name, from: lost.from, to: this.#port.baseline() })
    }
    const detail = this.#port.damage()
    return detail === undefined ? undefined : new RingCorrupt({ ring: this.#name, detail })
  }
}
