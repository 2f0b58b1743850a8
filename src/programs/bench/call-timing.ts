/**
 * A minimal call, and the time of calls made one after the other.
 */
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Histogram from "../measure/histogram.ts"

export const Adding = RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int })
)

export const addingLayer = Adding.toLayer({ Add: ({ a, b }) => Effect.succeed(a + b) })

/** The name that the server publishes in the swarm. */
export const serverName = "server"

/** The answer is wrong. */
class SumWrong extends Error {}

export const timedCalls = Effect.fnUntraced(
  function*<E>(
    { calls, warmup }: { readonly calls: number; readonly warmup: number },
    add: (numbers: { readonly a: number; readonly b: number }) => Effect.Effect<number, E>
  ) {
    const micros = new Float64Array(warmup + calls)
    let before = performance.now()
    for (let call = 0; call < micros.length; call += 1) {
      const sum = yield* add({ a: call, b: 1 })
      const now = performance.now()
      micros[call] = 1000 * (now - before)
      before = now
      if (sum !== call + 1) return yield* Effect.die(new SumWrong(`${call} + 1 is not ${sum}`))
    }
    return Histogram.encodedOf(micros, warmup)
  }
)
