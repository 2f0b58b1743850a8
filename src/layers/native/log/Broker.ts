/**
 * The brokers that this process hosts: they admit clients by granting each a lane in their payload memory.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { sleepsFor } from "../../../native/binding.ts"
import { Broker } from "../../../services/Broker.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { brokerStates } from "./NativeLog.ts"

export const layer: Layer.Layer<Broker, RegionError, NativeRegion> = Layer.effect(
  Broker,
  Effect.gen(function*() {
    const region = yield* NativeRegion
    const { brokers } = region.info.geometry
    yield* Effect.forkScoped(admitting(region, brokers))
    return Broker.of({ brokers, states: Effect.sync(() => brokerStates(region)) })
  })
)

// --- internal ---

// A claim rings for admission, and so does its adoption by the sequencer, after which a lane can be granted.
const admitting = ({ handle, native, waiter }: NativeRegion["Service"], brokers: number) => {
  const admit = () => {
    let granted = 0
    for (let broker = 0; broker < brokers; broker += 1) granted += native.grantLanes(handle, broker)
    return granted > 0 ? granted : undefined
  }
  return Effect.ignore(Effect.forever(waiter.untilRungFor(sleepsFor.admission, admit, true)))
}
