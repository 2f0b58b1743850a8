/**
 * The judge of the scenarios finds what it is there for: faults that are planted in what it sees, and in the log.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Publisher } from "../../src/services/Publisher.ts"
import type { IndexedBatch } from "../../src/services/Subscriber.ts"
import { smallGeometry } from "../backends/log.ts"
import { memory } from "../backends/memory/log.ts"
import { Judge, judging, sendStamped, textAt } from "../faults/judge.ts"
import { Stamped } from "../processes/stamped.ts"

const recordBytes = 32

/** Batch `batchSequence` of two records. */
const batchOf = (position: number, sessionId: number, batchSequence: number): IndexedBatch => {
  const payload = new Uint8Array(2 * recordBytes)
  for (const i of [0, 1]) {
    Stamped.write(payload.subarray(i * recordBytes, (i + 1) * recordBytes), sessionId, 2 * batchSequence + i)
  }
  return {
    index: position / 2,
    position,
    messageCount: 2,
    sessionId,
    batchSequence,
    firstMessage: 2 * batchSequence,
    broker: 0,
    uniformBytes: recordBytes,
    lengths: undefined,
    payload,
    publishedMillis: 0,
    orderedMillis: 0
  }
}

const judged = (batches: ReadonlyArray<IndexedBatch>): Judge => {
  const judge = new Judge()
  for (const batch of batches) judge.see(batch)
  return judge
}

const damaged = (batch: IndexedBatch): IndexedBatch => {
  const payload = Uint8Array.from(batch.payload)
  payload[recordBytes - 1]! ^= 1
  return { ...batch, payload }
}

describe("the judge of the scenarios", () => {
  it("accepts sessions in their order, and tells two orders apart", () => {
    const one = judged([batchOf(0, 1, 0), batchOf(2, 2, 0), batchOf(4, 1, 1)])
    assert.deepStrictEqual([...one.bySession], [[1, 4], [2, 2]])
    assert.notStrictEqual(judged([batchOf(0, 2, 0), batchOf(2, 1, 0), batchOf(4, 1, 1)]).digest, one.digest)
    assert.strictEqual(judged([batchOf(0, 1, 0), batchOf(2, 2, 0), batchOf(4, 1, 1)]).digest, one.digest)
  })

  it.each([
    ["a hole in the order", [batchOf(0, 1, 0), batchOf(4, 1, 1)]],
    ["an order that does not begin at its start", [batchOf(2, 1, 0)]],
    ["a position that is given twice", [batchOf(0, 1, 0), batchOf(0, 2, 0)]],
    ["a batch that comes twice", [batchOf(0, 1, 0), batchOf(2, 1, 0)]],
    ["a lost batch", [batchOf(0, 1, 0), batchOf(2, 1, 2)]],
    ["a session that does not begin at its first record", [batchOf(0, 1, 1)]],
    ["two batches that have changed places", [batchOf(0, 1, 1), batchOf(2, 1, 0)]],
    ["batches that are numbered wrongly", [batchOf(0, 1, 0), { ...batchOf(2, 1, 1), batchSequence: 2 }]],
    ["a record of another session", [{ ...batchOf(0, 1, 0), sessionId: 2 }]],
    ["a wrong byte", [damaged(batchOf(0, 1, 0))]]
  ])("finds %s", (_, batches) => {
    assert.throws(() => judged(batches))
  })

  it("knows that under order total batches come in any order, but each once", () => {
    const judge = new Judge({ holds: false, bytes: () => undefined })
    judge.see(batchOf(0, 1, 1))
    judge.see(batchOf(2, 1, 0))
    assert.deepStrictEqual([...judge.bySession], [[1, 4]])
    assert.throws(() => judge.see(batchOf(4, 1, 1)))
    assert.throws(() => judge.see(batchOf(6, 1, 2)))
  })

  it("finds a record that is not the text of its position", () => {
    const judge = new Judge(textAt((position) => `r${position}`))
    const payload = new TextEncoder().encode("r0r1r3")
    const batch = { ...batchOf(0, 1, 0), payload: payload.subarray(0, 4), uniformBytes: 2 }
    judge.see(batch)
    const wrong = { ...batchOf(2, 1, 1), payload: payload.subarray(4), uniformBytes: 2, messageCount: 1 }
    assert.throws(() => judge.see(wrong))
  })

  it.live("finds the order broken where batches that come early are not held", () =>
    Effect.gen(function*() {
      const judge = yield* Effect.forkChild(
        Effect.flatMap(judging(Stamped.topic, 1000, "judge"), Fiber.await),
        { startImmediately: true }
      )
      const publisher = yield* Publisher.open(Stamped.topic, { skew: "5 millis", batchBytes: 256 })
      // A judge that has failed keeps its room: its publisher waits in vain.
      yield* Effect.forkChild(sendStamped(publisher, 1000), { startImmediately: true })
      assert.isTrue(Exit.isFailure(yield* Fiber.join(judge)))
    }).pipe(
      Effect.scoped,
      Effect.provide(memory.embedded({ geometry: smallGeometry, serve: { unsafeIgnoreSessionOrder: true } }))
    ))
})
