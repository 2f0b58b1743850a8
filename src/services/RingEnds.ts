/**
 * The two ends of a ring as programs use them: whole messages, waiting, policies.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { RegionLost } from "./CxlMemory.ts"
import { millisOf } from "./input/DurationInput.ts"
import {
  type FrameHeader,
  type FullPolicy,
  MessageTooLarge,
  type OpenRingError,
  ReaderEvicted,
  type ReceiveError,
  type Ring,
  RingClosed,
  RingCorrupt,
  RingFull,
  type RingMessage,
  type RingReaderHandle,
  type RingReaderOptions,
  type RingReaderPort,
  type RingWriterHandle,
  type RingWriterOptions,
  type RingWriterPort,
  type SendError,
  type WaitStrategy
} from "./Ring.ts"

/** Kind of a frame that carries a message of a plain ring. */
export const messageKind = 16

/** Flag of a frame that is followed by another part of its message. */
export const partFlag = 1

/** Flag of a frame that goes on with the message of the one before. */
export const continuedFlag = 2

export const makeRingWriter = (port: RingWriterPort, options: RingWriterOptions): RingWriterHandle => {
  const writer = new MessageWriter(port, options)
  return {
    ring: port.ring,
    generation: port.generation,
    offer: (message) => writer.offer(message),
    append: (message) => writer.append(message),
    publish: () => writer.publish(),
    send: (message) => writer.send(message),
    target: () => ({ ring: port.ring, generation: port.generation, position: port.published() })
  }
}

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

// One a pull: of a longer chunk a run that ends does not say how much it has used.
const messagesOf = (reader: MessageReader): RingReaderHandle["messages"] =>
  Stream.fromPull(
    Effect.succeed(
      Effect.flatMap(reader.pullCopy, (copy) => copy === undefined ? Cause.done() : Effect.succeed([copy] as const))
    )
  ).pipe(Stream.ensuring(Effect.sync(() => reader.release())))

