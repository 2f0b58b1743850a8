/**
 * The two ends of a ring as programs use them: whole messages, waiting, policies.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import {
  type Frame,
  type FrameHeader,
  MessageTooLarge,
  type OpenRingError,
  ReaderEvicted,
  type ReceiveError,
  type Ring,
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

export const makeRingWriter = (port: RingWriterPort, options: RingWriterOptions): RingWriterHandle => {
  const writer = new MessageWriter(port, options)
  return {
    ring: port.ring,
    generation: port.generation,
    offer: (message) => writer.append(messageHeader, message) && writer.publish(),
    append: (message) => writer.append(messageHeader, message),
    publish: () => port.publish(),
    send: (message) => writer.send(messageHeader, message),
    target: () => ({ ring: port.ring, generation: port.generation, position: port.published() })
  }
}

export const makeRingReader = (port: RingReaderPort, options: RingReaderOptions): RingReaderHandle => {
  const reader = new MessageReader(port, options.name)
  const pull = reader.pull(options.strategy ?? "adaptive")
  return {
    ring: port.ring,
    pull,
    poll: () => reader.take(),
    messages: Stream.fromPull(
      Effect.succeed(Effect.flatMap(pull, (messages) => {
        const [first, ...rest] = messages.map(({ payload }) => payload.slice())
        reader.release()
        return first === undefined ? Cause.done() : Effect.succeed([first, ...rest] as const)
      }))
    ),
    cursors: () => port.cursors()
  }
}

/** Opens the reading end, waiting for the ring's first writer where that was asked for. */
export const openWhenWritten = (
  ring: Ring["Service"],
  options: RingReaderOptions
): Effect.Effect<RingReaderPort, OpenRingError, Scope.Scope> => {
  const open = ring.openReader(options.name, options.readerName)
  if (options.awaitWriter !== true) return open
  const isWritten = Effect.map(ring.rings, (rings) => rings.some(({ name }) => name === options.name))
  const awaited = ring.waiter.until(() => Effect.runSync(isWritten) ? true : undefined)
  return Effect.andThen(awaited, open)
}

// --- internal ---

const defaultMessageBytesMax = 16 * 1024 * 1024

