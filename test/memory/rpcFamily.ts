/**
 * Members that are fibers of this process, under the clock of the test.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Rings from "../../src/layers/Rings.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Ring } from "../../src/services/Ring.ts"
import { memberOf, type RpcFamily } from "../suites/rpcFamily.ts"

export const memoryRpc: RpcFamily = {
  name: "memory",
  usesTestClock: true,
  elapse: (millis) => TestClock.adjust(millis),
  swarm: (sizes, run) =>
    Effect.gen(function*() {
      const region = yield* Swarm.makeHeapRegion(sizes)
      let members = 0
      return yield* run({
        join: (name, options) =>
          Effect.gen(function*() {
            const coordinate = (members += 1) === 1
            const context = yield* Layer.build(Swarm.layerHeapMember(region, { coordinate, ...options, name }))
            const { process } = Context.get(context, Ring).self
            return memberOf(context, Rings.killHeapProcess(region, process))
          }).pipe(Effect.orDie)
      })
    }).pipe(Effect.scoped)
}
