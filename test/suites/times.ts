/**
 * The times that a batch carries: when it was sealed, and when it was committed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Topic from "../../src/services/Topic.ts"
import { type Family, smallGeometry } from "./family.ts"
import { writeBatch } from "./manual.ts"

/** The wall clock after it has moved on. */
const nextMilli = (): number => {
  const before = Date.now()
  while (Date.now() <= before + 1) continue
  return Date.now()
}

export const timesSuite = (family: Family): void => {
  describe(`times (${family.name})`, () => {
    it.live("of a batch are that of its sealing, however late it is published, and that of its commit", () =>
      family.manual(smallGeometry, (log) =>
        Effect.gen(function*() {
          const topic = Topic.make("times")
          const { port: lanes } = yield* log.open(topic)
          const { port: reader } = yield* log.attach(topic, "start")
          const before = nextMilli()
          writeBatch(lanes, 0, { sequence: 0, firstMessage: 0, lengths: [10] })
          const sealed = nextMilli()
          lanes.publish(0)
          const published = nextMilli()
          yield* log.step
          const [batch] = reader.poll(1)
          const { orderedMillis = 0, publishedMillis = 0 } = batch ?? {}
          assert.isTrue(isWithin(publishedMillis, before, sealed), `${before} ${publishedMillis} ${sealed}`)
          assert.isTrue(isWithin(orderedMillis, published, nextMilli()), `${published} ${orderedMillis}`)
        })))
  })
}

// The clocks that stamp are finer than the one they are compared with, and it is not told when they are adjusted.
const isWithin = (millis: number, from: number, to: number): boolean => from - 1 <= millis && millis < to + 1