const messageHeader: FrameHeader = {
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
  readonly #policy: NonNullable<RingWriterOptions["whenFull"]>
  readonly #limitBytes: number
  readonly #roomMillis: number
  /** A message in parts has the ring to itself until its last part is written. */
  readonly #parts = Semaphore.makeUnsafe(1)
  #inParts = false

  constructor(port: RingWriterPort, options: RingWriterOptions) {
    this.#port = port
    this.#name = options.name
    this.#policy = options.whenFull ?? "wait"
    this.#limitBytes = options.messageBytesMax ?? defaultMessageBytesMax
    this.#roomMillis = Duration.toMillis(Duration.fromInputUnsafe(options.roomDeadline ?? "30 seconds"))
  }

  /** One frame, at once. False when there is no room, or when the message needs more than one. */
  append(header: FrameHeader, message: Uint8Array): boolean {
    if (this.#inParts || message.length > this.#port.payloadBytesMax || message.length > this.#limitBytes) return false
    return this.#append(header, message)
  }

  /** Writes and publishes, now or as soon as there is room. */
  send(header: FrameHeader, message: Uint8Array): Effect.Effect<void, SendError> {
    return Effect.suspend(() => {
      if (!this.append(header, message)) return this.#sendSlowly(header, message)
      this.#port.publish()
      return Effect.void
    })
  }

  publish(): true {
    this.#port.publish()
    return true
  }

  #sendSlowly(header: FrameHeader, message: Uint8Array): Effect.Effect<void, SendError> {
    if (message.length > this.#limitBytes) {
      const sizes = { messageBytes: message.length, limitBytes: this.#limitBytes }
      return Effect.fail(new MessageTooLarge({ ring: this.#name, ...sizes }))
    }
    return this.#parts.withPermits(1)(this.#sendParts(header, message))
  }

  #append(header: FrameHeader, payload: Uint8Array): boolean {
    if (this.#port.append(header, payload) !== undefined) return true
    return this.#policy === "evict" && this.#port.evictSlowest() && this.#port.append(header, payload) !== undefined
  }

  // Parts are published as they are written: a message may be larger than the ring.
  #sendParts(header: FrameHeader, message: Uint8Array): Effect.Effect<void, SendError> {
    const partHeader = { ...header, flags: header.flags | partFlag }
    const partBytes = this.#port.payloadBytesMax
    return Effect.suspend(() => {
      this.#inParts = true
      let at = 0
      return Effect.whileLoop({
        while: () => at < message.length || at === 0,
        body: () => {
          const part = message.subarray(at, at + partBytes)
          const isLast = at + partBytes >= message.length
          return this.#sendFrame(isLast ? header : partHeader, part)
        },
        step: () => {
          at = Math.max(1, at + partBytes)
        }
      })
    }).pipe(Effect.ensuring(Effect.sync(() => {
      this.#inParts = false
    })))
  }

  #sendFrame(header: FrameHeader, payload: Uint8Array): Effect.Effect<void, SendError> {
    if (this.#append(header, payload)) return Effect.sync(() => this.#port.publish())
    if (this.#policy === "fail") return Effect.fail(this.#full(0))
    const { waiter } = this.#port
    const check = () => {
      if (this.#append(header, payload)) return true
      // Whoever holds the room may be dead: looking for the slowest is what finds out.
      this.#port.slowestReader()
      return this.#append(header, payload) ? true : undefined
    }
    return Effect.suspend(() => {
      this.#port.wantRoom(true)
      return waiter.until(check)
    }).pipe(
      Effect.timeoutOrElse({ duration: this.#roomMillis, orElse: () => Effect.fail(this.#full(this.#roomMillis)) }),
      Effect.andThen(Effect.sync(() => this.#port.publish())),
      Effect.ensuring(Effect.sync(() => this.#port.wantRoom(false)))
    )
  }

  #full(waitedMillis: number): RingFull {
    return new RingFull({ ring: this.#name, waitedMillis, process: this.#port.slowestReader()?.process ?? -1 })
  }
}

/** Frames taken from the ring at once. */
const framesMax = 256

class MessageReader {
  readonly #port: RingReaderPort
  readonly #name: string
  #parts: Array<Uint8Array> = []

  constructor(port: RingReaderPort, name: string) {
    this.#port = port
    this.#name = name
  }

  pull(strategy: WaitStrategy): Effect.Effect<ReadonlyArray<RingMessage>, ReceiveError> {
    const check = (): ReadonlyArray<RingMessage> | ReaderEvicted | RingCorrupt | undefined => {
      const messages = this.take()
      if (messages.length > 0) return messages
      return this.#failure() ?? (this.#port.ended() ? [] : undefined)
    }
    const wait = strategy === "spin" ? spinning(check) : this.#port.waiter.until(check)
    return Effect.suspend(() => {
      const found = strategy === "park" ? check() : spin(check, spinMicros)
      return found === undefined ? wait : Effect.succeed(found)
    }).pipe(Effect.flatMap((found) => isFailure(found) ? Effect.fail(found) : Effect.succeed(found)))
  }

  /** Gives back what was lent and takes what is there. */
  take(): ReadonlyArray<RingMessage> {
    this.release()
    const messages: Array<RingMessage> = []
    for (const frame of this.#port.poll(framesMax)) {
      const payload = this.#whole(frame)
      if (payload !== undefined) messages.push({ payload, end: frame.end })
    }
    return messages
  }

  release(): void {
    const { read } = this.#port.cursors()
    this.#port.advance({ read, delivered: read, handled: read, released: read })
  }

  // Parts are copied as they come, so that a message larger than the ring can be put together.
  #whole({ flags, payload }: Frame): Uint8Array | undefined {
    if ((flags & partFlag) !== 0) {
      this.#parts.push(payload.slice())
      return undefined
    }
    if (this.#parts.length === 0) return payload
    const whole = concatenate([...this.#parts, payload])
    this.#parts = []
    return whole
  }

  #failure(): ReaderEvicted | RingCorrupt | undefined {
    const lost = this.#port.evicted()
    if (lost !== undefined) {
      this.#parts = []
      this.#port.rejoin()
      return new ReaderEvicted({ ring: this.#name, ...lost })
    }
    const detail = this.#port.damage()
    return detail === undefined ? undefined : new RingCorrupt({ ring: this.#name, detail })
  }
}

const isFailure = (found: unknown): found is ReaderEvicted | RingCorrupt =>
  found instanceof ReaderEvicted || found instanceof RingCorrupt

/** One after the other in new memory. */
export const concatenate = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
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

/** Looks again and again for a short while. */
export const spin = <A>(check: () => A | undefined, micros: number): A | undefined => {
  const first = check()
  if (first !== undefined || micros === 0) return first
  const until = performance.now() + micros / 1000
  while (performance.now() < until) {
    const found = check()
    if (found !== undefined) return found
  }
  return undefined
}

/** Spins without end, and lets the event loop have its turn in between. */
export const spinning = <A>(check: () => A | undefined): Effect.Effect<A> =>
  Effect.gen(function*() {
    while (true) {
      const found = spin(check, spinMicros)
      if (found !== undefined) return found
      yield* Effect.yieldNow
    }
  })
