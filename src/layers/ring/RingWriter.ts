/**
 * The writing end of a ring as programs use it: messages of any length, and the three policies of a full ring.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { millisOf } from "../../services/input/DurationInput.ts"
import {
  type FullPolicy,
  MessageTooLarge,
  RingClosed,
  RingFull,
  type RingWriterHandle,
  type RingWriterOptions,
  type SendError
} from "../../services/Ring.ts"
import type { FrameHeader, RingWriterPort } from "../ports/RingPorts.ts"
import { continuedFlag, partFlag } from "./Fragments.ts"

/** The kind of frames on rings outside a swarm. */
export const messageKind = 16

export const makeRingWriter = (port: RingWriterPort, options: RingWriterOptions): RingWriterHandle => {
  const writer = new MessageWriter(port, options)
  return {
    ring: port.ring,
    generation: port.generation,
    offer: (message) => writer.offer(message),
    append: (message) => writer.append(message),
    appendAll: (messages) => writer.appendAll(messages),
    claim: (messageBytes) => writer.claim(messageBytes),
    commit: () => writer.commit(),
    publish: () => writer.publish(),
    send: (message) => writer.send(message),
    target: () => ({ ring: port.ring, generation: port.generation, position: port.published() })
  }
}

/** Writes messages of any length, in one frame or in parts, and treats a full ring as its policy says. */
export class MessageWriter {
  readonly #port: RingWriterPort
  readonly #name: string
  readonly #policy: FullPolicy
  readonly #limitBytes: number
  /** The largest message that fits one frame. */
  readonly #frameBytesMax: number
  readonly #roomMillis: number
  /** Excludes other messages while one is written in parts: readers could not tell their parts apart. */
  readonly #parts = Semaphore.makeUnsafe(1)
  /** Fibers that write a message in parts, or wait to do so. */
  #inTurn = 0
  #unpublished = false
  /** The size of the claimed message. */
  #claimedBytes: number | undefined

  constructor(port: RingWriterPort, options: RingWriterOptions) {
    this.#port = port
    this.#name = options.name
    this.#policy = options.whenFull ?? "wait"
    this.#limitBytes = options.messageBytesMax ?? defaultMessageBytesMax
    this.#frameBytesMax = Math.min(this.#limitBytes, port.payloadBytesMax)
    this.#roomMillis = millisOf("roomDeadline", options.roomDeadline ?? "30 seconds")
  }

  /** Writes the message as one frame. False when there is no room, or when the message needs more than one frame. */
  append(message: Uint8Array, header = plainHeader): boolean {
    return this.#fits(message.length) && this.#append(header, message)
  }

  appendAll(messages: Iterable<Uint8Array>): number {
    let count = 0
    for (const message of messages) {
      // Publish before giving up: readers cannot release the room of written frames before they are published.
      if (!this.append(message) && !(this.#unpublished && this.publish() && this.append(message))) break
      count += 1
    }
    if (this.#unpublished) this.publish()
    return count
  }

  claim(messageBytes: number): Uint8Array | undefined {
    this.#claimedBytes = undefined
    if (!this.#fits(messageBytes)) return undefined
    // Publish before giving up: readers cannot release the room of written frames before they are published.
    const room = this.#claim(messageBytes)
      ?? (this.#unpublished && this.publish() ? this.#claim(messageBytes) : undefined)
    if (room !== undefined) this.#claimedBytes = messageBytes
    return room
  }

  commit(): boolean {
    const bytes = this.#claimedBytes
    this.#claimedBytes = undefined
    if (bytes === undefined || this.#port.appendClaimed(plainHeader, bytes) === undefined) return false
    return this.publish()
  }

  #fits(messageBytes: number): boolean {
    return this.#inTurn === 0 && messageBytes <= this.#frameBytesMax
  }

  offer(message: Uint8Array, header = plainHeader): boolean {
    if (!this.#fits(message.length)) return false
    this.#claimedBytes = undefined
    if (this.#port.send(header, message) !== undefined) return this.#published()
    if (this.append(message, header)) return this.publish()
    // Publish first: readers cannot release the room of written frames before they are published.
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
    this.#claimedBytes = undefined
    // A loop, not a function that takes the write: one would be made for each message.
    while (this.#port.append(header, payload) === undefined) if (!this.#evicts()) return false
    return this.#unpublished = true
  }

  #claim(messageBytes: number): Uint8Array | undefined {
    let room = this.#port.claim(messageBytes)
    while (room === undefined && this.#evicts()) room = this.#port.claim(messageBytes)
    return room
  }

  #evicts(): boolean {
    return this.#policy === "evict" && this.#port.evictSlowest()
  }

  // Publish each part when it is written: the message may be larger than the ring.
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

  // Write nothing while waiting for room, so that no reader sees a message whose send failed at its deadline.
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

  // A closed writer never finds room: fail instead of waiting.
  #over(): RingClosed | undefined {
    const reason = this.#port.over()
    return reason === undefined ? undefined : new RingClosed({ ring: this.#name, end: "writer", reason })
  }

  #full(waitedMillis: number): RingFull {
    const slowest = this.#port.slowestReader()
    if (slowest === undefined) return new RingFull({ ring: this.#name, waitedMillis, process: -1, reader: "" })
    const { name: reader, process, processId = {} } = slowest
    return new RingFull({ ring: this.#name, waitedMillis, process, reader, ...processId })
  }
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
