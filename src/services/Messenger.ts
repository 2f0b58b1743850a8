/**
 * Messages between members: typed by a Schema, in order for each sender, to all members, to one, or to a published
 * name.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { NameMissing } from "./Coordinator.ts"
import type { RegionLost } from "./CxlMemory.ts"
import type { DurationInvalid } from "./input/DurationInput.ts"
import type { MessageTooLarge, RingClosed, RingFull } from "./Ring.ts"
import type { CoordinatorLost, MemberGone, MemberId, MemberInfo, ShuttingDown } from "./schema/Member.ts"
import { typeHash } from "./schema/TypeHash.ts"
import { encoderOf, type ValueInvalid } from "./schema/ValueInvalid.ts"
import { formatMillis } from "./text/quantities.ts"

/** A kind of message: a name that all members agree on, and the schema of its values. */
export interface EventType<A> {
  readonly name: string
  /** The hash that stands for the name in a frame. */
  readonly code: number
  /** The bytes, or the reason why the value cannot be encoded. */
  readonly encode: (value: A) => Uint8Array | ValueInvalid
  readonly decode: (bytes: Uint8Array) => Exit.Exit<A, unknown>
}

/**
 * Declares a kind of message, as a value that senders, receivers and tests share.
 *
 * @example
 * ```ts
 * import { Messenger } from "ringfence"
 * import * as Schema from "effect/Schema"
 *
 * const Tick = Messenger.event("tick", Schema.Struct({ at: Schema.Int }))
 * ```
 */
export const event = <A, I>(name: string, schema: Schema.Codec<A, I, never, never>): EventType<A> => {
  const decode = Schema.decodeUnknownExit(SchemaBinary.toCodec(schema))
  return {
    name,
    code: typeHash(name),
    encode: encoderOf("message", name, schema),
    decode: (bytes) => decode(bytes)
  }
}

/** The receivers of a message: this member, all others, all, one member, or the member that has published a name. */
export type Reach =
  | "local"
  | "remote"
  | "world"
  | { readonly member: MemberId }
  | { readonly name: string }

/** Where a message came from. */
export interface Origin {
  readonly sender: MemberId
  /** The position after it in its sender's ring. */
  readonly end: number
}

/** The sender to receive from: a member, or the member that has published a name, now or later. */
export type From = { readonly member: MemberId } | { readonly name: string }

export interface SubscribeOptions {
  readonly from?: From | undefined
}

/** Two kinds of message have the same hash, or the same name and different declarations. Rename one. */
export class EventClash extends Schema.TaggedError<EventClash>()("EventClash", {
  event: Schema.String,
  other: Schema.String
}) {
  override get message(): string {
    return `messages "${this.event}" and "${this.other}" cannot be told apart: rename one`
  }
}

/** No message of this kind arrived within the deadline. */
export class ReceiveTimedOut extends Schema.TaggedError<ReceiveTimedOut>()("ReceiveTimedOut", {
  event: Schema.String,
  deadlineMillis: Schema.Number
}) {
  override get message(): string {
    return `no message "${this.event}" arrived within ${formatMillis(this.deadlineMillis)}`
  }
}

export type MessageError =
  | ValueInvalid
  | MessageTooLarge
  | RingFull
  | RingClosed
  | MemberGone
  | NameMissing
  | ShuttingDown
  | CoordinatorLost
  | RegionLost

/** Outcomes of the messages that this member has read. */
export interface MessageCounts {
  readonly delivered: number
  /** Messages of a kind without a subscriber here. */
  readonly unclaimed: number
  /** Messages that did not decode. */
  readonly rejected: number
  /** Messages whose handler failed. */
  readonly failed: number
}

export class Messenger extends Context.Service<Messenger, {
  /**
   * Sends the value, waiting while the slowest receiver holds the room. A value that its schema cannot encode fails
   * with `ValueInvalid`. Default reach: `remote`.
   */
  readonly send: <A>(type: EventType<A>, value: A, to?: Reach) => Effect.Effect<void, MessageError>
  /**
   * Runs the handler for each message, one message of a sender at a time. No handler runs after the scope has closed. A
   * handler that fails is reported and counted, and the next message is handled.
   */
  readonly subscribe: <A, E, R>(
    type: EventType<A>,
    handler: (value: A, origin: Origin) => Effect.Effect<void, E, R>,
    options?: SubscribeOptions
  ) => Effect.Effect<void, EventClash, Scope.Scope | R>
  /** The next message of this kind from now on. Default deadline: 30 seconds. */
  readonly receive: <A>(
    type: EventType<A>,
    options?: SubscribeOptions & { readonly deadline?: Duration.Input | undefined }
  ) => Effect.Effect<{ readonly value: A; readonly origin: Origin }, EventClash | ReceiveTimedOut | DurationInvalid>
  readonly counts: () => MessageCounts
  /** The members that would receive a message with that reach now. */
  readonly reached: (to: Reach) => ReadonlyArray<MemberInfo>
}>()("ringfence/Messenger") {
  static readonly event = event
}
