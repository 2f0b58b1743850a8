/**
 * Seals the open batch at the end of the event-loop turn or of the linger, unless its size sealed it before.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { BatchBuilder } from "./BatchBuilder.ts"

export const makeLingering = Effect.fnUntraced(function*(lingerMillis: number) {
  const clock = yield* Clock.Clock
  const opened = Latch.makeUnsafe(false)
  let openedMillis = 0
  return {
    onOpen: () => {
      if (lingerMillis > 0) openedMillis = clock.currentTimeMillisUnsafe()
      opened.openUnsafe()
    },
    sealing: (builder: BatchBuilder) =>
      Effect.gen(function*() {
        while (true) {
          yield* opened.await
          opened.closeUnsafe()
          const batch = builder.sequence
          const leftMillis = openedMillis + lingerMillis - clock.currentTimeMillisUnsafe()
          yield* lingerMillis > 0 ? Effect.sleep(Math.max(0, leftMillis)) : Effect.yieldNow
          if (builder.sequence === batch) builder.seal()
        }
      })
  }
})
