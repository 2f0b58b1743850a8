/**
 * Makes the client protocol of Effect RPC over a member's rings.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberSet from "effect/FiberSet"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as Scope from "effect/Scope"
import { type DurationInvalid, waitMillis } from "../../services/input/DurationInput.ts"
import { Calling } from "../../services/RingRpc.ts"
import { CurrentSwarmMember } from "../swarm/SwarmMember.ts"
import type { Alarm } from "../swarm/transport/DeadlineTimer.ts"
import { type Callee, RpcClientCalls, type RpcClientCallsOptions } from "./RpcClientCalls.ts"
import { RpcCodec } from "./RpcCodec.ts"

export interface ClientOptions {
  readonly service: string
  readonly to: Callee
  readonly deadline: Duration.Input
}

type Client = RpcClient.Protocol | Calling

export const makeClient: (
  options: ClientOptions
) => Effect.Effect<Context.Context<Client>, DurationInvalid, CurrentSwarmMember | RpcSerialization | Scope.Scope> =
  Effect
    .fnUntraced(
      function*(options) {
        const swarmMember = yield* CurrentSwarmMember
        const serialization = yield* RpcSerialization
        const run = yield* FiberSet.makeRuntime<never, void>()
        const alarm: Alarm = yield* FiberHandle.makeRuntime<never>()
        const wire = new RpcCodec(serialization)
        const deadlineMillis = yield* waitMillis("deadline", options.deadline)
        const parts = { service: options.service, to: options.to, deadlineMillis, swarmMember, wire, run, alarm }
        const { outgoing, protocol } = yield* calling(parts, serialization)
        yield* outgoing.watched
        return Context.empty().pipe(
          Context.add(RpcClient.Protocol, {
            ...protocol,
            run: (clientId, take) =>
              Effect.ensuring(protocol.run(clientId, take), Effect.sync(() => outgoing.closeCaller(clientId)))
          }),
          Context.add(Calling, {
            counts: () => ({ late: outgoing.late, unreadable: wire.unreadable }),
            inFlight: () => outgoing.inFlight
          })
        )
      }
    )

// --- internal ---

const calling = (parts: Omit<RpcClientCallsOptions, "write">, { codecFor }: RpcSerialization["Service"]) =>
  Effect.suspend(() => {
    let outgoing: RpcClientCalls | undefined
    const protocol = RpcClient.Protocol.make((write) => {
      const sending = outgoing = new RpcClientCalls({ ...parts, write })
      return Effect.succeed({
        send: (clientId, message) => sending.send(clientId, message),
        supportsAck: true,
        supportsTransferables: false,
        codecFor
      })
    })
    return Effect.map(protocol, (protocol) => ({ protocol, outgoing: outgoing as RpcClientCalls }))
  })
