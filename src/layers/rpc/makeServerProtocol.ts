/**
 * Makes the server protocol of Effect RPC over a member's rings.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import { type CodecFor, RpcSerialization } from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { ServiceTaken, Serving } from "../../services/RingRpc.ts"
import { typeHash } from "../../services/schema/TypeHash.ts"
import { CurrentSwarmMember } from "../swarm/SwarmMember.ts"
import { RpcCodec } from "./RpcCodec.ts"
import { RpcServerCalls } from "./RpcServerCalls.ts"

type Server = RpcServer.Protocol | Serving

export const makeServer: (
  service: string
) => Effect.Effect<Context.Context<Server>, ServiceTaken, CurrentSwarmMember | RpcSerialization | Scope.Scope> = Effect
  .fnUntraced(function*(service) {
    const swarmMember = yield* CurrentSwarmMember
    const serialization = yield* RpcSerialization
    const run = yield* FiberSet.makeRuntime<never, void>()
    const disconnects = yield* Queue.unbounded<number>()
    const { codecFor, rejected } = countingRejections(serialization.codecFor)
    const type = typeHash(service)
    const incoming = new RpcServerCalls({ swarmMember, wire: new RpcCodec(serialization), run, type, disconnects })
    yield* incoming.watched
    const registered = Effect.acquireRelease(
      Effect.suspend(() => {
        const unregister = swarmMember.router.serve(type, incoming)
        return unregister === undefined ? Effect.fail(new ServiceTaken({ service })) : Effect.succeed(unregister)
      }),
      (unregister) => Effect.sync(unregister)
    )
    const unregister = yield* registered
    return Context.empty().pipe(
      Context.add(RpcServer.Protocol, {
        // Tell the callers that no answer will come before Effect RPC interrupts the handlers: callers would take the
        // interruption for their answer.
        run: (take) => Effect.ensuring(incoming.run(take), Effect.sync(unregister)),
        disconnects,
        send: incoming.send,
        end: () => Effect.void,
        clientIds: Effect.sync(() => incoming.clientIds),
        initialMessage: Effect.succeedNone,
        supportsAck: true,
        supportsTransferables: false,
        supportsSpanPropagation: true,
        supportsNotifications: true,
        codecFor
      }),
      Context.add(Serving, {
        counts: () => ({ ...incoming.counts, rejected: rejected() }),
        clients: () => incoming.clientIds.size,
        inFlight: () => incoming.inFlight,
        withdrawing: () => incoming.withdrawing
      })
    )
  })

// --- internal ---

// A server decodes only the payloads of requests, so each failed decoding is a rejected request.
const countingRejections = (codecFor: CodecFor): { readonly codecFor: CodecFor; readonly rejected: () => number } => {
  let rejected = 0
  const reject = Effect.sync(() => {
    rejected += 1
  })
  const counted: CodecFor = <S extends Schema.Top>(schema: S) => {
    const codec: Schema.Codec<S["Type"], unknown, S["DecodingServices"], S["EncodingServices"]> = codecFor(schema)
    return Schema.middlewareDecoding<typeof codec, S["DecodingServices"]>((decoding) =>
      Exit.isExit(decoding) && Exit.isSuccess(decoding) ? decoding : Effect.tapError(decoding, () => reject)
    )(codec)
  }
  return { codecFor: counted, rejected: () => rejected }
}
