/**
 * The cursors of readers, as other processes see them, and the waits built on them.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { RingReaderPort } from "../../../src/layers/ports/RingPorts.ts"
import type { RingCursors } from "../../../src/services/Ring.ts"
import { DrainTarget } from "../../../src/services/schema/DrainTarget.ts"
import {
  fill,
  part,
  readerOf,
  type RingBackend,
  type RingProcess,
  ringTest,
  staysWaiting,
  writerOf
} from "../../backends/ring.ts"
import { stamped } from "./stamps.ts"

export const ringCursorsSuite = (backend: RingBackend): void => {
  describe(`ring cursors (${backend.name})`, () => {
    ringTest(
      backend,
      "cursors never move back, never past each other, and never past what was read",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const writer = yield* writerOf(process)
          const reader = yield* process.ring.openReader("ring")
          const seen = () => process.ring.readers(writer.ring)[0]!
          let random = 7
          const next = (below: number) => (random = Math.imul(random, 48_271) >>> 0) % below
          let before: RingCursors = reader.cursors()
          for (let i = 0; i < 500; i += 1) {
            writer.offer(stamped(i, 4 + next(200)))
            if (next(3) === 0) reader.poll(1 + next(3))
            const limit = writer.target().position + 500
            const wanted = { read: next(limit), delivered: next(limit), handled: next(limit), released: next(limit) }
            reader.advance(wanted)
            const now = reader.cursors()
            for (const cursor of ["read", "delivered", "handled", "released"] as const) {
              assert.isAtLeast(now[cursor], before[cursor])
              assert.strictEqual(seen()[cursor], now[cursor])
            }
            assert.isAtMost(now.read, writer.target().position)
            assert.isAtMost(now.delivered, now.read)
            assert.isAtMost(now.handled, now.delivered)
            assert.isAtMost(now.released, now.read)
            before = now
          }
          assert.isAbove(before.handled, 0)
        })
    )

    ringTest(
      backend,
      "a ring is stirred whenever a frame can be read, over many laps, and rests once all are read",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const port = yield* process.ring.openWriter("ring")
          const reader = yield* process.ring.openReader("ring")
          const header = { kind: 16, flags: 0, type: 0, sender: 0, senderGeneration: 1, correlation: 0 }
          let random = 7
          const next = (below: number) => (random = Math.imul(random, 48_271) >>> 0) % below
          let frames = 0
          let seen = 0
          let laps = 0
          for (let i = 0; i < 3000; i += 1) {
            const before = port.published()
            for (let left = 1 + next(3); left > 0; left -= 1) port.append(header, stamped(i, 4 + next(200)))
            if (next(3) === 0) port.publish()
            const canBeRead = port.published() > reader.cursors().read
            if (canBeRead) seen += 1
            if (canBeRead) assert.isTrue(reader.isStirred(), `at ${reader.cursors().read}`)
            if (next(3) > 0) continue
            port.publish()
            for (let polled = reader.poll(100); polled.length > 0; polled = reader.poll(100)) frames += polled.length
            const { read } = reader.cursors()
            reader.advance({ read, delivered: read, handled: read, released: read })
            // Memory that has to be invalidated shows nothing by itself: there every glance is worth a check.
            assert.strictEqual(reader.isStirred(), backend.name.endsWith("flushed"), `at ${read}`)
            if (port.published() % 4096 < before % 4096) laps += 1
          }
          assert.isAbove(frames, 1000)
          assert.isAbove(seen, 300)
          assert.isAbove(laps, 10)
        })
    )

    ringTest(
      backend,
      "an eviction stirs a ring of which all is read, a look finds it, and it rests once the reader has begun again",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const port = yield* process.ring.openWriter("ring")
          const reader = yield* process.ring.openReader("ring")
          const header = { kind: 16, flags: 0, type: 0, sender: 0, senderGeneration: 1, correlation: 0 }
          for (let round = 0; round < 3; round += 1) {
            port.send(header, stamped(round, 100))
            assert.strictEqual(reader.poll(10).length, 1)
            assert.isFalse(reader.isEvicted())
            assert.isTrue(port.evictSlowest())
            assert.isTrue(reader.isStirred())
            assert.isFalse(reader.look())
            assert.isTrue(reader.isEvicted())
            reader.rejoin()
            assert.isFalse(reader.isEvicted())
            assert.strictEqual(reader.isStirred(), backend.name.endsWith("flushed"))
          }
        })
    )

    ringTest(
      backend,
      "each cursor moves for itself, and only `released` gives room",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const writer = yield* writerOf(process)
          const reader = yield* process.ring.openReader("ring")
          fill(writer.offer)
          const frames = reader.poll(100)
          const end = frames.at(-1)!.end
          const at = (delivered: number, handled: number, released: number) => ({
            read: end,
            delivered,
            handled,
            released
          })
          assert.deepStrictEqual(reader.cursors(), at(0, 0, 0))
          reader.advance(at(end, 0, 0))
          assert.deepStrictEqual(reader.cursors(), at(end, 0, 0))
          reader.advance(at(end, frames[3]!.end, 0))
          assert.deepStrictEqual(reader.cursors(), at(end, frames[3]!.end, 0))
          assert.isFalse(writer.offer(stamped(1)))
          reader.advance(at(0, 0, frames[0]!.end))
          assert.deepStrictEqual(reader.cursors(), at(end, frames[3]!.end, frames[0]!.end))
          assert.isTrue(writer.offer(stamped(1)))
          assert.isTrue(writer.offer(stamped(1)))
          assert.isFalse(writer.offer(stamped(1, 96)))
        })
    )

    ringTest(
      backend,
      "the readers are shown with their process, where they began, and how far they are",
      (swarm) =>
        Effect.gen(function*() {
          const writing = yield* swarm.attach("writer")
          const writer = yield* writerOf(writing)
          yield* writer.send(stamped(0))
          const reading = yield* swarm.attach("reader")
          const reader = yield* part(readerOf(reading))
          yield* readerOf(writing)
          yield* writer.send(stamped(1))
          reader.port.poll()
          reader.port.poll()
          const own = { process: writing.ring.self.process, processGeneration: writing.ring.self.generation }
          const other = { process: reading.ring.self.process, processGeneration: reading.ring.self.generation }
          const at = (read: number) => ({ read, delivered: read, handled: read, released: read })
          assert.deepStrictEqual(writing.ring.readers(writer.ring), [
            { reader: 0, ...other, ...at(96), baseline: 48 },
            { reader: 1, ...own, ...at(48), baseline: 48 }
          ])
          yield* reader.close
          assert.deepStrictEqual(reading.ring.readers(writer.ring).map((shown) => shown.reader), [1])
        })
    )

    ringTest(
      backend,
      "the slowest reader is named, and none when all have released everything",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const port = yield* process.ring.openWriter("ring")
          const slow = yield* process.ring.openReader("ring", "the slow")
          const slower = yield* process.ring.openReader("ring", "the slower")
          assert.isUndefined(port.slowestReader())
          for (let i = 0; i < 3; i += 1) port.append(header, stamped(i))
          assert.isUndefined(port.slowestReader())
          port.publish()
          const release = (reader: typeof slow, released: number) =>
            reader.advance({ read: 0, delivered: 0, handled: 0, released })
          slow.poll(3)
          release(slow, 96)
          assert.deepInclude(port.slowestReader(), { reader: 1, name: "the slower", released: 0 })
          slower.poll(3)
          release(slower, 144)
          assert.deepInclude(port.slowestReader(), { reader: 0, name: "the slow", released: 96 })
          release(slow, 144)
          assert.isUndefined(port.slowestReader())
        })
    )

    const moves: Record<string, (reader: RingReaderPort, process: RingProcess) => Effect.Effect<unknown, any, any>> = {
      "a message is delivered": (reader) => Effect.sync(() => reader.advance({ ...nothing, delivered: 48 })),
      "a message is handled": (reader) => Effect.sync(() => reader.advance({ ...nothing, delivered: 48, handled: 48 })),
      "a reader comes": (_, { ring }) => ring.openReader("ring"),
      "a reader's process dies": (_, { kill }) => kill
    }

    for (const [what, move] of Object.entries(moves)) {
      ringTest(backend, `a wait for cursors checks again when ${what}`, (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("observer")
          const writer = yield* writerOf(process)
          const other = yield* swarm.attach("other")
          const reader = yield* other.ring.openReader("ring")
          yield* writer.send(stamped(0))
          reader.poll(1)
          reader.advance(nothing)
          const picture = () => JSON.stringify(process.ring.readers(writer.ring))
          const before = picture()
          const waiting = yield* Effect.forkChild(
            process.ring.cursorWaiter.until(() => picture() === before ? undefined : true),
            { startImmediately: true }
          )
          // Wait longer than it takes to notice that a process has attached.
          yield* staysWaiting(backend, waiting, 250)
          yield* move(reader, other)
          yield* Effect.timeout(Fiber.join(waiting), "1 second")
        }))
    }

    ringTest(
      backend,
      "a target says ring, generation and position, and crosses as JSON",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const writer = yield* writerOf(process)
          yield* writer.send(stamped(1))
          writer.append(stamped(2))
          const target = writer.target()
          assert.deepStrictEqual(target, { ring: writer.ring, generation: 1, position: 48 })
          const json = JSON.parse(JSON.stringify(target))
          assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(DrainTarget)(json), target)
          yield* Effect.flip(Schema.decodeUnknownEffect(DrainTarget)({ ...json, position: 1.5 }))
        })
    )

    ringTest(
      backend,
      "a reader is told the generation of the present writer, and its place goes on through it",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const first = yield* part(writerOf(process))
          const reader = yield* process.ring.openReader("ring")
          yield* first.port.send(stamped(1))
          yield* first.close
          assert.strictEqual(reader.generation(), 1)
          assert.isFalse(reader.ended())
          const second = yield* writerOf(process)
          assert.strictEqual(reader.generation(), 2)
          assert.strictEqual(second.target().position, 48)
          yield* second.send(stamped(2))
          assert.deepStrictEqual(reader.poll(10).map(({ end }) => end), [48, 96])
          assert.isFalse(reader.ended())
        })
    )
  })
}

// --- internal ---

const header = { kind: 16, flags: 0, type: 0, sender: 0, senderGeneration: 0, correlation: 0 }

const nothing: RingCursors = { read: 0, delivered: 0, handled: 0, released: 0 }
