/**
 * Delivered means that the handler has begun: whoever waits for it finds the handler's first steps done.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rings from "../../src/layers/Rings.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { MessageSource } from "../../src/layers/swarm/MessageSource.ts"
import { Ring } from "../../src/services/Ring.ts"

const messages = 5000

const reader = Layer.unwrap(
  Effect.map(Swarm.makeHeapRegion(), (region) => Rings.layerHeapProcess(region, { processName: "reader" }))
)

const header = { kind: 2, flags: 0, type: 0, sender: 0, senderGeneration: 0, correlation: 0 }

/** A ring of this heap, whose reader counts the handlers that have begun. */
const opened = Effect.gen(function*() {
  const ring = yield* Ring
  const writer = yield* ring.openWriter("messages")
  const begun = { count: 0 }
  const handler = Effect.gen(function*() {
    begun.count += 1
    yield* Effect.yieldNow
  })
  const source = new MessageSource(yield* ring.openReader("messages"), (_, told) => {
    told()
    return handler
  })
  yield* Effect.forkScoped(source.run)
  return { writer, source, begun }
})

describe("delivered", () => {
  it.live("is said of a message whose handler has begun", () =>
    Effect.gen(function*() {
      const { begun, source, writer } = yield* opened
      for (let sent = 1; sent <= messages; sent += 1) {
        const position = writer.append(header, new Uint8Array(8)) ?? -1
        writer.publish()
        const target = { ring: writer.ring, generation: writer.generation, position }
        const seen = yield* Effect.map(source.reached(target, "delivered"), () => begun.count)
        assert.strictEqual(seen, sent)
      }
    }).pipe(Effect.scoped, Effect.provide(reader)))
})
