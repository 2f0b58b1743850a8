/**
 * Members over shared memory: each is an attachment of its own to the region.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NativeRegion } from "../../src/layers/native/NativeRegion.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { freshRegion } from "../processes/harness.ts"
import { memberOf, type RpcFamily } from "../suites/rpcFamily.ts"

export const nativeRpc: RpcFamily = {
  name: "native",
  usesTestClock: false,
  elapse: (millis) => Effect.sleep(millis),
  swarm: (sizes, run) =>
    Effect.suspend(() => {
      const region = freshRegion("rpc")
      let members = 0
      return run({
        join: (name, options) =>
          Effect.suspend(() => {
            const layer = (members += 1) === 1
              ? Swarm.layerCoordinator({ ...options, ...sizes, region, name })
              : Swarm.layerMember({ ...options, region, name })
            return Layer.build(Layer.fresh(layer))
          }).pipe(
            Effect.map((context) => memberOf(context, kill(Context.get(context, NativeRegion)))),
            Effect.orDie
          )
      })
    }).pipe(Effect.scoped)
}

// --- internal ---

// The operating system takes back what a dead process held; nothing of its own runs.
const kill = ({ handle, native, waiter }: NativeRegion["Service"]) =>
  Effect.sync(() => {
    waiter.close()
    native.closeRegion(handle)
  })
