/**
 * Rings over coherent memory are published and looked at in JavaScript: without a native call where nothing but frames has
 * come, and with one where anything else is not as it was left.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { NativeRegion } from "../../src/layers/native/region/NativeRegion.ts"
import { NativeRingReaderPort } from "../../src/layers/native/ring/RingReaderPort.ts"
import { NativeRingWriterPort } from "../../src/layers/native/ring/RingWriterPort.ts"
import { halfAt, ringLead, ringReaderFate, ringReaderLine } from "../../src/layers/native/ring/sharedLines.ts"
import { type RegionHandle, sleepsFor } from "../../src/native/binding.ts"
import { smallRings } from "../backends/ring.ts"
import { freshRegion } from "../processes/harness.ts"

const header = { kind: 16, flags: 0, type: 0, sender: 0, senderGeneration: 0, correlation: 0 }
const payload = Uint8Array.from({ length: 40 }, (_, i) => i)
const frameBytes = 72

/** Replaces the handle's hot method by one that counts its calls. */
const counted = <K extends string>(handle: Record<K, (...given: Array<never>) => unknown>, name: K) => {
  const called = { times: 0 }
  const method = handle[name]
  handle[name] = (...given) => {
    called.times += 1
    return method(...given)
  }
  return called
}

const ends = (region: NativeRegion["Service"]) => {
  const writing = region.handle.openRingWriter("ring")
  const calls = {
    publish: counted(writing as never, "publish"),
    room: counted(writing as never, "room")
  }
  const writer = new NativeRingWriterPort(region, writing)
  const reading = region.handle.openRingReader("ring", "reader")
  const looks = counted(reading as never, "available")
  return { writing, writer, reading, reader: new NativeRingReaderPort(region, reading), calls, looks }
}

/** Another process's reader, as far as the writer can tell: it attaches for itself. */
const elsewhere = (region: NativeRegion["Service"]): RegionHandle => region.handle.reattach("elsewhere")

const inRegion = <A, E>(work: (region: NativeRegion["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(NativeRegion, work).pipe(
    Effect.scoped,
    Effect.provide(CxlMemory.layerShm({ region: freshRegion("ring-words"), geometry: smallRings }))
  )

describe("a ring over coherent memory", () => {
  it.live("is published and looked at without a native call, until a reader comes or sleeps", () =>
    inRegion((region) =>
      Effect.sync(() => {
        const { calls, looks, reader, reading, writer } = ends(region)
        const exchange = () => {
          assert.isDefined(writer.send(header, payload))
          assert.strictEqual(reader.poll(2).length, 1)
          const { read } = reader.cursors()
          reader.advance({ read, delivered: read, handled: read, released: read })
          assert.deepInclude(reader.cursors(), { read: writer.published(), released: writer.published() })
        }
        exchange() // the writer looks up its first reader
        calls.publish.times = looks.times = 0
        for (let i = 0; i < 10; i += 1) exchange()
        assert.deepStrictEqual([calls.publish.times, looks.times], [0, 0])
        assert.strictEqual(region.handle.rings()[0]?.frames, 11)
        assert.strictEqual(reading.leading(), writer.published())

        const other = elsewhere(region)
        other.startWaiter(() => {})
        const sleeper = other.openRingReader("ring", "sleeper")
        exchange()
        assert.strictEqual(calls.publish.times, 1)
        exchange()
        assert.strictEqual(calls.publish.times, 1)
        other.armWaiter(sleepsFor.room)
        exchange()
        assert.strictEqual(calls.publish.times, 1)
        other.armWaiter(sleepsFor.frames)
        exchange()
        assert.strictEqual(calls.publish.times, 2)
        sleeper.close()
        other.close()
      })
    ))

  it.live("passes 4 GiB, where the upper halves of its words change, by a native publication", () =>
    inRegion((region) =>
      Effect.sync(() => {
        const carry = 2 ** 32
        const former = region.handle.openRingWriter("ring")
        const lead = new Int32Array(former.leadWindow())
        former.close()
        for (const offset of [ringLead.position, ringLead.announced, ringLead.frames]) {
          lead[halfAt(offset)] = -10 * frameBytes
        }
        const { calls, reader, reading, writer } = ends(region)
        assert.strictEqual(reader.baseline(), carry - 10 * frameBytes)
        const passed: Array<number> = []
        for (let i = 0; i < 800; i += 1) {
          calls.publish.times = 0
          assert.isDefined(writer.send(header, payload))
          if (calls.publish.times > 0) passed.push(writer.published() - carry)
          assert.deepStrictEqual(reader.poll(2).map((frame) => [...frame.payload]), [[...payload]])
          const { read } = reader.cursors()
          reader.advance({ read, delivered: read, handled: read, released: read })
          assert.strictEqual(reading.leading(), writer.published())
          assert.strictEqual(writer.published(), carry + (i - 9) * frameBytes)
        }
        // First for the reader that has come; then where the position, and at last the count of frames, passes.
        assert.deepStrictEqual(passed, [-9 * frameBytes, 0, (10 * frameBytes - 10) * frameBytes])
        assert.strictEqual(region.handle.rings()[0]?.frames, carry - 10 * frameBytes + 800)
      })
    ))

  it.live("is looked at natively where its position or the reader's place is not as it was left", () =>
    inRegion((region) =>
      Effect.sync(() => {
        const { looks, reader, reading, writer } = ends(region)
        const words: ReadonlyArray<readonly [string, ArrayBuffer, number]> = [
          ["position", reading.leadWindow(), halfAt(ringLead.position) + 1],
          ["ended", reading.fateWindow(), halfAt(ringReaderFate.endedGeneration)],
          ["claim", reading.claimWindow(), 0],
          ["attached", reading.lineWindow(), halfAt(ringReaderLine.attachedGeneration)],
          ["detached", reading.lineWindow(), halfAt(ringReaderLine.detachedGeneration)],
          ["released", reading.lineWindow(), halfAt(ringReaderLine.released)],
          ["released, upper half", reading.lineWindow(), halfAt(ringReaderLine.released) + 1]
        ]
        for (const [name, window, at] of words) {
          assert.isDefined(writer.send(header, payload))
          const before = new Int32Array(window)[at] as number
          // Of the fate only one value says something: the reader's own generation.
          new Int32Array(window)[at] = name === "ended" ? reading.place().generation : before + 64
          looks.times = 0
          assert.isTrue(reader.ready(), name)
          assert.isAbove(looks.times, 0, name)
          assert.isFalse(reader.look(), name)
          assert.isDefined(reader.damage(), name)
          new Int32Array(window)[at] = before
          reader.rejoin()
          assert.isUndefined(reader.damage(), name)
        }
        assert.isTrue(writer.evictSlowest() === false)
        assert.isDefined(writer.send(header, payload))
        assert.isTrue(writer.evictSlowest())
        assert.isFalse(reader.look())
        assert.isTrue(reader.isEvicted())
      })
    ))
})
