/**
 * A member's arrival at a barrier, as it is sent to the coordinator, and the modes of a barrier.
 */
import * as Schema from "effect/Schema"
import { DrainTarget } from "./DrainTarget.ts"
import { MemberId } from "./Member.ts"

/**
 * What a barrier promises when it returns in a member Q:
 *
 * - `rendezvous`: all members have arrived. No promise about messages.
 * - `deliveryFence`: also, every message that a member sent before it arrived has been delivered (its handler has
 *   begun) at the coordinator and at Q.
 * - `processingFence`: also, every member has handled those messages (the handlers have ended).
 */
export const BarrierMode = Schema.Literals(["rendezvous", "deliveryFence", "processingFence"])
export type BarrierMode = typeof BarrierMode.Type

/** A ring that a fence did not drain in one member, because one of the ring's handlers entered the fence there. */
export const Exemption = Schema.Struct({ member: MemberId, ring: Schema.Int })
export type Exemption = typeof Exemption.Type

/** An arrival at a barrier, with how far its sender had written when it arrived. */
export const BarrierArrival = Schema.Struct({
  name: Schema.String,
  group: Schema.String,
  mode: BarrierMode,
  /** Version of the membership that the sender knows. */
  epoch: Schema.Int,
  /** Numbers the arrivals of one member. */
  attempt: Schema.Int,
  /** Counts the fibers that joined this arrival later. */
  amendment: Schema.Int,
  deadlineMillis: Schema.Number,
  drainTargets: Schema.Array(DrainTarget),
  /** Rings whose handlers the arriving fibers run in. */
  exempt: Schema.Array(Schema.Int)
})
export type BarrierArrival = typeof BarrierArrival.Type
