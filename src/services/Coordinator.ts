/**
 * Membership: which members are in the swarm, under which names and in which groups, and how a member joins and leaves.
 *
 * One member coordinates, and all members know the same membership. Each join and departure increments its version, the
 * epoch. A process becomes a member once it reads every other member's rings and every other member reads its rings.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { DurationInvalid } from "./input/DurationInput.ts"
import {
  type CoordinatorLost,
  type DepartureReason,
  describeMember,
  type MemberGone,
  type MemberId,
  MemberInfo,
  type ShuttingDown
} from "./schema/Member.ts"
import { NamedProcess, showProcess } from "./schema/ProcessId.ts"
import { formatMillis } from "./text/quantities.ts"

/** A change of the membership. All members see the same changes in the same order. */
export type MemberEvent =
  | { readonly _tag: "Joined"; readonly epoch: number; readonly member: MemberInfo }
  | {
    readonly _tag: "Departed"
    readonly epoch: number
    readonly member: MemberInfo
    readonly reason: DepartureReason
  }
  | { readonly _tag: "NamePublished"; readonly name: string; readonly member: MemberId }
  | { readonly _tag: "NameUnpublished"; readonly name: string; readonly member: MemberId }
  | { readonly _tag: "GroupJoined"; readonly group: string; readonly member: MemberId }
  | { readonly _tag: "GroupLeft"; readonly group: string; readonly member: MemberId }
  /** All members that are alive but do not keep up. */
  | { readonly _tag: "SuspectsChanged"; readonly suspects: ReadonlyArray<MemberInfo> }
  /** The coordinator is dead or has left. Either a successor follows or the changes end. */
  | { readonly _tag: "CoordinatorGone"; readonly coordinator: MemberId }
  | { readonly _tag: "CoordinatorChanged"; readonly coordinator: MemberId }
  /** This member was too slow and missed changes. The coordinator has sent it the whole membership. */
  | { readonly _tag: "Resynced"; readonly epoch: number }

/** The name is published by another member, reserved, or empty. */
export class NameRefused extends Schema.TaggedError<NameRefused>()("NameRefused", {
  /** The refused name, of a member or of a group. */
  requested: Schema.String,
  reason: Schema.Literals(["taken", "reserved", "empty"]),
  /** The member that has published the name, when the reason is `taken`. */
  holder: Schema.optionalKey(MemberInfo)
}) {
  override get message(): string {
    const by = this.holder === undefined ? "" : ` by member ${describeMember(this.holder)}`
    const why = { taken: `is published already${by}`, reserved: "is reserved", empty: "is empty" }
    return `name "${this.requested}" ${why[this.reason]}`
  }
}

/** No member has published that name, within the deadline if there was one. */
export class NameMissing extends Schema.TaggedError<NameMissing>()("NameMissing", {
  requested: Schema.String,
  deadlineMillis: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const within = this.deadlineMillis === undefined ? "" : ` within ${formatMillis(this.deadlineMillis)}`
    return `no member has published the name "${this.requested}"${within}`
  }
}

/** This process could not join. It leaves nothing behind. */
export class JoinRefused extends Schema.TaggedError<JoinRefused>()("JoinRefused", {
  reason: Schema.Literals(["noCoordinator", "coordinated", "invitation", "shuttingDown", "deadline"]),
  /** The process that coordinates, when the reason is `coordinated`. */
  coordinator: Schema.optionalKey(NamedProcess),
  /** The time that was given to the coordinator, when the reason is `deadline`. */
  deadlineMillis: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const by = this.coordinator === undefined ? "" : `: ${showProcess(this.coordinator)}. Join without \`coordinate\``
    const within = this.deadlineMillis === undefined ? "the deadline" : formatMillis(this.deadlineMillis)
    const why = {
      noCoordinator: "this region has no coordinator",
      coordinated: `this region has a coordinator already${by}`,
      invitation: "the invitation is unknown, used or expired",
      shuttingDown: "the swarm is shutting down",
      deadline: `the coordinator did not admit this process within ${within}`
    }
    return `cannot join: ${why[this.reason]}`
  }
}

/** A coordinator may not leave while there are members and no standby: use `shutdown`. */
export class LeaveRefused extends Schema.TaggedError<LeaveRefused>()("LeaveRefused", {}) {
  override get message(): string {
    return "the coordinator may not leave its members without a standby: shut down together instead"
  }
}

/**
 * This member's view of the swarm, and its own names, groups and departure.
 *
 * @example
 * ```ts
 * import { Coordinator } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const swarm = yield* Coordinator
 *   yield* swarm.publish("worker")
 *   const audit = yield* swarm.waitFor("audit", { deadline: "5 seconds" })
 *   return audit.pid
 * }).pipe(Effect.scoped)
 * ```
 */
export class Coordinator extends Context.Service<Coordinator, {
  readonly self: MemberInfo
  /** True while this member coordinates. */
  readonly coordinates: () => boolean
  readonly members: () => ReadonlyArray<MemberInfo>
  /** Members of a group; every member is in `all`. */
  readonly group: (group: string) => ReadonlyArray<MemberInfo>
  readonly epoch: () => number
  /** Changes from now on. Ends once this member leaves the swarm or the swarm loses its coordinator for good. */
  readonly changes: Stream.Stream<MemberEvent>
  /** Members that the coordinator sees alive but not keeping up: stopped, or too busy to read. */
  readonly suspects: () => ReadonlyArray<MemberInfo>
  /** Waits until the predicate holds; evaluates it again after each change. */
  readonly awaitMembers: (
    until: (members: ReadonlyArray<MemberInfo>) => boolean
  ) => Effect.Effect<ReadonlyArray<MemberInfo>, CoordinatorLost>
  /** Publishes a name for this member until the scope closes. */
  readonly publish: (
    name: string
  ) => Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown, Scope.Scope>
  readonly resolve: (name: string) => MemberInfo | undefined
  /** The member that has published the name, or does so within the deadline (default 30 seconds). */
  readonly waitFor: (
    name: string,
    options?: { readonly deadline?: Duration.Input }
  ) => Effect.Effect<MemberInfo, NameMissing | CoordinatorLost | DurationInvalid>
  /** Joins a group until the scope closes. */
  readonly joinGroup: (
    group: string
  ) => Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown, Scope.Scope>
  /** Leaves alone. The other members go on, and their barriers no longer wait for this member. */
  readonly leave: Effect.Effect<void, LeaveRefused | CoordinatorLost>
  /** Leaves together with all others: returns when all members have called it and the coordinator's hook has run. */
  readonly shutdown: Effect.Effect<void, CoordinatorLost>
  /**
   * Fails once the coordinator is dead and no standby takes over: the last step of a member that only serves others.
   * In the coordinator itself it never ends.
   */
  readonly lost: Effect.Effect<never, CoordinatorLost>
  /** The member, or {@link MemberGone} once it has left the swarm. */
  readonly find: (member: MemberId) => Effect.Effect<MemberInfo, MemberGone>
}>()("ringfence/Coordinator") {}
