/**
 * The ingest domains of the log: each admits clients, grants them a lane in its own payload memory, and applies
 * back-pressure.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Frontiers } from "./schema/Frontiers.ts"

export interface BrokerState {
  readonly broker: number
  /** Sessions that it has admitted and that have not ended. */
  readonly sessions: number
  readonly frontiers: Frontiers
  readonly inFlight: number
  readonly laneSlots: number
  readonly laneBytes: number
  /** Times a client found its lane on this broker full. */
  readonly fullEvents: number
}

/**
 * The brokers this process hosts. A client may publish once every broker of the region has admitted it.
 *
 * @example
 * ```ts
 * import { Broker } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const inFlight = Broker.use(({ states }) =>
 *   Effect.map(states, (brokers) => brokers.map(({ broker, inFlight }) => `broker ${broker}: ${inFlight} batches`))
 * )
 * ```
 */
export class Broker extends Context.Service<Broker, {
  readonly brokers: number
  readonly states: Effect.Effect<ReadonlyArray<BrokerState>>
}>()("ringfence/Broker") {}
