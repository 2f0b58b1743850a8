/**
 * Calls between members: how a call can fail other than by its handler, and what client and server count.
 *
 * A failure arrives as the cause of Effect RPC's `RpcClientError`, which every call can fail with.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as Schema from "effect/Schema"
import { NameMissing } from "./Coordinator.ts"
import { RegionLost } from "./CxlMemory.ts"
import { DurationInvalid } from "./input/DurationInput.ts"
import { MessageTooLarge, RingClosed, RingFull } from "./Ring.ts"
import {
  CoordinatorLost,
  describeMember,
  MemberGone,
  MemberId,
  MemberInfo,
  showMember,
  ShuttingDown
} from "./schema/Member.ts"
import { formatMillis } from "./text/quantities.ts"

/** The call was not answered within the deadline. Its handler is interrupted. */
export class CallTimedOut extends Schema.TaggedError<CallTimedOut>()("CallTimedOut", {
  procedure: Schema.String,
  deadlineMillis: Schema.Number
}) {
  override get message(): string {
    return `"${this.procedure}" was not answered within ${formatMillis(this.deadlineMillis)}`
  }
}

export const RefusalReason = Schema.Literals(["unserved", "closed", "departing", "stranger"])
export type RefusalReason = typeof RefusalReason.Type

/** The callee refused the call. Only with the reason `closed` may its handler have begun. */
export class CallRefused extends Schema.TaggedError<CallRefused>()("CallRefused", {
  service: Schema.String,
  member: MemberId,
  info: Schema.optionalKey(MemberInfo),
  reason: RefusalReason
}) {
  override get message(): string {
    const who = describe(this)
    const why = {
      unserved: `does not serve "${this.service}"`,
      closed: `no longer serves "${this.service}": it stopped during the call`,
      departing: "is leaving the swarm and takes no new calls",
      stranger: "does not know this member, which has left or is still joining"
    }
    return `${who} ${why[this.reason]}`
  }
}

/** Caller and callee encode differently, or the frame in the ring was damaged. */
export class CallUnreadable extends Schema.TaggedError<CallUnreadable>()("CallUnreadable", {
  service: Schema.String,
  member: MemberId,
  info: Schema.optionalKey(MemberInfo),
  part: Schema.Literals(["request", "answer"]),
  /** The number of the request, unless the answer does not tell it. */
  request: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const request = this.request === undefined ? "the request" : `request ${this.request}`
    return this.part === "request"
      ? `${describe(this)} cannot decode ${request} for "${this.service}"`
      : `cannot decode the answer of ${describe(this)} for "${this.service}"`
  }
}

/** The scope of the client's layer ended before or during the call. */
export class ClientClosed extends Schema.TaggedError<ClientClosed>()("ClientClosed", { service: Schema.String }) {
  override get message(): string {
    return `the client of "${this.service}" is closed: the scope of its layer has ended`
  }
}

/** This member already serves a service of that name: give the second service another name. */
export class ServiceTaken extends Schema.TaggedError<ServiceTaken>()("ServiceTaken", { service: Schema.String }) {
  override get message(): string {
    return `this member serves "${this.service}" already`
  }
}

export const CallError = Schema.Union([
  CallTimedOut,
  CallRefused,
  CallUnreadable,
  ClientClosed,
  MemberGone,
  NameMissing,
  DurationInvalid,
  ShuttingDown,
  CoordinatorLost,
  MessageTooLarge,
  RingFull,
  RingClosed,
  RegionLost
])
export type CallError = typeof CallError.Type

/** Why a call failed, if the cause lies in the rings. */
export const callErrorOf = ({ reason }: RpcClientError): CallError | undefined =>
  reason._tag === "RpcClientDefect" && isCallError(reason.cause) ? reason.cause : undefined

/**
 * How long a call may wait for its answer, or for the first element of its stream. Overrides the client's own deadline
 * for the calls within.
 *
 * @example
 * ```ts
 * import { RingRpc } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const patiently = Effect.provideService(RingRpc.Deadline, "5 minutes")
 * ```
 */
export const Deadline = Context.Reference<Duration.Input | undefined>("ringfence/Deadline", {
  defaultValue: () => undefined
})

/** Outcomes of the requests that a server has read. */
export interface ServingCounts {
  /** Requests passed to their handlers. */
  readonly accepted: number
  /** Answered with a {@link CallRefused}. */
  readonly refused: number
  /** Frames that are not messages of this protocol. */
  readonly unreadable: number
  /** Requests whose payload their Schema rejected. */
  readonly rejected: number
  /** Requests interrupted before they were read: their handlers never began. */
  readonly withdrawn: number
  /** Answers that were too large, or found no room. */
  readonly undelivered: number
}

/**
 * The counters of a server of this member.
 *
 * @example
 * ```ts
 * import { RingRpc } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const report = RingRpc.Serving.use((serving) => Effect.log(`${serving.inFlight()} calls of ${serving.clients()} clients`))
 * ```
 */
export class Serving extends Context.Service<Serving, {
  readonly counts: () => ServingCounts
  /** Clients that have called and are still members. */
  readonly clients: () => number
  /** Calls whose handlers are running. */
  readonly inFlight: () => number
  /** Clients that interrupted calls whose requests this server has not read yet. */
  readonly withdrawing: () => number
}>()("ringfence/Serving") {}

/** Outcomes of the answers that a client has read. */
export interface CallingCounts {
  /** Answers to calls that the caller had interrupted. */
  readonly late: number
  readonly unreadable: number
}

/**
 * The counters of a client of this member.
 *
 * @example
 * ```ts
 * import { RingRpc } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const report = RingRpc.Calling.use((calling) => Effect.log(`${calling.counts().late} answers came too late`))
 * ```
 */
export class Calling extends Context.Service<Calling, {
  readonly counts: () => CallingCounts
  readonly inFlight: () => number
}>()("ringfence/Calling") {}

// --- internal ---

const describe = ({ info, member }: { readonly member: MemberId; readonly info?: MemberInfo }): string =>
  `member ${info === undefined ? showMember(member) : describeMember(info)}`

const isCallError = Schema.is(CallError)
