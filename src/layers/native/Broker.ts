/**
 * The brokers that this process hosts: they admit clients by granting each a lane in their payload memory.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Broker } from "../../services/Broker.ts"
import type { RegionError } from "../../services/CxlMemory.ts"
import { brokerStates } from "./NativeLog.ts"
import { NativeRegion } from "./NativeRegion.ts"

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

/**
 * How often the brokers look for clients to admit. The doorbell is not used for it: it rings with every commit while
 * anyone listens, and a server that publishes nothing itself should sleep through those.
 */
const admitMillis = 10

const admitting = ({ handle, native }: NativeRegion["Service"], brokers: number) =>
  Effect.forever(Effect.andThen(
    Effect.sync(() => {
      for (let broker = 0; broker < brokers; broker += 1) native.grantLanes(handle, broker)
    }),
    Effect.sleep(admitMillis)
  ))
