/**
 * Effect RPC between the members of a swarm: one member serves an `RpcGroup`, others call it, and the group needs no
 * change for that.
 *
 * @example
 * ```ts
 * import { RingRpc, Swarm } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Rpc from "effect/rpc/Rpc"
 * import * as RpcClient from "effect/rpc/RpcClient"
 * import * as RpcGroup from "effect/rpc/RpcGroup"
 * import * as Schema from "effect/Schema"
 *
 * const Adding = RpcGroup.make(
 *   Rpc.make("Add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int })
 * )
 *
 * const sum = RpcClient.make(Adding).pipe(
 *   Effect.flatMap((client) => client.Add({ a: 1, b: 2 })),
 *   Effect.scoped,
 *   Effect.provide(RingRpc.layerClient({ to: { name: "calculator" } })),
 *   Effect.provide(Swarm.layerMember({ region: "orchestra", name: "caller" }))
 * )
 * ```
 */
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import type * as RpcServer from "effect/rpc/RpcServer"
import type { DurationInvalid } from "../services/input/DurationInput.ts"
import type { Calling, ServiceTaken, Serving } from "../services/RingRpc.ts"
import { layerFlatEnvelopes } from "./rpc/FlatEnvelope.ts"
import { makeClient } from "./rpc/makeClientProtocol.ts"
import { makeServer } from "./rpc/makeServerProtocol.ts"
import type { Callee } from "./rpc/RpcClientCalls.ts"
import type { CurrentSwarmMember } from "./swarm/SwarmMember.ts"

export {
  CallError,
  callErrorOf,
  Calling,
  type CallingCounts,
  CallRefused,
  CallTimedOut,
  CallUnreadable,
  ClientClosed,
  Deadline,
  ServiceTaken,
  Serving,
  type ServingCounts
} from "../services/RingRpc.ts"
export type { Callee } from "./rpc/RpcClientCalls.ts"

export interface ServerOptions {
  /** Distinguishes the servers of one member. Default `rpc`. */
  readonly service?: string | undefined
}

export interface ClientOptions extends ServerOptions {
  /** One member, or the member that has published the name when a call is made. */
  readonly to: Callee
  /** How long a call may wait for its answer, or for the first element of its stream. Default 30 seconds. */
  readonly deadline?: Duration.Input | undefined
}

/** {@link layerServer} with a serialization that the application provides. */
export const layerServerEncoded = (
  { service = "rpc" }: ServerOptions = {}
): Layer.Layer<
  RpcServer.Protocol | Serving,
  ServiceTaken,
  CurrentSwarmMember | RpcSerialization.RpcSerialization
> => Layer.effectContext(makeServer(service))

/** {@link layerClient} with a serialization that the application provides. */
export const layerClientEncoded = (
  { deadline = "30 seconds", service = "rpc", to }: ClientOptions
): Layer.Layer<
  RpcClient.Protocol | Calling,
  DurationInvalid,
  CurrentSwarmMember | RpcSerialization.RpcSerialization
> => Layer.effectContext(makeClient({ service, to, deadline }))

/** The protocol of `RpcServer.layer` over this member's rings. */
export const layerServer = (
  options?: ServerOptions
): Layer.Layer<RpcServer.Protocol | Serving, ServiceTaken, CurrentSwarmMember> =>
  Layer.provide(layerServerEncoded(options), layerFlatEnvelopes)

/** The protocol of `RpcClient.make` over this member's rings. */
export const layerClient = (
  options: ClientOptions
): Layer.Layer<RpcClient.Protocol | Calling, DurationInvalid, CurrentSwarmMember> =>
  Layer.provide(layerClientEncoded(options), layerFlatEnvelopes)