/** Opens the reading end, waiting for the ring's first writer where that was asked for. */
export const openWhenWritten = (
  ring: Ring["Service"],
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

const defaultMessageBytesMax = 16 * 1024 * 1024

const plainHeader: FrameHeader = {
  kind: messageKind,
  flags: 0,
  type: 0,
  sender: 0,
  senderGeneration: 0,
  correlation: 0
}

/** Writes messages of any length, in one frame or in parts, and waits for room as it was told to. */
export class MessageWriter {
  readonly #port: RingWriterPort
  readonly #name: string
  readonly #policy: FullPolicy
  readonly #limitBytes: number
  /** The largest message that goes in one frame. */
  readonly #frameBytesMax: number
  readonly #roomMillis: number
  /** A message in parts has the ring to itself until its last part is written. */
  readonly #parts = Semaphore.makeUnsafe(1)
  /** Those who write in parts, or wait for their turn to. */
  #inTurn = 0
  #unpublished = false

  constructor(port: RingWriterPort, options: RingWriterOptions) {
    this.#port = port
    this.#name = options.name
    this.#policy = options.whenFull ?? "wait"
    this.#limitBytes = options.messageBytesMax ?? defaultMessageBytesMax
    this.#frameBytesMax = Math.min(this.#limitBytes, port.payloadBytesMax)
    this.#roomMillis = millisOf("roomDeadline", options.roomDeadline ?? "30 seconds")
  }

  /** One frame, at once. False when there is no room, or when the message needs more than one. */
  append(message: Uint8Array, header = plainHeader): boolean {
    return this.#fits(message) && this.#append(header, message)
  }

  #fits(message: Uint8Array): boolean {
    return this.#inTurn === 0 && message.length <= this.#frameBytesMax
  }

  offer(message: Uint8Array, header = plainHeader): boolean {
    if (!this.#fits(message)) return false
    if (this.#port.send(header, message) !== undefined) return this.#published()
    if (this.append(message, header)) return this.publish()
    // What is written and not published takes room that nobody can give back.
    return this.#unpublished && this.#inTurn === 0 && this.publish() && this.append(message, header) && this.publish()
  }

  publish(): true {
    this.#port.publish()
    return this.#published()
  }

  #published(): true {
    this.#unpublished = false
    return true
  }

  send(message: Uint8Array, header = plainHeader): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.offer(message, header) ? Effect.void : this.#sendSlowly(message, header))
  }

  #sendSlowly(message: Uint8Array, header: FrameHeader): Effect.Effect<void, SendError> {
    if (message.length > this.#limitBytes) {
      const sizes = { messageBytes: message.length, limitBytes: this.#limitBytes }
      return Effect.fail(new MessageTooLarge({ ring: this.#name, ...sizes }))
    }
    const over = this.#over()
    if (over !== undefined) return Effect.fail(over)
    const entered = Effect.sync(() => {
      this.#inTurn += 1
    })
    const left = Effect.sync(() => {
      this.#inTurn -= 1
    })
    return Effect.acquireUseRelease(
      entered,
      () => this.#parts.withPermits(1)(this.#sendParts(message, header)),
      () => left
    )
  }

  #append(header: FrameHeader, payload: Uint8Array): boolean {
    do {
      if (this.#port.append(header, payload) !== undefined) return this.#unpublished = true
    } while (this.#policy === "evict" && this.#port.evictSlowest())
    return false
  }

  // Parts are published as they are written: a message may be larger than the ring.
  #sendParts(message: Uint8Array, header: FrameHeader): Effect.Effect<void, SendError> {
    const partBytes = this.#port.payloadBytesMax
    return Effect.suspend(() => {
      this.publish()
      let at = 0
      return Effect.whileLoop({
        while: () => at < message.length || at === 0,
        body: () => {
          const isLast = at + partBytes >= message.length
          const flags = (isLast ? 0 : partFlag) | (at === 0 ? 0 : continuedFlag)
          return this.#sendFrame({ ...header, flags }, message.subarray(at, at + partBytes))
        },
        step: () => {
          at = Math.max(1, at + partBytes)
        }
      })
    })
  }

  #sendFrame(header: FrameHeader, payload: Uint8Array): Effect.Effect<void, SendError> {
    if (this.#append(header, payload)) return Effect.sync(() => this.publish())
    const over = this.#over()
    if (over !== undefined) return Effect.fail(over)
    if (this.#policy === "fail") return Effect.fail(this.#full(0))
    return this.#sendWhenRoom(header, payload).pipe(
      Effect.timeoutOrElse({
        duration: this.#roomMillis,
        orElse: () => Effect.fail(this.#full(this.#roomMillis))
      }),
      Effect.ensuring(Effect.sync(() => this.#port.wantRoom(false)))
    )
  }

  // Looking for room writes nothing, so that a send that was given up at its deadline is never seen after all.
  #sendWhenRoom(header: FrameHeader, payload: Uint8Array): Effect.Effect<void, SendError> {
    const hasRoom = () => this.#port.hasRoom(payload.length) || this.#port.over() !== undefined ? true : undefined
    return Effect.suspend(() => {
      this.#port.wantRoom(true)
      return this.#port.waiter.until(hasRoom)
    }).pipe(
      Effect.andThen(Effect.suspend(() => {
        const over = this.#over()
        if (over !== undefined) return Effect.fail(over)
        if (!this.#append(header, payload)) return this.#sendWhenRoom(header, payload)
        this.publish()
        return Effect.void
      }))
    )
  }

  // A writer that is over finds no room, and never will.
  #over(): RingClosed | undefined {
    const reason = this.#port.over()
    return reason === undefined ? undefined : new RingClosed({ ring: this.#name, end: "writer", reason })
  }

  #full(waitedMillis: number): RingFull {
    const slowest = this.#port.slowestReader()
    const who = { process: slowest?.process ?? -1, reader: slowest?.name ?? "" }
    return new RingFull({ ring: this.#name, waitedMillis, ...who })
  }
}

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

  /** Gives back what was lent and takes what is there. */
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

  // What was overwritten while it was copied is not among the copies: then all were.
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
    // Whether the writer is gone is asked of the system: only by those who wait.
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

  // What is closed here looks like a ring at its end, to a reader that spins: the waiter knows better.
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

  /** What was given out is delivered and handled, and its room free; copies that were not given out only free theirs. */
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

/** A message in frames of at most so many bytes, as {@link Parts} puts them together. */
export const partsOf = (
  message: Uint8Array,
  partBytes: number
): ReadonlyArray<{ readonly flags: number; readonly part: Uint8Array }> => {
  const count = Math.max(1, Math.ceil(message.length / partBytes))
  return Array.from({ length: count }, (_, i) => ({
    flags: (i === count - 1 ? 0 : partFlag) | (i === 0 ? 0 : continuedFlag),
    part: message.subarray(i * partBytes, (i + 1) * partBytes)
  }))
}

/**
 * Puts messages together. Parts are copied as they come, so that a message may be larger than the ring. One whose
 * beginning was not seen, or whose end never came, is left out.
 */
export class Parts {
  #parts: Array<Uint8Array> = []

  /** The message that ends with this frame, or `undefined` when more of it is to come. */
  whole(flags: number, payload: Uint8Array): Uint8Array | undefined {
    const isFirst = (flags & continuedFlag) === 0
    if (isFirst) this.#parts = []
    else if (this.#parts.length === 0) return undefined
    if (isFirst && (flags & partFlag) === 0) return payload
    this.#parts.push(payload.slice())
    if ((flags & partFlag) !== 0) return undefined
    const whole = concatenate(this.#parts)
    this.#parts = []
    return whole
  }

  forget(): void {
    this.#parts = []
  }
}

const concatenate = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** How long a spinning reader keeps the event loop to itself, and an adaptive one spins before it sleeps. */
const spinMicros = 20

/** The clock costs as much as a look. */
const looksPerClock = 8

/** Looks again and again for a short while. */
export const spin = <A>(check: () => A | undefined, micros: number): A | undefined => {
  const first = check()
  if (first !== undefined || micros === 0) return first
  const until = performance.now() + micros / 1000
  do {
    for (let i = 0; i < looksPerClock; i++) {
      const found = check()
      if (found !== undefined) return found
    }
  } while (performance.now() < until)
  return undefined
}

/** Spins without end, lets the event loop have its turn in between, and looks harder then. */
export const spinning = <A>(check: () => A | undefined, thorough: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    while (true) {
      const found = spin(check, spinMicros) ?? thorough()
      if (found !== undefined) return found
      yield* Effect.yieldNow
    }
  })
