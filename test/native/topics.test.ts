/**
 * Topics as another version may have stored them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { clientRegion } from "../../src/layers/native/log/ClientRegion.ts"
import { openTopic } from "../../src/layers/native/log/Topics.ts"
import type { NativeTopic } from "../../src/native/binding.ts"
import * as Topic from "../../src/services/schema/Topic.ts"

describe("stored topics", () => {
  it.live("are refused with the level's number where this version does not know the level", () =>
    Effect.gen(function*() {
      const region = yield* clientRegion()
      const stored = (order: number, ack: number): NativeTopic => ({ index: 0, generation: 1, name: "old", order, ack })
      for (const [topic, said] of [[stored(1, 1), "order \"level 1\""], [stored(5, 3), "ack \"level 3\""]] as const) {
        const handle = Object.create(region.handle, { topics: { value: () => [topic] } })
        const error = yield* Effect.flip(openTopic({ ...region, handle }, Topic.make("old"), false))
        assert.strictEqual(error._tag, "TopicMismatch")
        assert.include(error.message, said)
      }
    }).pipe(Effect.scoped, Effect.provide(CxlMemory.layerAnonymous({}))))
})
