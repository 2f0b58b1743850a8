/**
 * The library's client protocol over a member's rings.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberSet from "effect/FiberSet"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcSerialization } from "effect/rpc/RpcSerialization"
import type * as Scope from "effect/Scope"
import { Calling } from "../../services/Call.ts"
import type { Alarm } from "../swarm/Deadlines.ts"
import { SwarmCore } from "../swarm/SwarmCore.ts"
import { type Callee, Outgoing, type OutgoingOptions } from "./Outgoing.ts"
import { Wire } from "./Wire.ts"

export interface ClientOptions {
  readonly service: string
  readonly to: Callee
  readonly deadline: Duration.Input
}

type Client = RpcClient.Protocol | Calling

export const makeClient: (
  options: ClientOptions
) => Effect.Effect<Context.Context<Client>, never, SwarmCore | RpcSerialization | Scope.Scope> = Effect.fnUntraced(
  function*(options) {
    const core = yield* SwarmCore
    const serialization = yield* RpcSerialization
    const run = yield* FiberSet.makeRuntime<never, void>()
    const alarm: Alarm = yield* FiberHandle.makeRuntime<never>()
    const wire = new Wire(serialization)
    const { outgoing, protocol } = yield* calling({ ...options, core, wire, run, alarm }, serialization)
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

const calling = (parts: Omit<OutgoingOptions, "write">, { codecFor }: RpcSerialization["Service"]) =>
  Effect.suspend(() => {
    let outgoing: Outgoing | undefined
    const protocol = RpcClient.Protocol.make((write) => {
      const sending = outgoing = new Outgoing({ ...parts, write })
      return Effect.succeed({
        send: (clientId, message) => sending.send(clientId, message),
        supportsAck: true,
        supportsTransferables: false,
        codecFor
      })
    })
    return Effect.map(protocol, (protocol) => ({ protocol, outgoing: outgoing as Outgoing }))
  })
