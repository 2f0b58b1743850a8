/**
 * The times that a batch carries: when it was sealed, and when it was committed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { type Backend, smallGeometry } from "../../backends/log.ts"
import { writeBatch } from "../../faults/manual.ts"

/** Far more than the wall clocks of one process differ by. */
const clocksDiffer = 20
const apart = 3 * clocksDiffer

const spendMillis = (millis: number): void => {
  const begun = performance.now()
  while (performance.now() - begun < millis) continue
}

const isBetween = (millis: number | undefined, from: number, to: number): boolean =>
  millis !== undefined && millis >= from - clocksDiffer && millis <= to + clocksDiffer

export const timesSuite = (backend: Backend): void => {
  describe(`times (${backend.name})`, () => {
    it.live("of a batch are that of its sealing, however late it is published, and that of its commit", () =>
      backend.manual(smallGeometry, (log) =>
        Effect.gen(function*() {
          const topic = Topic.make("times")
          const { port: lanes } = yield* log.open(topic)
          const { port: reader } = yield* log.attach(topic, "start")
          const beforeSealing = Date.now()
          writeBatch(lanes, 0, { sequence: 0, firstMessage: 0, lengths: [10] })
          const sealed = Date.now()
          spendMillis(apart)
          lanes.publish(0)
          spendMillis(apart)
          const beforeCommit = Date.now()
          yield* log.step
          const committed = Date.now()
          const [batch] = reader.poll(1)
          assert.isTrue(isBetween(batch?.publishedMillis, beforeSealing, sealed), "the time of its sealing")
          assert.isTrue(isBetween(batch?.orderedMillis, beforeCommit, committed), "the time of its commit")
        })))
  })
}
