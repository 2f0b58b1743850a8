import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { NativeRegion } from "../../src/layers/native/region/NativeRegion.ts"
import { NativeRingWriterPort } from "../../src/layers/native/ring/RingWriterPort.ts"
import { nativeRings, nativeRingsFlushed } from "../backends/native/ring.ts"
import { ringTest, smallRings } from "../backends/ring.ts"
import { freshRegion } from "../processes/harness.ts"
import { ringBatchesSuite } from "../suites/ring/batches.ts"
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
ringBatchesSuite(nativeRings)
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

it.live("a writer whose ring another has taken meanwhile writes no byte more of it", () =>
  Effect.gen(function*() {
    const region = yield* NativeRegion
    const handle = region.handle.openRingWriter("ring")
    const ring = new NativeRingWriterPort(region, handle)
    const present = new Uint32Array(handle.presentGeneration())
    assert.isDefined(ring.append(header, payloadOf(8)))
    ring.publish()
    const published = ring.published()
    present[0] = ring.generation + 1
    assert.isUndefined(ring.append(header, payloadOf(8)))
    assert.isUndefined(ring.claim(8))
    assert.isUndefined(ring.appendClaimed(header, 8))
    assert.isFalse(ring.hasRoom(8))
    ring.publish()
    assert.strictEqual(ring.over(), "superseded")
    assert.strictEqual(ring.published(), published)
    const bytes = new Uint8Array(handle.buffer())
    assert.isTrue(bytes.subarray(published, published + 64).every((byte) => byte === 0))
    present[0] = ring.generation
    assert.isDefined(ring.append(header, payloadOf(8)))
    ring.close()
    assert.isUndefined(ring.append(header, payloadOf(8)))
  }).pipe(
    Effect.scoped,
    Effect.provide(CxlMemory.layerShm({ region: freshRegion("rings"), geometry: smallRings }))
  ))
