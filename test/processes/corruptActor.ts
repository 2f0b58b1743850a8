/**
 * A publisher whose session ends as corrupt, because it publishes a sequence that it cannot have reached. It lives on,
 * and does not leave the slot.
 *
 * Usage: node corruptActor.ts <region>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { NativeRegion } from "../../src/layers/native/region/NativeRegion.ts"
import { endReason } from "../../src/native/binding.ts"

const [region = ""] = process.argv.slice(2)

const lying = Effect.gen(function*() {
  const { handle } = yield* NativeRegion
  const session = handle.openSession(0, 1, -1, 0, 0)
  while (!session.ready()) yield* Effect.yieldNow
  const sequence = 2 ** 40
  session.begin(0, sequence)
  session.seal(0, sequence, 0, 1, 8, 8, new Uint32Array(0))
  session.publish(0)
  while (session.endReason() !== endReason.corrupt) yield* Effect.yieldNow
  process.send?.({ _tag: "ready", sessionId: session.info().sessionId })
  // Keep the session: its handle would leave the slot when it is collected. And wait for the test's process to let
  // go of this one: without that listener Node would end it.
  const released = Effect.callback<void>((resume) => {
    process.once("disconnect", () => resume(Effect.void))
  })
  return yield* Effect.ensuring(released, Effect.sync(() => session.close()))
})

const Attached = Log.layerClient().pipe(
  Layer.provideMerge(CxlMemory.layerAttach({ region, processName: "liar" }))
)

await Effect.runPromise(Effect.provide(lying, Attached))
