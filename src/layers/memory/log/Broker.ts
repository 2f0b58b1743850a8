/**
 * The brokers of one heap. The sequencer grants the lanes when it adopts a session, so this layer only reports.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Broker, type BrokerState } from "../../../services/Broker.ts"
import { noFrontiers, sumFrontiers } from "../../../services/schema/Frontiers.ts"
import { HeapLog } from "./HeapLog.ts"
import { frontiersOf } from "./LanePort.ts"
import { type Heap, type Lane, type Session, sessionsOf } from "./LogState.ts"

export const layer: Layer.Layer<Broker, never, HeapLog> = Layer.effect(
  Broker,
  Effect.map(
    HeapLog,
    ({ heap }) => Broker.of({ brokers: heap.geometry.brokers, states: Effect.sync(() => brokersOf(heap)) })
  )
)

export const brokersOf = (heap: Heap): ReadonlyArray<BrokerState> => {
  const { brokers, laneBytes, laneSlots } = heap.geometry
  const sessions = sessionsOf(heap)
  return Array.from({ length: brokers }, (_, broker) => {
    const lanes = sessions.flatMap((session) => session.lanes[broker] ?? [])
    return {
      broker,
      sessions: sessions.filter(({ state }) => state !== "ended").length,
      frontiers: lanes.map(frontiersOf).reduce(sumFrontiers, noFrontiers),
      inFlight: heap.lanes.reduce((sum, slot, client) => sum + batchesIn(slot[broker]!, heap.sessions[client]), 0),
      laneSlots,
      laneBytes,
      fullEvents: lanes.reduce((sum, lane) => sum + lane.fullEvents, 0)
    }
  })
}

// --- internal ---

/** Batches in a lane. Before the session is adopted, they are its slot's former owner's. */
const batchesIn = (lane: Lane, session: Session | undefined): number =>
  (session?.lanes[lane.broker]?.written ?? lane.scanned) - lane.released
