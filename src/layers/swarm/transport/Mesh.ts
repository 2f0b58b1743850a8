/**
 * Connects the members by rings: each member writes two, for messages and for replies, and reads those of all members,
 * its own included.
 *
 * A reader, once attached, stays with its slot for ever: it reads a dead member's messages to the end, and the slot's
 * next member continues the same ring.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as Scope from "effect/Scope"
import type { OpenRingError, SendError } from "../../../services/Ring.ts"
import type { DrainTarget } from "../../../services/schema/DrainTarget.ts"
import { type MemberId, showMember } from "../../../services/schema/Member.ts"
import type { RingPorts, RingWriterPort } from "../../ports/RingPorts.ts"
import { MessageWriter } from "../../ring/RingWriter.ts"
import { type Address, frameKind, headerOf, isFor, ringNames } from "./FrameAddress.ts"
import { type Handle, type IsSerial, RingConsumer } from "./RingConsumer.ts"

export interface MeshOptions {
  readonly roomDeadlineMillis: number
  readonly messageBytesMax: number
}

/** The handlers of messages and requests, and of replies. */
export interface MeshHandlers {
  readonly event: Handle
  readonly reply: Handle
}

export class Mesh {
  readonly self: MemberId
  readonly #ring: RingPorts["Service"]
  readonly #handlers: MeshHandlers
  readonly #fibers: FiberMap.FiberMap<string, void, unknown>
  readonly #scope: Scope.Scope
  readonly #events: RingWriterPort
  readonly #eventWriter: MessageWriter
  readonly #replyWriter: MessageWriter
  readonly #sources = new Map<number, RingConsumer>()
  readonly #attached = new Set<number>()
  readonly #rings = new Map<number, number>()

  private constructor(
    ring: RingPorts["Service"],
    self: MemberId,
    handlers: MeshHandlers,
    options: MeshOptions,
    opened: {
      readonly events: RingWriterPort
      readonly replies: RingWriterPort
      readonly fibers: FiberMap.FiberMap<string, void, unknown>
      readonly scope: Scope.Scope
    }
  ) {
    const { messageBytesMax, roomDeadlineMillis: roomDeadline } = options
    this.#ring = ring
    this.self = self
    this.#handlers = handlers
    this.#events = opened.events
    this.#fibers = opened.fibers
    this.#scope = opened.scope
    this.#eventWriter = new MessageWriter(opened.events, {
      name: ringNames.events(self.slot),
      roomDeadline,
      messageBytesMax
    })
    this.#replyWriter = new MessageWriter(opened.replies, {
      name: ringNames.replies(self.slot),
      roomDeadline,
      messageBytesMax
    })
  }

  static readonly open = Effect.fnUntraced(
    function*(ring: RingPorts["Service"], self: MemberId, handlers: MeshHandlers, options: MeshOptions) {
      const events = yield* ring.openWriter(ringNames.events(self.slot))
      const replies = yield* ring.openWriter(ringNames.replies(self.slot))
      const fibers = yield* FiberMap.make<string, void, unknown>()
      // Use a scope of its own: the reader of a member that joins later must stay until this member has left.
      const scope = yield* Scope.fork(yield* Effect.scope)
      return new Mesh(ring, self, handlers, options, { events, replies, fibers, scope })
    }
  )

  /** Sends a message or a request, in order with all other messages and requests of this member. */
  send(kind: number, type: number, to: Address, payload: Uint8Array, number = 0): Effect.Effect<void, SendError> {
    return this.#eventWriter.send(payload, headerOf(kind, type, this.self, to, number))
  }

  /** `send`, if there is room at once. */
  offer(kind: number, type: number, to: Address, payload: Uint8Array, number = 0): boolean {
    return this.#eventWriter.offer(payload, headerOf(kind, type, this.self, to, number))
  }

  /** Sends a reply or a signal, which waits for no handler. */
  reply(kind: number, type: number, to: Address, payload: Uint8Array, number = 0): Effect.Effect<void, SendError> {
    return this.#replyWriter.send(payload, headerOf(kind, type, this.self, to, number))
  }

  /** The drain target of all messages that this member has sent so far. */
  target(): DrainTarget {
    const { generation, ring } = this.#events
    return { ring, generation, position: this.#events.published() }
  }

  /** The ring of messages that the member in that slot writes. */
  ringOf(slot: number): number | undefined {
    return this.#rings.get(slot)
  }

  /** The reader of a ring of messages, if this member has one. */
  source(ring: number): RingConsumer | undefined {
    return this.#sources.get(ring)
  }

  /** Reads the rings of the member in that slot, from now on. */
  attach(slot: number): Effect.Effect<void, OpenRingError> {
    return Effect.suspend(() => {
      if (this.#attached.has(slot)) return Effect.void
      this.#attached.add(slot)
      const events = this.#read(ringNames.events(slot), this.#handlers.event)
      const replies = this.#read(ringNames.replies(slot), this.#handlers.reply)
      return Effect.andThen(
        Effect.map(events, (source) => {
          this.#sources.set(source.port.ring, source)
          this.#rings.set(slot, source.port.ring)
        }),
        Effect.asVoid(replies)
      ).pipe(
        Effect.onError(() => Effect.sync(() => this.#attached.delete(slot))),
        Scope.provide(this.#scope)
      )
    })
  }

  #warningOf(name: string, { lost, port }: RingConsumer): string {
    const why = port.damage() ?? `it was evicted, and lost positions ${lost?.from} to ${lost?.to}`
    return `member ${
      showMember(this.self)
    } has stopped reading "${name}": ${why}. Fences over it fail with RangeLost, and `
      + "calls over it are not answered, until this member ends and joins again"
  }

  #read(name: string, handle: Handle): Effect.Effect<RingConsumer, OpenRingError, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      // Take a request at once even if it follows a message whose handler runs: that handler may wait for its answer.
      const isSerial: IsSerial = ({ correlation, kind, sender }) =>
        kind === frameKind.event && isFor(correlation, sender, this.self)
      const scope = yield* Scope.fork(yield* Effect.scope)
      const port = yield* Scope.provide(this.#ring.openReader(name), scope)
      const source = new RingConsumer(port, handle, this.#ring.waiter, { isSerial })
      // A reader that has lost part of the ring gives up its place: processing fences notice it at once, and the ring's
      // writer does not wait for room that would never be released.
      // Warn at once: otherwise the loss would show only at a fence, or in a call without an answer. A closed reader no
      // longer tells what it has lost.
      const ended = Effect.suspend(() => {
        const warning = this.#warningOf(name, source)
        return Effect.andThen(Scope.close(scope, Exit.void), Effect.logWarning(warning))
      })
      yield* FiberMap.run(this.#fibers, name, Effect.andThen(source.run, ended))
      return source
    })
  }
}
