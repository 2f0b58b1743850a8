import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import * as Topic from "../../src/services/Topic.ts"

const Lines = Topic.make("lines")
const Embedded = Log.layerEmbedded().pipe(
  Layer.provideMerge(CxlMemory.layerAnonymous({ geometry: { laneBytes: 1 << 20, batchBytes: 1 << 16, clients: 2 } }))
)
const text = (i: number) => new TextEncoder().encode(`line ${i}`)

describe("the embedded log", () => {
  it.live("gives back what was sent, in order, acknowledged", () =>
    Effect.gen(function*() {
      const subscriber = yield* Subscriber.open(Lines, { from: "start" })
      const publisher = yield* Publisher.open(Lines)
      const count = 10_000
      yield* publisher.sendAll(Array.from({ length: count }, (_, i) => text(i)))
      yield* publisher.flush
      assert.strictEqual(publisher.acknowledged(), count)
      const records = yield* subscriber.records.pipe(Stream.take(count), Stream.runCollect)
      records.forEach((record, i) => {
        assert.strictEqual(record.position, i)
        assert.strictEqual(new TextDecoder().decode(record.value), `line ${i}`)
      })
    }).pipe(Effect.scoped, Effect.provide(Embedded)))
})
