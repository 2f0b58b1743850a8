/**
 * The brokers that this process hosts: they admit clients by granting each a lane in their payload memory.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type NativeLaneState, type NativeSnapshot, sleepsFor } from "../../../native/binding.ts"
import { Broker, type BrokerState } from "../../../services/Broker.ts"
import { type Frontiers, noFrontiers, sumFrontiers } from "../../../services/schema/Frontiers.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { NativeRegion } from "../region/NativeRegion.ts"

export const layer: Layer.Layer<Broker, RegionError, NativeRegion> = Layer.effect(
  Broker,
  Effect.gen(function*() {
    const region = yield* NativeRegion
    const { brokers } = region.info.geometry
    yield* Effect.forkScoped(admitting(region, brokers))
    return Broker.of({ brokers, states: Effect.sync(() => brokersOf(region, region.handle.snapshot())) })
  })
)

/** The brokers' states in a snapshot of the log. */
export const brokersOf = (region: Region, snapshot: NativeSnapshot): ReadonlyArray<BrokerState> => {
  const { brokers, laneBytes, laneSlots } = region.info.geometry
  return Array.from({ length: brokers }, (_, broker) => {
    const lanes = snapshot.sessions.map((session) => session.lanes[broker] as NativeLaneState)
    return {
      broker,
      sessions: snapshot.sessions.filter(({ ended }) => !ended).length,
      frontiers: lanes.map(frontiersOf).reduce(sumFrontiers, noFrontiers),
      inFlight: lanes.reduce((sum, lane) => sum + lane.inFlight, 0),
      laneSlots,
      laneBytes,
      fullEvents: lanes.reduce((sum, lane) => sum + lane.fullEvents, 0)
    }
  })
}

export const frontiersOf = (lane: NativeLaneState): Frontiers => ({
  written: lane.written,
  published: lane.published,
  scanned: lane.scanned,
  held: lane.held,
  ordered: lane.ordered,
  acknowledged: lane.ordered,
  delivered: lane.delivered,
  orderedMessages: lane.orderedMessages,
  acknowledgedMessages: lane.orderedMessages,
  deliveredMessages: lane.deliveredMessages,
  duplicates: lane.duplicates,
  purged: lane.purged
})

// --- internal ---

type Region = NativeRegion["Service"]

// Both the claim of a session and its adoption by the sequencer, after which lanes can be granted, ring for admission.
const admitting = ({ handle, waiter }: Region, brokers: number) => {
  const admit = () => {
    let granted = 0
    for (let broker = 0; broker < brokers; broker += 1) granted += handle.grantLanes(broker)
    return granted > 0 ? granted : undefined
  }
  return Effect.ignore(Effect.forever(waiter.untilRungFor(sleepsFor.admission, admit)))
}
