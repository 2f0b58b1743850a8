import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { nativeRings, nativeRingsFlushed } from "../backends/native/ring.ts"
import { ringTest } from "../backends/ring.ts"
import { ringCursorsSuite } from "../suites/ring/cursors.ts"
import { ringDamageSuite } from "../suites/ring/damage.ts"
import { ringDeathsSuite } from "../suites/ring/deaths.ts"
import { ringDeliverySuite } from "../suites/ring/delivery.ts"
import { ringEndingsSuite } from "../suites/ring/endings.ts"
import { ringFragmentsSuite } from "../suites/ring/fragments.ts"
import { ringLapsSuite } from "../suites/ring/laps.ts"
import { ringPlacesSuite } from "../suites/ring/places.ts"
import { ringPoliciesSuite } from "../suites/ring/policies.ts"

ringDeliverySuite(nativeRings)
ringLapsSuite(nativeRings)
ringFragmentsSuite(nativeRings)
ringPoliciesSuite(nativeRings)
ringCursorsSuite(nativeRings)
ringPlacesSuite(nativeRings)
ringDeathsSuite(nativeRings)
ringDamageSuite(nativeRings)
ringEndingsSuite(nativeRings)

const header = { kind: 16, flags: 0, type: 0, sender: 0, senderGeneration: 0, correlation: 0 }
const payloadOf = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (bytes + i * 7) % 256)

ringTest(
  nativeRingsFlushed,
  "over flushed memory a reader is shown 256 KiB at a time, or one longer frame, each whole",
  (swarm) =>
    Effect.gen(function*() {
      const process = yield* swarm.attach("process")
      const writer = yield* process.ring.openWriter("ring")
      const reader = yield* process.ring.openReader("ring")
      for (let lap = 0; lap < 3; lap += 1) {
        const sizes = [100_000, 120_000, 90_000, 400_000, 8, 500_000]
        for (const bytes of sizes) assert.isDefined(writer.append(header, payloadOf(bytes)))
        writer.publish()
        const polls: Array<ReadonlyArray<number>> = []
        while (reader.ready()) {
          const frames = reader.poll(10)
          for (const { payload } of frames) assert.deepStrictEqual(payload, payloadOf(payload.length))
          polls.push(frames.map(({ payload }) => payload.length))
          assert.strictEqual(reader.leading(), writer.published())
          const { read } = reader.cursors()
          reader.advance({ read, delivered: read, handled: read, released: read })
        }
        assert.isUndefined(reader.damage())
        assert.deepStrictEqual(polls.flat(), sizes)
        assert.deepStrictEqual(polls[0], sizes.slice(0, 2))
      }
    }),
  { ringBytes: 2 ** 21 }
)
