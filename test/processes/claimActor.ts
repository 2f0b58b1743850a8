/**
 * A process that repeatedly claims slots and releases them, and is stopped at random moments, so often in the middle of
 * a claim.
 *
 * Usage: node claimActor.ts sessions|names <region>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { NativeRegion } from "../../src/layers/native/region/NativeRegion.ts"
import { isFault, readFrom } from "../../src/native/binding.ts"

const [what = "", region = ""] = process.argv.slice(2)

/** Claims made in one turn of the event loop. */
const turn = 200

/** Ignores a refusal: all slots may be taken, closing, or locked by the test. */
const perhaps = (claim: () => void) => {
  try {
    claim()
  } catch (error) {
    if (!isFault(error)) throw error
  }
}

const sessions = ({ handle }: NativeRegion["Service"]) => {
  for (let i = 0; i < turn; i += 1) {
    perhaps(() => handle.openReader(0, 1, "claimer", readFrom.end, 0, false, 0, 0).close())
    perhaps(() => handle.openSession(0, 1, -1, 0, 0).close())
  }
}

let named = 0

const names = ({ handle }: NativeRegion["Service"]) => {
  for (let i = 0; i < turn; i += 1) {
    perhaps(() => handle.openRingWriter(`claimer ${(named += 1)}`).close())
  }
}

const claiming = Effect.gen(function*() {
  const attachment = yield* NativeRegion
  process.send?.({ _tag: "ready", sessionId: 0 })
  while (process.connected) {
    if (what === "names") names(attachment)
    else sessions(attachment)
    yield* Effect.yieldNow
  }
})

const Attached = Log.layerClient().pipe(
  Layer.provideMerge(CxlMemory.layerAttach({ region, processName: "claimer" }))
)

await Effect.runPromise(Effect.provide(claiming, Attached))
