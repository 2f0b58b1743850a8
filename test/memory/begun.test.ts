/**
 * Delivered means that the handler has begun: after a wait for it, the handler's first steps are done.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import * as Rings from "../../src/layers/Rings.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { RingConsumer } from "../../src/layers/swarm/transport/RingConsumer.ts"

const messages = 5000

const reader = Layer.unwrap(
  Effect.map(Swarm.makeHeapRegion(), (region) => Rings.layerHeapProcess(region, { processName: "reader" }))
)

const header = { kind: 2, flags: 0, type: 0, sender: 0, senderGeneration: 0, correlation: 0 }

/** A ring of this heap, whose reader counts the handlers that have begun. */
const opened = Effect.fnUntraced(function*(after: Effect.Effect<void>) {
  const ring = yield* RingPorts
  const writer = yield* ring.openWriter("messages")
  const begun = { count: 0 }
  const handler = Effect.gen(function*() {
    begun.count += 1
    yield* after
  })
  const source = new RingConsumer(yield* ring.openReader("messages"), () => handler)
  yield* Effect.forkScoped(source.run)
  return { writer, source, begun }
})

describe("delivered", () => {
  it.live("is reported of a message whose handler has begun", () =>
    Effect.gen(function*() {
      const { begun, source, writer } = yield* opened(Effect.yieldNow)
      for (let sent = 1; sent <= messages; sent += 1) {
        const position = writer.append(header, new Uint8Array(8)) ?? -1
        writer.publish()
        const target = { ring: writer.ring, generation: writer.generation, position }
        const seen = yield* Effect.map(source.reached(target, "delivered"), () => begun.count)
        assert.strictEqual(seen, sent)
      }
    }).pipe(Effect.scoped, Effect.provide(reader)))

  it.live("is not reported while the reader is suspended before the handler's first step", () =>
    Effect.gen(function*() {
      const { begun, source, writer } = yield* opened(Effect.void)
      const ends: Array<number> = []
      for (let sent = 1; sent <= messages / 10; sent += 1) ends.push(writer.append(header, new Uint8Array(8)) ?? -1)
      writer.publish()
      // Check again in every turn that the reader leaves to other fibers.
      while (begun.count < ends.length) {
        assert.isAtMost(ends.indexOf(source.position("delivered")) + 1, begun.count)
        yield* Effect.yieldNow
      }
    }).pipe(Effect.scoped, Effect.provide(reader)))
})
