/**
 * Routes requests to the services of this member, and answers to its callers.
 *
 * The hash of its name identifies a service; a number of its own, which every frame of its calls carries, identifies a
 * caller. So an answer finds its caller without being decoded.
 */
import * as Effect from "effect/Effect"
import type { MemberId } from "../../../services/schema/Member.ts"
import { frameKind, isFor, numberOf, numberSpan, one } from "./FrameAddress.ts"
import type { Mesh } from "./Mesh.ts"
import { encodeRejection, type Rejection } from "./Rejections.ts"
import type { Handle, Message } from "./RingConsumer.ts"

/** Takes a frame at once, without waiting for handlers. It must keep none of the frame's bytes. */
export type Take = (message: Message) => void

/** The serving end of a service. */
export interface Service {
  /** Takes a request. Its sender's messages wait until it is accepted. */
  readonly request: Handle
  /** Takes a caller's signal about its calls. */
  readonly signal: Take
}

/** The calling end: it gets the answers to its number until it is closed. */
export interface CallerNumber {
  readonly number: number
  readonly close: () => void
}

export class RequestRouter {
  readonly #self: MemberId
  readonly #services = new Map<number, Service>()
  /** By type: the last service that has stopped. Signals go on to it: they may be about requests that are not read yet. */
  readonly #stopped = new Map<number, Service>()
  readonly #callers = new Map<number, Take>()
  #mesh: Mesh | undefined
  #numbers = 0
  /** The number of answers to closed callers. */
  unclaimed = 0

  constructor(self: MemberId) {
    this.#self = self
  }

  /** Set once: the mesh is opened with this router as its handler. */
  set mesh(mesh: Mesh) {
    this.#mesh = mesh
  }

  /** The number of registered callers and services. */
  get registered(): number {
    return this.#callers.size + this.#services.size
  }

  /** Serves requests of a type until the returned function is called. `undefined` when another service has the type. */
  serve(type: number, service: Service): (() => void) | undefined {
    if (this.#services.has(type)) return undefined
    this.#services.set(type, service)
    this.#stopped.delete(type)
    return () => {
      if (this.#services.get(type) !== service) return
      this.#services.delete(type)
      this.#stopped.set(type, service)
    }
  }

  /** A number that no other caller of this member has. */
  call(take: Take): CallerNumber {
    do this.#numbers = (this.#numbers + 1) % numberSpan
    while (this.#callers.has(this.#numbers))
    const number = this.#numbers
    this.#callers.set(number, take)
    return { number, close: () => this.#callers.delete(number) }
  }

  take(message: Message): Effect.Effect<void> | undefined {
    if (!isFor(message.correlation, message.sender, this.#self)) return undefined
    switch (message.kind) {
      case frameKind.request: {
        const service = this.#services.get(message.type)
        return service === undefined ? this.giveBack(message, "unserved") : service.request(message)
      }
      case frameKind.signal: {
        const service = this.#services.get(message.type) ?? this.#stopped.get(message.type)
        service?.signal(message)
        return undefined
      }
      case frameKind.response:
      case frameKind.refusal: {
        const caller = this.#callers.get(numberOf(message.correlation))
        if (caller === undefined) this.unclaimed += 1
        else caller(message)
        return undefined
      }
      default:
        return undefined
    }
  }

  /** Returns a request to its sender. */
  giveBack(
    { correlation, payload, sender, senderGeneration, type }: Message,
    reason: Extract<Rejection, { readonly _tag: "Returned" }>["reason"]
  ): Effect.Effect<void> {
    const refusal = encodeRejection({ _tag: "Returned", reason, request: payload })
    const to = one({ slot: sender, generation: senderGeneration })
    const sent = this.#mesh?.reply(frameKind.refusal, type, to, refusal, numberOf(correlation))
    return sent === undefined ? Effect.void : Effect.ignore(sent)
  }
}
