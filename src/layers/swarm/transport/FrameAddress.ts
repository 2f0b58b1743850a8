/**
 * Names the rings of a swarm, the kinds of their frames, and the receiver of each frame.
 */
import type { MemberId } from "../../../services/schema/Member.ts"
import type { FrameHeader } from "../../ports/RingPorts.ts"

/** The kinds of a swarm's frames, below 16. */
export const frameKind = {
  control: 1,
  event: 2,
  request: 3,
  response: 4,
  /** From a caller to its callee, about its calls; it overtakes messages and requests. */
  signal: 5,
  /** Sent instead of a response. */
  refusal: 6
} as const

/** The receiver of a frame. */
export type Address =
  | { readonly _tag: "EveryMember" }
  | { readonly _tag: "Others" }
  | { readonly _tag: "One"; readonly member: MemberId }

export const everyMember: Address = { _tag: "EveryMember" }
export const others: Address = { _tag: "Others" }
export const one = (member: MemberId): Address => ({ _tag: "One", member })

/** The rings of a member, by its slot in the process table: the slot's next member continues them. */
export const ringNames = {
  /** Read only by the coordinator. */
  control: (slot: number) => `control/${slot}`,
  /** Replies, chunks of streams, interrupts: read by all members, which never wait for a handler first. */
  replies: (slot: number) => `replies/${slot}`,
  /** Messages and requests: read by all members, in the order of sending. */
  events: (slot: number) => `events/${slot}`,
  /** Written by the coordinator: its generation is the coordinator's term. */
  coordinator: "coordinator"
} as const

/** The number of rings for a swarm of that many members, the coordinator's included. */
export const ringsOfSwarm = (members: number): number => members * 3 + 1

/** The range of the number that a frame carries beside its address. */
export const numberSpan = 2 ** 24

/** The correlation of a frame: its receiver and, above that, a number of its own below {@link numberSpan}. */
export const correlationOf = (to: Address, number = 0): number => number * addressSpan + typeHash(to)

export const numberOf = (correlation: number): number => Math.floor(correlation / addressSpan)

/** True when a frame from `sender` is for `member`. */
export const isFor = (correlation: number, sender: number, member: MemberId): boolean => {
  const code = correlation % addressSpan
  if (code === everyMemberCode) return true
  if (code === othersCode) return sender !== member.slot
  return code === typeHash(one(member))
}

/** The header of a frame from this member. */
export const headerOf = (
  kind: number,
  type: number,
  { generation, slot }: MemberId,
  to: Address,
  number = 0
): FrameHeader => ({
  kind,
  flags: 0,
  type,
  sender: slot,
  senderGeneration: generation,
  correlation: correlationOf(to, number)
})

// --- internal ---

const everyMemberCode = 0
const othersCode = 1
const slotSpan = 2048
// A frame for a slot's former member is not for the next one: the low bits of the generation tell them apart.
const generationSpan = 2 ** 18
const addressSpan = slotSpan * generationSpan

const typeHash = (to: Address): number => {
  if (to._tag === "EveryMember") return everyMemberCode
  if (to._tag === "Others") return othersCode
  return 2 + to.member.slot + slotSpan * (to.member.generation % generationSpan)
}
