/**
 * Processes that become members: children that this process starts and supervises, and invited processes started by
 * hand.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ArgumentInvalid } from "./input/ArgumentInvalid.ts"
import type { DurationInvalid } from "./input/DurationInput.ts"
import type { CoordinatorLost, MemberInfo } from "./schema/Member.ts"
import { formatMillis } from "./text/quantities.ts"

/** How one life of a child ended. `code` and `signal` are both `null` when its program could not be started again. */
export interface ChildExit {
  /** 0 for its first life, incremented by each recovery. */
  readonly incarnation: number
  readonly pid: number
  readonly code: number | null
  readonly signal: string | null
}

/** When a child is started again. Without it, never. */
export interface Recovery {
  /** Whether this end is followed by another life. Default: any end but exit code 0, for the first five lives. */
  readonly policy?: ((exit: ChildExit) => boolean) | undefined
  /** The pause before the next life. Default 100 ms. */
  readonly delay?: Duration.Input | ((exit: ChildExit) => Duration.Input) | undefined
}

/** Exactly one of `entry` and `command`. */
export type Program =
  /** A script, run by this process's Node.js with the same flags. */
  | { readonly entry: string | URL; readonly command?: undefined }
  | { readonly command: string; readonly entry?: undefined }

/** The specification of a child. */
export type ChildSpec = Program & {
  /** The name that other members see. Children spawned together are numbered: `worker-1`. */
  readonly name: string
  readonly args?: ReadonlyArray<string> | undefined
  /** Added to this process's own environment. `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Default `inherit`. */
  readonly output?: "inherit" | "ignore" | undefined
  /** Whether it may take over when the coordinator is gone. Default false. */
  readonly standby?: boolean | undefined
  /** Whether it ends, with exit code {@link ownerGoneCode}, once this process is gone. Default true. */
  readonly lifeline?: boolean | undefined
  /** How long after its start it may still ask to join. Default 30 seconds. */
  readonly invitation?: Duration.Input | undefined
  readonly recovery?: Recovery | undefined
  /** How long it may take to end after SIGTERM before it gets SIGKILL. Default 5 seconds. */
  readonly grace?: Duration.Input | undefined
}

export type ChildStatus =
  /** Its process runs but is not a member yet. */
  | { readonly _tag: "Starting"; readonly incarnation: number; readonly pid: number }
  | { readonly _tag: "Joined"; readonly incarnation: number; readonly pid: number; readonly member: MemberInfo }
  /** This life is over, and another one follows. */
  | { readonly _tag: "Recovering"; readonly exit: ChildExit }
  | { readonly _tag: "Ended"; readonly exit: ChildExit }
  /** It was released: this process no longer follows it. */
  | { readonly _tag: "Released"; readonly pid: number }

/** Exit code of a child whose owner is gone, or that did not get its promised lifeline. */
export const ownerGoneCode = 99

/** The program could not be started. Nothing is left behind. */
export class SpawnFailed extends Schema.TaggedError<SpawnFailed>()("SpawnFailed", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.command} could not be started: ${this.detail}`
  }
}

/** The child is not ready yet, or never will be. It is left as it is. */
export class ChildNotReady extends Schema.TaggedError<ChildNotReady>()("ChildNotReady", {
  child: Schema.String,
  reason: Schema.Literals(["deadline", "ended", "released"]),
  deadlineMillis: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const within = this.deadlineMillis === undefined ? "the deadline" : formatMillis(this.deadlineMillis)
    const why = { deadline: `was not ready within ${within}`, ended: "has ended", released: "was released" }
    return `child "${this.child}" ${why[this.reason]}`
  }
}

/** The invitation was cancelled or has expired: it admits no process. */
export class InvitationVoid extends Schema.TaggedError<InvitationVoid>()("InvitationVoid", {
  reason: Schema.Literals(["cancelled", "expired"])
}) {
  override get message(): string {
    return `the invitation was ${this.reason === "cancelled" ? "cancelled" : "not used in time"}`
  }
}

/** This process was promised a lifeline and has none, so it could outlive the process that started it. */
export class LifelineMissing extends Schema.TaggedError<LifelineMissing>()("LifelineMissing", {}) {
  override readonly [Runtime.errorExitCode] = ownerGoneCode
  override get message(): string {
    return "the lifeline to the process that started this one is missing"
  }
}

/** Admits one process, once, before it expires. */
export interface Invitation {
  /** Admits any process that knows it: pass it in an environment, not on a command line, which other users can read. */
  readonly token: string
  /** The environment variables that the process needs: the region and the token. */
  readonly environment: Readonly<Record<string, string>>
  /** The member that joined with it. */
  readonly joined: Effect.Effect<MemberInfo, InvitationVoid | CoordinatorLost>
  readonly cancel: Effect.Effect<void>
}

/** The owner's handle of a child. */
export interface ChildHandle {
  readonly name: string
  readonly status: () => ChildStatus
  /** The present `status`, then each change. Ends when no change can follow. */
  readonly statuses: Stream.Stream<ChildStatus>
  /**
   * Returns once the child is a member and, if `name` is given, has published that name. The deadline (default 30
   * seconds) does not end the child.
   */
  readonly ready: (
    options?: { readonly name?: string | undefined; readonly deadline?: Duration.Input | undefined }
  ) => Effect.Effect<MemberInfo, ChildNotReady | CoordinatorLost | DurationInvalid>
  /** The end of each of its lives, past ones included, exactly once each. Ends with the last. */
  readonly exits: Stream.Stream<ChildExit>
  /** The end of its last life. Never returns for a released child. */
  readonly ended: Effect.Effect<ChildExit>
  /** Sends SIGTERM, and SIGKILL if the child has not ended within `grace`. No recovery follows. */
  readonly terminate: Effect.Effect<ChildExit>
  /** Stops supervising it: it outlives this scope and this process, and its end is not reported. */
  readonly release: Effect.Effect<void>
}

/**
 * Starts children and invites processes.
 *
 * @example
 * ```ts
 * import { Spawner } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const spawner = yield* Spawner
 *   const worker = yield* spawner.spawn({ name: "worker", entry: "./worker.ts", recovery: {} })
 *   const member = yield* worker.ready({ name: "worker" })
 *   return member.pid
 * }).pipe(Effect.scoped)
 * ```
 */
export class Spawner extends Context.Service<Spawner, {
  /** Starts a child, which is ended when the scope closes, unless it was released. */
  readonly spawn: (
    spec: ChildSpec
  ) => Effect.Effect<ChildHandle, SpawnFailed | CoordinatorLost | DurationInvalid, Scope.Scope>
  /** Starts that many children of one specification: all, or none if one cannot be started. */
  readonly spawnAll: (
    count: number,
    spec: ChildSpec
  ) => Effect.Effect<
    ReadonlyArray<ChildHandle>,
    SpawnFailed | CoordinatorLost | DurationInvalid | ArgumentInvalid,
    Scope.Scope
  >
  /** Invites a process that is started by hand. Expires after 30 seconds by default. */
  readonly invite: (
    options?: { readonly expires?: Duration.Input | undefined }
  ) => Effect.Effect<Invitation, CoordinatorLost | DurationInvalid>
}>()("ringfence/Spawner") {}
