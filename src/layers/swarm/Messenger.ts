/**
 * Sends the messages of one member to their receivers, and passes received messages to its subscribers.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import {
  EventClash,
  type EventType,
  type From,
  type MessageCounts,
  type MessageError,
  type Origin,
  type Reach,
  ReceiveTimedOut,
  type SubscribeOptions
} from "../../services/Messenger.ts"
import { isSame, MemberGone, type MemberInfo, ShuttingDown } from "../../services/schema/Member.ts"
import { ValueInvalid } from "../../services/schema/ValueInvalid.ts"
import type { CoordinatorClient } from "./control/CoordinatorClient.ts"
import { type Address, everyMember, frameKind, isFor, one, others } from "./transport/FrameAddress.ts"
import { CurrentHandlers, type HandlerContext, isHeldBy } from "./transport/HandlerContext.ts"
import type { Mesh } from "./transport/Mesh.ts"
import type { Message } from "./transport/RingConsumer.ts"

interface Subscription {
  readonly from: From | undefined
  readonly handle: (value: any, origin: Origin, delivery: HandlerContext) => Effect.Effect<void>
  readonly running: Map<HandlerContext, Latch.Latch>
  open: boolean
}

interface Claim {
  readonly type: EventType<any>
  readonly subscriptions: Set<Subscription>
}

export class SwarmMessenger {
  readonly #coordinator: CoordinatorClient
  readonly #claims = new Map<number, Claim>()
  readonly #counts = { delivered: 0, unclaimed: 0, rejected: 0, failed: 0 }
  #mesh: Mesh | undefined
  closed = false

  constructor(coordinator: CoordinatorClient) {
    this.#coordinator = coordinator
  }

  /** Set once: the mesh is opened with this messenger as its handler. */
  set mesh(mesh: Mesh) {
    this.#mesh = mesh
  }

  counts(): MessageCounts {
    return { ...this.#counts }
  }

  send<A>(type: EventType<A>, value: A, to: Reach): Effect.Effect<void, MessageError> {
    return Effect.suspend((): Effect.Effect<void, MessageError> => {
      const mesh = this.#mesh
      if (this.closed || mesh === undefined) return Effect.fail(new ShuttingDown())
      const address = this.#address(to)
      if (address instanceof MemberGone) return Effect.fail(address)
      const payload = type.encode(value)
      return payload instanceof ValueInvalid
        ? Effect.fail(payload)
        : mesh.send(frameKind.event, type.code, address, payload)
    })
  }

  subscribe<A, E, R>(
    type: EventType<A>,
    handler: (value: A, origin: Origin) => Effect.Effect<void, E, R>,
    { from }: SubscribeOptions = {}
  ): Effect.Effect<void, EventClash, Scope.Scope | R> {
    return Effect.contextWith((context: Context.Context<R>) => {
      const handle: Subscription["handle"] = (value, origin, delivery) =>
        Effect.suspend(() => handler(value, origin)).pipe(
          // Provide it innermost: the subscribing fiber may itself have been in a handler.
          Effect.provideContext(Context.add(context, CurrentHandlers, [delivery])),
          Effect.catchCause((cause) => this.#failed(type, cause))
        )
      const subscription: Subscription = { from, handle, running: new Map(), open: true }
      return Effect.acquireRelease(this.#claim(type, subscription), () => this.#close(type, subscription))
    })
  }

  receive<A>(type: EventType<A>, { from }: SubscribeOptions, deadlineMillis: number) {
    return Effect.scoped(Effect.gen({ self: this }, function*() {
      const received = Deferred.makeUnsafe<{ readonly value: A; readonly origin: Origin }>()
      yield* this.subscribe(
        type,
        (value, origin) => Effect.sync(() => void Deferred.doneUnsafe(received, Effect.succeed({ value, origin }))),
        { from }
      )
      return yield* Effect.timeoutOrElse(Deferred.await(received), {
        duration: deadlineMillis,
        orElse: () => Effect.fail(new ReceiveTimedOut({ event: type.name, deadlineMillis }))
      })
    }))
  }

  /** The members that would receive a message with that reach. */
  reached(to: Reach): ReadonlyArray<MemberInfo> {
    const { membership, self } = this.#coordinator
    this.#coordinator.catchUp()
    if (to === "world") return membership.members
    if (to === "remote") return membership.members.filter(({ id }) => !isSame(id, self))
    const member = to === "local" ? self : "member" in to ? to.member : membership.resolve(to.name)?.id
    const found = member === undefined ? undefined : membership.find(member)
    return found === undefined ? [] : [found]
  }

  /** Takes a message from a ring: checks its receiver, decodes it, and passes it to the subscribers. */
  take({ correlation, end, payload, sender, senderGeneration, type }: Message): Effect.Effect<void> | undefined {
    if (!isFor(correlation, sender, this.#coordinator.self)) return undefined
    const claim = this.#claims.get(type)
    if (claim === undefined) {
      this.#counts.unclaimed += 1
      return undefined
    }
    const decoded = claim.type.decode(payload.slice())
    if (Exit.isFailure(decoded)) {
      this.#counts.rejected += 1
      return undefined
    }
    this.#counts.delivered += 1
    const origin: Origin = { sender: { slot: sender, generation: senderGeneration }, end }
    const wanted = [...claim.subscriptions].filter((subscription) => this.#wants(subscription, origin))
    if (wanted.length === 0) return undefined
    const ring = this.#mesh?.ringOf(sender) ?? -1
    return Effect.forEach(wanted, (subscription) => this.#run(subscription, decoded.value, origin, ring), {
      discard: true
    })
  }

  // --- internal ---

  #address(to: Reach): Address | MemberGone {
    if (to === "world") return everyMember
    if (to === "remote") return others
    const [member] = this.reached(to)
    if (member !== undefined) return one(member.id)
    if (typeof to === "object" && "member" in to) return this.#coordinator.membership.lossOf(to.member)
    const nowhere = { slot: -1, generation: 0 }
    return new MemberGone(typeof to === "object" ? { member: nowhere, missingName: to.name } : { member: nowhere })
  }

  // Apply pending notices first: a name published before the message was sent must be known when the message arrives.
  #wants({ from }: Subscription, { sender }: Origin): boolean {
    if (from === undefined) return true
    if ("member" in from) return isSame(from.member, sender)
    this.#coordinator.catchUp()
    const named = this.#coordinator.membership.resolve(from.name)
    return named !== undefined && isSame(named.id, sender)
  }

  #claim(type: EventType<any>, subscription: Subscription): Effect.Effect<void, EventClash> {
    return Effect.suspend(() => {
      const claim = this.#claims.get(type.code) ?? { type, subscriptions: new Set<Subscription>() }
      if (claim.type !== type) return Effect.fail(new EventClash({ event: type.name, other: claim.type.name }))
      claim.subscriptions.add(subscription)
      this.#claims.set(type.code, claim)
      return Effect.void
    })
  }

  #run(subscription: Subscription, value: unknown, origin: Origin, ring: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!subscription.open) return Effect.void
      const delivery: HandlerContext = { ring, running: true, waitsFor: new Set() }
      const ended = Latch.makeUnsafe(false)
      subscription.running.set(delivery, ended)
      return Effect.ensuring(
        subscription.handle(value, origin, delivery),
        Effect.sync(() => {
          delivery.running = false
          subscription.running.delete(delivery)
          ended.openUnsafe()
        })
      )
    })
  }

  // A handler may close its own subscription, and several may close each other's: a close does not wait for a handler
  // that waits for the close. A close outside all handlers waits for all of them.
  #close(type: EventType<any>, subscription: Subscription): Effect.Effect<void> {
    return Effect.flatMap(CurrentHandlers, (closing) => {
      subscription.open = false
      const claim = this.#claims.get(type.code)
      claim?.subscriptions.delete(subscription)
      if (claim?.subscriptions.size === 0) this.#claims.delete(type.code)
      const awaited = [...subscription.running].filter(([delivery]) => !isHeldBy(delivery, closing))
      if (awaited.length === 0) return Effect.void
      for (const own of closing) for (const [delivery] of awaited) own.waitsFor.add(delivery)
      return Effect.ensuring(
        Effect.forEach(awaited, ([, ended]) => ended.await, { discard: true }),
        Effect.sync(() => {
          for (const own of closing) for (const [delivery] of awaited) own.waitsFor.delete(delivery)
        })
      )
    })
  }

  #failed(type: EventType<any>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    this.#counts.failed += 1
    return Effect.logWarning(`a handler of "${type.name}" failed`, cause)
  }
}
