/**
 * Barriers: a member goes on once all members have arrived and, with a fence, once the messages that they sent before
 * have arrived too.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { DurationInvalid } from "./input/DurationInput.ts"
import { BarrierMode, type Exemption } from "./schema/BarrierArrival.ts"
import { DrainTarget } from "./schema/DrainTarget.ts"
import {
  type CoordinatorLost,
  describeMember,
  isSame,
  MemberId,
  MemberInfo,
  showMember,
  type ShuttingDown
} from "./schema/Member.ts"
import { formatCount, formatMillis } from "./text/quantities.ts"

/** How this member reached a drain target. Positions are bytes of the ring. */
export interface Drained {
  readonly target: DrainTarget
  /** This member's position when the release arrived. */
  readonly before: number
  /** Its position when the fence returned. */
  readonly after: number
  /** Messages that arrived between the two. */
  readonly messages: number
}

interface Release {
  /** Numbers the coordinators of the swarm: the next one after a takeover has a higher term. */
  readonly term: number
  /** Numbers the rounds of one term, from 1. Term and round together identify the round in every member. */
  readonly round: number
  readonly mode: BarrierMode
  readonly targets: ReadonlyArray<DrainTarget>
  readonly exempt: ReadonlyArray<Exemption>
  readonly drained: ReadonlyArray<Drained>
}

/** All members of the group arrived. */
export interface Satisfied extends Release {
  readonly _tag: "Satisfied"
}

/**
 * Some members died, left or withdrew before the round was released. The messages of all other members have arrived.
 */
export interface Degraded extends Release {
  readonly _tag: "Degraded"
  readonly departed: ReadonlyArray<MemberId>
  readonly withdrawn: ReadonlyArray<MemberId>
}

export type BarrierResult = Satisfied | Degraded

/** The deadline passed. This member does not count as arrived; the error names the absent members. */
export class BarrierTimedOut extends Schema.TaggedError<BarrierTimedOut>()("BarrierTimedOut", {
  barrier: Schema.String,
  deadlineMillis: Schema.Number,
  /** Members that had not arrived. Empty when all had arrived and draining took too long. */
  absent: Schema.Array(MemberId),
  /** What this member knows of the absent members. */
  infos: Schema.Array(MemberInfo),
  /** Targets that were not reached in time. */
  undrained: Schema.Array(DrainTarget),
  /** True when the coordinator did not answer either, so that other members may see another outcome. */
  undecided: Schema.Boolean
}) {
  override get message(): string {
    const late = `barrier "${this.barrier}" timed out after ${formatMillis(this.deadlineMillis)}`
    if (this.undecided) return `${late}, and the coordinator does not answer: other members may see another outcome`
    if (this.absent.length > 0) return `${late} without ${this.absent.map((id) => this.#describe(id)).join(", ")}`
    const undrained = this.undrained.map(({ position, ring }) => `ring ${ring} to position ${formatCount(position)}`)
    return `${late}: all have arrived, but this member has not drained ${undrained.join(", ")}`
  }

  #describe(id: MemberId): string {
    const info = this.infos.find((each) => isSame(each.id, id))
    return info === undefined ? showMember(id) : describeMember(info)
  }
}

/** Other members entered this round with another mode. They are not affected. */
export class ModeMismatch extends Schema.TaggedError<ModeMismatch>()("ModeMismatch", {
  barrier: Schema.String,
  asked: BarrierMode,
  round: BarrierMode
}) {
  override get message(): string {
    return `barrier "${this.barrier}" is a ${this.round} in this round, not a ${this.asked}`
  }
}

/** The coordinator refused the arrival: this member does not count as arrived. */
export class ArrivalRefused extends Schema.TaggedError<ArrivalRefused>()("ArrivalRefused", {
  barrier: Schema.String,
  reason: Schema.Literals(["reserved", "empty", "notInGroup", "malformed", "generation", "impossible"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `barrier "${this.barrier}": ${this.detail}`
  }
}

/**
 * Part of a stream was lost before it was delivered, so the fence cannot hold. Entering again does not help: the first
 * refusal comes at once, later ones after a pause of up to a second, so that retries do not load the coordinator.
 */
export class RangeLost extends Schema.TaggedError<RangeLost>()("RangeLost", {
  ring: Schema.Int,
  from: Schema.Number,
  to: Schema.Number,
  /** The coordinator's reader lost it, not only this member's. */
  byCoordinator: Schema.optionalKey(Schema.Boolean),
  /** This other member lost it: no processing fence holds while that member lives. */
  member: Schema.optionalKey(MemberId),
  /** The member's last known name and pid. */
  info: Schema.optionalKey(MemberInfo)
}) {
  override get message(): string {
    const [reader, step] = this.#whose
    return `ring ${this.ring}: positions ${this.from} to ${this.to} were lost to ${reader}, which can meet no further fence `
      + `over that ring (${step})`
  }

  get #whose(): readonly [reader: string, step: string] {
    const anew = "a new reader begins after the loss"
    if (this.byCoordinator === true) {
      return ["the coordinator", `let a standby take over, or restart the swarm: ${anew}`]
    }
    if (this.member === undefined) return ["this member", `end this member and join again: ${anew}`]
    const who = this.info === undefined ? showMember(this.member) : describeMember(this.info)
    return [`member ${who}`, `end that member and let it join again: ${anew}`]
  }
}

export type BarrierError =
  | BarrierTimedOut
  | ModeMismatch
  | ArrivalRefused
  | RangeLost
  | CoordinatorLost
  | ShuttingDown
  | DurationInvalid

export interface BarrierOptions {
  /** Default `deliveryFence`. */
  readonly mode?: BarrierMode | undefined
  /** Default `all`: every member. */
  readonly group?: string | undefined
  /** Default 30 seconds. */
  readonly deadline?: Duration.Input | undefined
}

/**
 * The barriers of a swarm.
 *
 * @example
 * ```ts
 * import { Barrier } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const barrier = yield* Barrier
 *   const result = yield* barrier.enter("iteration", { mode: "processingFence", deadline: "5 seconds" })
 *   return result._tag === "Satisfied"
 * })
 * ```
 */
export class Barrier extends Context.Service<Barrier, {
  /** Arrives at the barrier of that name and waits for its release. A name may be used again at once. */
  readonly enter: (name: string, options?: BarrierOptions) => Effect.Effect<BarrierResult, BarrierError>
}>()("ringfence/Barrier") {}
