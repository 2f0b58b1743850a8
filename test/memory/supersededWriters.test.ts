/**
 * A living writer that another has superseded: even if the system wrongly reports a death, a ring has one writer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { attachHeap, makeHeapRegion } from "../../src/layers/memory/region/HeapRegion.ts"
import { makeRingPorts, ringsIn } from "../../src/layers/memory/ring/RingPorts.ts"
import { makeRing } from "../../src/layers/ring/makeRing.ts"
import { RingClosed } from "../../src/services/Ring.ts"
import { fill, smallRings } from "../backends/ring.ts"
import { sequencesOf, stamped } from "../suites/ring/stamps.ts"

const superseded = new RingClosed({ ring: "ring", end: "writer", reason: "superseded" })

describe("a ring's writer that is superseded (memory)", () => {
  for (const whenFull of ["wait", "fail", "evict"] as const) {
    it.effect(`${whenFull}: its sends fail at once, the waiting one too, and the ring is the other's`, () =>
      Effect.gen(function*() {
        const region = yield* makeHeapRegion({ geometry: smallRings })
        const [one, other] = [yield* attachHeap(region, "one"), yield* attachHeap(region, "other")]
        const otherRing = makeRing(makeRingPorts(region, other))
        const writer = yield* makeRing(makeRingPorts(region, one)).writer({ name: "ring", whenFull })
        const reader = yield* otherRing.reader({ name: "ring" })
        const sequence = whenFull === "evict" ? 0 : fill(writer.offer)
        const waiting = yield* Effect.forkChild(Effect.flip(writer.send(stamped(sequence))), { startImmediately: true })
        const [ring] = ringsIn(region)
        if (whenFull !== "evict") assert.strictEqual(waiting.pollUnsafe() === undefined, whenFull === "wait")
        // Make the ring look closed to other processes.
        ring!.closed = true
        const next = yield* otherRing.writer({ name: "ring", whenFull })
        if (whenFull === "wait") assert.deepStrictEqual(yield* Fiber.join(waiting), superseded)
        for (const length of [96, 10_000]) {
          assert.deepStrictEqual(yield* Effect.flip(writer.send(stamped(1, length))), superseded)
        }
        assert.strictEqual(
          superseded.message,
          `ring "ring": this writer is closed: another process has taken the ring over; open it again once that process `
            + "has closed it"
        )
        assert.isFalse(writer.append(stamped(1)))
        writer.publish()
        while (reader.poll().length > 0);
        yield* next.send(stamped(9))
        assert.deepStrictEqual(sequencesOf(reader.poll()), [9])
      }).pipe(Effect.scoped))
  }
})
