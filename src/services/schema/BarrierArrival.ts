/**
 * What a member tells the coordinator when it arrives at a barrier, and the modes a barrier has.
 */
import * as Schema from "effect/Schema"
import { DrainTarget } from "./DrainTarget.ts"
import { MemberId } from "./Member.ts"

/**
 * What a barrier promises when it returns in a member Q:
 *
 * - `rendezvous`: all have arrived. Nothing about messages.
 * - `deliveryFence`: and everything that any member sent before it arrived has been delivered (its handler has begun)
 *   to the coordinator and to Q.
 * - `processingFence`: and every member has handled it (the handlers have ended).
 */
export const BarrierMode = Schema.Literals(["rendezvous", "deliveryFence", "processingFence"])
export type BarrierMode = typeof BarrierMode.Type

/** A stream that a fence did not wait for in one member, because the fence was entered from a handler of it. */
export const Exemption = Schema.Struct({ member: MemberId, ring: Schema.Int })
export type Exemption = typeof Exemption.Type

/** An arrival at a barrier: what its sender had written when it arrived. */
export const BarrierArrival = Schema.Struct({
  name: Schema.String,
  group: Schema.String,
  mode: BarrierMode,
  /** Version of the membership that the sender knew. */
  epoch: Schema.Int,
  /** Numbers the arrivals of one member. */
  attempt: Schema.Int,
  /** Counts the fibers that joined this arrival later. */
  amendment: Schema.Int,
  deadlineMillis: Schema.Number,
  drainTargets: Schema.Array(DrainTarget),
  /** Rings whose handlers the arriving fibers are in. */
  exempt: Schema.Array(Schema.Int)
})
export type BarrierArrival = typeof BarrierArrival.Type
