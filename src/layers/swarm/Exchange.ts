/**
 * Who here answers requests and awaits responses, by the number that stands for it in a frame.
 */
import * as Effect from "effect/Effect"
import type { MemberId } from "../../services/Member.ts"
import { frameKind, isFor } from "./Frames.ts"
import type { Handle, Message } from "./MessageSource.ts"

export class Exchange {
  readonly #self: MemberId
  readonly #requests = new Map<number, Handle>()
  readonly #responses = new Map<number, Handle>()
  /** Frames that nobody here wanted. */
  unclaimed = 0

  constructor(self: MemberId) {
    this.#self = self
  }

  /** Handles requests of a type, until the returned function is called. */
  onRequest(type: number, handle: Handle): () => void {
    return registered(this.#requests, type, handle)
  }

  onResponse(type: number, handle: Handle): () => void {
    return registered(this.#responses, type, handle)
  }

  take(message: Message, begun: () => void): Effect.Effect<void> | undefined {
    if (!isFor(message.correlation, message.sender, this.#self)) return undefined
    const handle = (message.kind === frameKind.request ? this.#requests : this.#responses).get(message.type)
    if (handle === undefined) {
      this.unclaimed += 1
      return undefined
    }
    const running = handle(message, begun)
    return running === undefined ? undefined : Effect.andThen(Effect.sync(begun), running)
  }
}

const registered = (handlers: Map<number, Handle>, type: number, handle: Handle): () => void => {
  handlers.set(type, handle)
  return () => {
    if (handlers.get(type) === handle) handlers.delete(type)
  }
}
