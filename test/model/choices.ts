/**
 * The actions of members in a random run, drawn from a seed: in simulated worlds and in real processes alike.
 */
import * as Schema from "effect/Schema"
import { Messenger, type Reach } from "../../src/services/Messenger.ts"
import type { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"
import type { MemberId } from "../../src/services/schema/Member.ts"

/** A whole number below the bound. */
export type Random = (below: number) => number

/** xorshift, 32 bits (Marsaglia). */
export const randomOf = (seed: number): Random => {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x6d2b79f5) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Each name of a barrier has its mode. */
export const modes: ReadonlyArray<BarrierMode> = ["deliveryFence", "processingFence", "rendezvous"]

/** A message with its sender's number, how long its handler takes, and which fence the handler enters. */
export const Say = Messenger.event(
  "say",
  Schema.Struct({ n: Schema.Int, handlerMillis: Schema.Int, fence: Schema.Int })
)
export interface Saying {
  readonly handlerMillis: number
  /** The fence that the handler enters; none below 0. */
  readonly fence: number
}

export const saying = (random: Random): Saying => ({
  fence: random(25) === 0 ? random(modes.length) : -1,
  handlerMillis: handling(random)
})

// Let a few handlers take so long that a death is noticed meanwhile.
const handling = (random: Random): number => {
  if (random(30) === 0) return 30 + random(30)
  return random(3) === 0 ? random(6) : 0
}

/** The number of messages sent ahead of an arrival. */
export const sendsAhead = (random: Random): number => random(5)

/** The addressees of a message: most go to all members. */
export const reaching = (random: Random, others: ReadonlyArray<MemberId>): Reach => {
  const drawn = random(10)
  if (drawn < 5) return "world"
  if (drawn < 8) return "remote"
  const member = others[random(others.length)]
  return member === undefined || drawn === 8 ? "local" : { member }
}
