/**
 * The policies of a full ring: the send waits, it fails, or the slowest reader is evicted.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { ReaderEvicted, type RingWriterOptions } from "../../../src/services/Ring.ts"
import {
  fill,
  part,
  readerOf,
  type RingBackend,
  ringTest,
  smallRings,
  staysWaiting,
  writerOf
} from "../../backends/ring.ts"
import { numbers, sequenceOf, sequencesOf, stamped } from "./stamps.ts"

const ringBytes = smallRings.ringBytes as number

/** Bytes of a message that takes a sixteenth of the ring. */
const length = 224

/** Messages of that size that the ring takes. */
const room = ringBytes / 256

export const ringPoliciesSuite = (backend: RingBackend): void => {
  describe(`options of a ring (${backend.name})`, () => {
    ringTest(
      backend,
      "sizes and times that cannot be are refused, and the ring is not taken",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const none: ReadonlyArray<Partial<RingWriterOptions>> = [
            ...[NaN, -1, 0.5, Infinity].map((messageBytesMax) => ({ messageBytesMax })),
            ...[-1, NaN].map((roomDeadline) => ({ roomDeadline }))
          ]
          for (const options of none) {
            const error = yield* Effect.flip(writerOf(process, options))
            assert.isTrue(error._tag === "RegionError" && error.fault === "invalid")
            assert.include(error.message, `${Object.keys(options)[0]} cannot be ${Object.values(options)[0]}`)
          }
          yield* writerOf(process)
        })
    )
  })

  describe(`a full ring (${backend.name})`, () => {
    ringTest(
      backend,
      "wait: a send waits for the slowest reader, and nothing is lost",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const writer = yield* writerOf(process)
          const slow = yield* readerOf(yield* swarm.attach("slow"))
          const quick = yield* readerOf(yield* swarm.attach("quick"))
          assert.strictEqual(fill(writer.offer, 0, length), room)
          assert.strictEqual(quick.poll().length, room)
          quick.poll()
          const sending = yield* Effect.forkChild(writer.send(stamped(room, length)), { startImmediately: true })
          yield* staysWaiting(backend, sending)
          assert.strictEqual((yield* process.ring.rings)[0]?.waits, 1)
          assert.deepStrictEqual(sequencesOf(yield* slow.pull), numbers(0, room))
          yield* staysWaiting(backend, sending)
          slow.poll()
          yield* Fiber.join(sending)
          assert.deepStrictEqual(sequencesOf(yield* slow.pull), [room])
          assert.deepStrictEqual(sequencesOf(yield* quick.pull), [room])
        })
    )

    ringTest(
      backend,
      "wait: no sender overtakes those that wait for their turn",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          fill(writer.offer, 0, length)
          const first = yield* Effect.forkChild(
            Effect.map(writer.send(stamped(room, length)), () => writer.offer(stamped(99, length))),
            { startImmediately: true }
          )
          const second = yield* Effect.forkChild(writer.send(stamped(room + 1, length)), { startImmediately: true })
          reader.poll()
          reader.poll()
          assert.isFalse(yield* Fiber.join(first))
          yield* Fiber.join(second)
          assert.deepStrictEqual(sequencesOf(reader.poll()), [room, room + 1])
          assert.isTrue(writer.offer(stamped(room + 2, length)))
        })
    )

    ringTest(backend, "wait: without a reader nothing is waited for", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* writerOf(yield* swarm.attach("writer"))
        for (let i = 0; i < 10 * room; i += 1) yield* writer.send(stamped(i, length))
        assert.strictEqual(writer.target().position, 10 * ringBytes)
      }))

    ringTest(
      backend,
      "wait: at the deadline it fails and names the reader; what failed is never seen",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"), { roomDeadline: "50 millis" })
          yield* readerOf(yield* swarm.attach("quick"), { readerName: "the quick" })
          const slowProcess = yield* swarm.attach("slow")
          const slow = yield* readerOf(slowProcess, { readerName: "the slow" })
          const sent = fill(writer.offer, 0, length)
          const sending = yield* Effect.forkChild(Effect.flip(writer.send(stamped(999))), { startImmediately: true })
          yield* staysWaiting(backend, sending, 25)
          yield* backend.elapse(30)
          const error = yield* Fiber.join(sending)
          assert.isTrue(error._tag === "RingFull" && error.waitedMillis === 50)
          assert.match(
            error.message,
            /"ring" stayed full for 50.0 ms: reader "the (quick|slow)" \(pid \d+\) holds the room/
          )
          slow.poll()
          slow.poll()
          assert.deepStrictEqual(slow.poll(), [])
          assert.strictEqual(writer.target().position, sent * 256)
        })
    )

    ringTest(
      backend,
      "fail: a send fails at once, names the reader, and writes nothing",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"), { whenFull: "fail" })
          const process = yield* swarm.attach("slow")
          const reader = yield* readerOf(process, { readerName: "the slow" })
          const sent = fill(writer.offer, 0, length)
          const error = yield* Effect.flip(writer.send(stamped(999)))
          const process_ = process.ring.self.process
          assert.isTrue(error._tag === "RingFull" && error.waitedMillis === 0 && error.process === process_)
          assert.isTrue(error._tag === "RingFull" && error.reader === "the slow")
          assert.deepStrictEqual(sequencesOf(reader.poll()), numbers(0, sent))
          reader.poll()
          yield* writer.send(stamped(sent))
          assert.deepStrictEqual(sequencesOf(reader.poll()), [sent])
        })
    )

    for (const whenFull of ["wait", "fail", "evict"] as const) {
      ringTest(
        backend,
        `${whenFull}: what is written and not published holds up no send`,
        (swarm) =>
          Effect.gen(function*() {
            const writer = yield* writerOf(yield* swarm.attach("writer"), { whenFull })
            const sequence = fill(writer.append, 0, length)
            yield* writer.send(stamped(sequence, length))
            assert.strictEqual(writer.target().position, (sequence + 1) * 256)
            assert.isTrue(writer.offer(stamped(sequence, length)))
          })
      )
    }

    ringTest(
      backend,
      "wait: a send publishes what was appended before it waits for those who read it",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const reading = yield* Effect.forkChild(
            Stream.runCollect(Stream.take(reader.messages, room + 4)),
            { startImmediately: true }
          )
          const sequence = fill(writer.append, 0, length)
          yield* writer.send(stamped(sequence, 4 * length))
          for (let i = 1; i < 4; i += 1) yield* writer.send(stamped(sequence + i, length))
          assert.deepStrictEqual((yield* Fiber.join(reading)).map(sequenceOf), numbers(0, room + 4))
        })
    )

    ringTest(
      backend,
      "S25 evict: the laggard learns what it lost, exactly, and goes on; the others lose nothing",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const writer = yield* writerOf(process, { whenFull: "evict" })
          const laggard = yield* readerOf(yield* swarm.attach("laggard"))
          const quick = yield* readerOf(yield* swarm.attach("quick"))
          yield* writer.send(stamped(0, length))
          assert.deepStrictEqual(sequencesOf(yield* laggard.pull), [0])
          laggard.poll()
          const got: Array<number> = []
          for (let i = 1; i <= 3 * room; i += 1) {
            yield* writer.send(stamped(i, length))
            got.push(...sequencesOf(quick.poll()))
          }
          assert.deepStrictEqual([0, ...got].slice(-3 * room), numbers(1, 3 * room + 1))
          assert.strictEqual(process.ring.readers(writer.ring).length, 1)
          assert.deepStrictEqual(laggard.poll(), [])
          const lost = yield* Effect.flip(laggard.pull)
          assert.deepStrictEqual(lost, new ReaderEvicted({ ring: "ring", from: 256, to: writer.target().position }))
          assert.strictEqual(process.ring.readers(writer.ring).length, 2)
          yield* writer.send(stamped(7777))
          assert.deepStrictEqual(sequencesOf(yield* laggard.pull), [7777])
          assert.strictEqual((yield* process.ring.rings)[0]?.evictions, 1)
        })
    )

    ringTest(
      backend,
      "evict: a send never waits, no matter which reader holds the room",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const writer = yield* writerOf(process, { whenFull: "evict" })
          const readers = yield* Effect.forEach(
            ["a", "b", "c"],
            (name) => Effect.flatMap(swarm.attach(name), (process) => readerOf(process))
          )
          for (let i = 0; i < 3 * room; i += 1) {
            assert.isTrue(writer.offer(stamped(i, length)))
          }
          yield* writer.send(stamped(0, 3 * ringBytes))
          assert.strictEqual((yield* process.ring.rings)[0]?.evictions, 3)
          for (const reader of readers) {
            const lost = yield* Effect.flip(reader.pull)
            assert.isTrue(lost._tag === "ReaderEvicted" && lost.from === 0 && lost.to === writer.target().position)
          }
        })
    )

    ringTest(
      backend,
      "evict: no reader is evicted that has released all that is published",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const writer = yield* writerOf(process, { whenFull: "evict" })
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const sequence = fill(writer.append, 0, length)
          assert.isFalse(writer.append(stamped(sequence, length)))
          assert.strictEqual((yield* process.ring.rings)[0]?.evictions, 0)
          writer.publish()
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), numbers(0, sequence))
        })
    )

    ringTest(
      backend,
      "evict: in the middle of a long message nothing of it comes, and the next one does",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"), { whenFull: "evict" })
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const sending = yield* Effect.forkChild(writer.send(stamped(0, 4 * ringBytes)), { startImmediately: true })
          yield* Fiber.join(sending)
          const lost = yield* Effect.flip(reader.pull)
          assert.isTrue(lost._tag === "ReaderEvicted" && lost.from === 0)
          yield* writer.send(stamped(1, 2000))
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [1])
        })
    )

    ringTest(
      backend,
      "evict: the stream of copies fails with what was lost, and can be read on",
      (swarm) =>
        Effect.gen(function*() {
          const { close, port: writer } = yield* part(
            Effect.flatMap(swarm.attach("writer"), (process) => writerOf(process, { whenFull: "evict" }))
          )
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          for (let i = 0; i < 2 * room; i += 1) yield* writer.send(stamped(i, length))
          const lost = yield* Effect.flip(Stream.runDrain(reader.messages))
          assert.strictEqual(lost._tag, "ReaderEvicted")
          yield* writer.send(stamped(5))
          yield* close
          assert.deepStrictEqual((yield* Stream.runCollect(reader.messages)).map(sequenceOf), [5])
        })
    )
  })
}
