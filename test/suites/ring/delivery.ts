/**
 * Messages arrive whole, once and in order, at every reader.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { RingReaderHandle } from "../../../src/services/Ring.ts"
import {
  eventually,
  fill,
  part,
  readerOf,
  type RingBackend,
  ringTest,
  staysWaiting,
  writerOf
} from "../../backends/ring.ts"
import { numbers, sequenceOf, sequencesOf, stamped } from "./stamps.ts"

export const ringDeliverySuite = (backend: RingBackend): void => {
  describe(`ring delivery (${backend.name})`, () => {
    ringTest(backend, "S25 three readers get exactly the bytes that were sent", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* writerOf(yield* swarm.attach("writer"))
        const readers = yield* Effect.forEach(["a", "b", "c"], (name) =>
          Effect.flatMap(swarm.attach(name), (process) => readerOf(process)))
        const sent = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(255, 1, 2), stamped(7, 992)]
        for (const message of sent) {
          yield* writer.send(message)
        }
        for (const reader of readers) {
          assert.deepStrictEqual(
            (yield* reader.pull).map(({ payload }) =>
              payload.slice()
            ),
            sent
          )
        }
      }))

    ringTest(
      backend,
      "S25 three readers, each at its own pace, read many messages, all of them and in order",
      (swarm) =>
        Effect.gen(function*() {
          const total = 2000
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const readers = yield* Effect.forEach([1, 3, 50], (pace) =>
            Effect.gen(function*() {
              const reader = yield* readerOf(yield* swarm.attach(`every ${pace}`))
              return yield* Effect.forkChild(readAll(reader, total, pace))
            }))
          for (let i = 0; i < total; i += 1) yield* writer.send(stamped(i, 4 + (i * 37) % 300))
          for (const reader of readers) assert.deepStrictEqual(yield* Fiber.join(reader), numbers(0, total))
        })
    )

    ringTest(
      backend,
      "every run of messages goes on at the first that was not given out, and so does a pull",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          for (let i = 0; i < 6; i += 1) assert.isTrue(writer.offer(stamped(i)))
          const take = (count: number) => Stream.runCollect(Stream.take(reader.messages, count))
          assert.deepStrictEqual((yield* take(1)).map(sequenceOf), [0])
          assert.deepStrictEqual((yield* take(2)).map(sequenceOf), [1, 2])
          const failing = Stream.runForEach(reader.messages, () => Effect.fail("at the first"))
          assert.strictEqual(yield* Effect.flip(failing), "at the first")
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [4, 5])
          assert.isTrue(writer.offer(stamped(6)))
          assert.deepStrictEqual((yield* take(1)).map(sequenceOf), [6])
          assert.deepStrictEqual(reader.poll(), [])
        })
    )

    ringTest(
      backend,
      "messages takes what it gives out, and leaves the rest in the ring",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const ends: Array<number> = []
          for (let i = 0; i < 3; i += 1) {
            yield* writer.send(stamped(i))
            ends.push(writer.target().position)
          }
          for (let i = 0; i < 3; i += 1) {
            yield* Stream.runDrain(Stream.take(reader.messages, 1))
            const { delivered, handled, read, released } = reader.cursors()
            assert.deepStrictEqual([delivered, handled, read, released], [ends[i], ends[i], ends[i], ends[i]])
          }
        })
    )

    ringTest(backend, "what is appended is seen when it is published, all at once", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* writerOf(yield* swarm.attach("writer"))
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        for (let i = 0; i < 5; i += 1) assert.isTrue(writer.append(stamped(i)))
        yield* staysWaiting(backend, pulling)
        assert.strictEqual(writer.target().position, 0)
        writer.publish()
        assert.deepStrictEqual(sequencesOf(yield* Fiber.join(pulling)), numbers(0, 5))
      }))

    ringTest(backend, "a pull lends: its bytes are the ring's until the next one", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* writerOf(yield* swarm.attach("writer"))
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        yield* writer.send(stamped(1))
        const [first] = yield* reader.pull
        const lent = first!.payload
        assert.strictEqual(reader.cursors().released, 0)
        const sequence = fill(writer.offer, 2, 16)
        assert.strictEqual(sequenceOf(lent), 1)
        assert.deepStrictEqual(sequencesOf(yield* reader.pull), numbers(2, sequence))
        assert.strictEqual(reader.cursors().released, first!.end)
        reader.poll()
        fill(writer.offer, 9999, 16)
        assert.notStrictEqual(new DataView(lent.buffer, lent.byteOffset).getUint32(0, true), 1)
      }))

    ringTest(backend, "the stream copies: its bytes stay", (swarm) =>
      Effect.gen(function*() {
        const { close, port: writer } = yield* part(
          Effect.flatMap(swarm.attach("writer"), (process) => writerOf(process))
        )
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        const reading = yield* Effect.forkChild(Stream.runCollect(reader.messages))
        for (let i = 0; i < 500; i += 1) yield* writer.send(stamped(i))
        yield* close
        const messages = yield* Fiber.join(reading)
        assert.deepStrictEqual(messages.map(sequenceOf), numbers(0, 500))
        assert.strictEqual(new Set(messages.map(({ buffer }) => buffer)).size, 500)
      }))

    for (const strategy of ["park", "adaptive", "spin"] as const) {
      ringTest(
        backend,
        `a reader that waits (${strategy}) is there for the next message`,
        (swarm) =>
          Effect.gen(function*() {
            const writer = yield* writerOf(yield* swarm.attach("writer"))
            const reader = yield* readerOf(yield* swarm.attach("reader"), { strategy })
            for (let i = 0; i < 20; i += 1) {
              const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
              if (i === 0) yield* staysWaiting(backend, pulling)
              yield* writer.send(stamped(i))
              assert.deepStrictEqual(sequencesOf(yield* Fiber.join(pulling)), [i])
            }
          })
      )
    }

    ringTest(backend, "S25 a pull that was interrupted has taken nothing", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* writerOf(yield* swarm.attach("writer"))
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        const got: Array<number> = []
        let interrupted = 0
        for (let i = 0; i < 40; i += 1) {
          const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
          yield* writer.send(stamped(i))
          // at the moment when it is woken, or before
          if (i % 3 !== 0) yield* Effect.yieldNow
          yield* Fiber.interrupt(pulling)
          const exit = yield* Fiber.await(pulling)
          if (Exit.isSuccess(exit)) got.push(...sequencesOf(exit.value))
          else interrupted += 1
        }
        got.push(...sequencesOf(reader.poll()))
        assert.isAbove(interrupted, 0)
        assert.deepStrictEqual(got, numbers(0, 40))
      }))

    ringTest(
      backend,
      "S25 what was published before the writer closed is still read, and then comes the end",
      (swarm) =>
        Effect.gen(function*() {
          const { close, port: writer } = yield* part(
            Effect.flatMap(swarm.attach("writer"), (process) => writerOf(process))
          )
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const waiting = yield* readerOf(yield* swarm.attach("waiting"))
          yield* writer.send(stamped(0))
          assert.deepStrictEqual(sequencesOf(yield* waiting.pull), [0])
          const ending = yield* Effect.forkChild(waiting.pull, { startImmediately: true })
          yield* staysWaiting(backend, ending)
          writer.append(stamped(1))
          yield* close
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [0, 1])
          assert.deepStrictEqual(yield* reader.pull, [])
          assert.deepStrictEqual(yield* reader.pull, [])
          assert.deepStrictEqual(sequencesOf(yield* Fiber.join(ending)), [1])
          assert.deepStrictEqual(yield* waiting.pull, [])
        })
    )

    ringTest(
      backend,
      "a reader begins at its baseline: what was published before is not its own",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const process = yield* swarm.attach("reader")
          for (let i = 0; i < 100; i += 1) yield* writer.send(stamped(i, 100))
          writer.append(stamped(100))
          const port = yield* process.ring.openReader("ring")
          assert.strictEqual(port.baseline(), writer.target().position)
          assert.deepStrictEqual(port.cursors(), cursorsAt(port.baseline()))
          writer.append(stamped(101))
          writer.publish()
          assert.deepStrictEqual(sequencesOf(port.poll(10)), [100, 101])
        })
    )

    ringTest(
      backend,
      "a reader that awaits the writer is attached as soon as there is one",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("reader")
          const awaiting = yield* Effect.forkChild(
            Effect.flatMap(readerOf(process, { awaitWriter: true }), (reader) => reader.pull),
            { startImmediately: true }
          )
          yield* staysWaiting(backend, awaiting)
          const other = yield* swarm.attach("writer")
          yield* writerOf(other, { name: "another" })
          yield* staysWaiting(backend, awaiting)
          const writer = yield* writerOf(other)
          yield* eventually(backend, () => process.ring.readers(writer.ring).length === 1)
          yield* writer.send(stamped(1))
          assert.deepStrictEqual(sequencesOf(yield* Fiber.join(awaiting)), [1])
        })
    )

    ringTest(backend, "a frame carries its header through the ports", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* (yield* swarm.attach("writer")).ring.openWriter("ring")
        const reader = yield* (yield* swarm.attach("reader")).ring.openReader("ring")
        const header = {
          kind: 65_535,
          flags: 0x8001,
          type: 2 ** 32 - 1,
          sender: 511,
          senderGeneration: 2 ** 31 + 7,
          correlation: 2 ** 53 - 1
        }
        assert.strictEqual(writer.append(header, stamped(3, 21)), 56)
        writer.publish()
        const [frame] = reader.poll(1)
        const { end, payload, ...found } = frame!
        assert.deepStrictEqual(found, header)
        assert.strictEqual(sequenceOf(payload), 3)
        assert.strictEqual(end, 56)
      }))
  })
}

// --- internal ---

const cursorsAt = (position: number) => ({
  read: position,
  delivered: position,
  handled: position,
  released: position
})

const readAll = (reader: RingReaderHandle, total: number, pace: number) =>
  Effect.gen(function*() {
    const got: Array<number> = []
    while (got.length < total) {
      const messages = yield* reader.pull
      for (const [i, { payload }] of messages.entries()) {
        got.push(sequenceOf(payload))
        if (i % pace === 0) yield* Effect.yieldNow
      }
    }
    return got
  })
