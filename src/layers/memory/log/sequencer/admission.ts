/**
 * Adopts declared topics and claimed sessions.
 */
import { type Lane, type Session, SessionLane } from "../LogState.ts"
import { admittanceOf, giveIdentity } from "./identities.ts"
import type { SequencerState } from "./SequencerState.ts"

export const adoptTopics = ({ heap, options }: SequencerState): boolean => {
  let moved = false
  for (const topic of heap.topics) {
    if (topic.adopted) continue
    topic.adopted = true
    topic.holds = topic.declaration.order !== "total" && !options.ignoreSessionOrder
    moved = true
  }
  return moved
}

/** Adopts claimed sessions, and marks the sessions that their clients have closed. */
export const adoptSessions = (order: SequencerState): boolean => {
  let moved = false
  for (const [slot, session] of order.heap.sessions.entries()) {
    if (session?.state === "claimed") moved = admit(order, slot, session) || moved
    if (session?.state === "active" && session.endReason === undefined && session.closing) session.endReason = "closed"
  }
  return moved
}

// A refused session ends as it begins: it has published nothing.
const admit = (order: SequencerState, slot: number, session: Session): boolean => {
  const admittance = admittanceOf(session)
  if (admittance === "wait") return false
  if (admittance === "adopt") adopt(order, slot, session)
  else {
    session.endReason = "fenced"
    session.state = "ended"
    order.heap.leave(session.topic)
  }
  return true
}

// Every broker grants its lane at once. Positions of a lane continue from its former owner's: they never restart, so no
// batch of the former owner can look new.
const adopt = ({ events, heap }: SequencerState, slot: number, session: Session): void => {
  session.lanes = heap.lanes[slot]!.map((lane) => new SessionLane(granted(lane, heap.geometry.laneBytes)))
  session.state = "active"
  session.dirty = true
  giveIdentity(session)
  const { id: sessionId, incarnation: own, topic } = session
  const identity = own === undefined ? {} : { identity: own.name, incarnation: own.incarnation }
  events.push({ _tag: "SessionOpened", sessionId, topic: topic.name, ...identity, pid: process.pid })
}

const granted = (lane: Lane, laneBytes: number): Lane => {
  if (lane.payload.length === 0) lane.payload = new Uint8Array(laneBytes)
  return lane
}
