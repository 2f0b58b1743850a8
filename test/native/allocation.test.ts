import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { native } from "../backends/native/log.ts"

const records = 20_000

describe("offer", () => {
  it.live("allocates nothing per record in JavaScript", () =>
    Effect.gen(function*() {
      const publisher = yield* Publisher.open(Topic.make("records"))
      const record = new Uint8Array(64)
      const grown: Array<number> = []
      for (let round = 0; round < 12; round += 1) {
        const before = process.memoryUsage().heapUsed
        for (let i = 0; i < records; i += 1) publisher.offer(record)
        grown.push(process.memoryUsage().heapUsed - before)
        yield* publisher.flush
      }
      // A batch costs a few objects; a small object per record would cost 16 bytes or more. A collection in between
      // only makes a round cheaper, hence the median of the rounds that grew.
      const rounds = grown.filter((bytes) => bytes > 0).toSorted((a, b) => a - b)
      const bytesPerRecord = (rounds[rounds.length >> 1] ?? 0) / records
      assert.isBelow(bytesPerRecord, 4)
      assert.isAbove(rounds.length, 0)
    }).pipe(Effect.scoped, Effect.provide(native.embedded({ geometry: { clients: 1, brokers: 4 } }))))

  // With an own accessor in the handle the log carried a fifth less (docs/benchmarks.md).
  it.live("is one of plain properties: the handle has no accessor of its own", () =>
    Effect.gen(function*() {
      const publisher = yield* Publisher.open(Topic.make("records"))
      const own = Object.entries(Object.getOwnPropertyDescriptors(publisher))
      assert.deepStrictEqual(own.filter(([, { get }]) => get !== undefined).map(([name]) => name), [])
      assert.isAbove(publisher.sessionId, 0)
    }).pipe(Effect.scoped, Effect.provide(native.embedded({ geometry: { clients: 1, brokers: 4 } }))))
})
