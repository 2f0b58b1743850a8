/**
 * What is read by batches and by spans, and what is written to where it lies: no less and no more than by messages.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { ReaderEvicted, type RingBatch, type RingReaderHandle } from "../../../src/services/Ring.ts"
import { fill, readerOf, type RingBackend, ringTest, smallRings, writerOf } from "../../backends/ring.ts"
import { numbers, sequenceOf, sequencesOf, stamped } from "./stamps.ts"

const ringBytes = smallRings.ringBytes as number
const headerBytes = 32

/** The numbers of the next messages of a batch, at most that many. */
const take = (batch: RingBatch | undefined, count = Infinity): ReadonlyArray<number> => {
  const taken: Array<number> = []
  while (taken.length < count && batch?.next() === true) taken.push(sequenceOf(batch.payload()))
  return taken
}

/** The numbers of the messages of a span, which is read as native code would. */
const inSpan = (span: Uint8Array): ReadonlyArray<number> => {
  const found: Array<number> = []
  const view = new DataView(span.buffer, span.byteOffset, span.byteLength)
  let at = 0
  for (; at < span.length; at += Math.ceil(view.getUint32(at, true) / 8) * 8) {
    found.push(sequenceOf(span.subarray(at + headerBytes, at + view.getUint32(at, true))))
  }
  assert.strictEqual(at, span.length)
  return found
}

export const ringBatchesSuite = (backend: RingBackend): void => {
  const pairOf = Effect.fnUntraced(function*(swarm: Parameters<Parameters<typeof ringTest>[2]>[0]) {
    const writer = yield* writerOf(yield* swarm.attach("writer"))
    const reader = yield* readerOf(yield* swarm.attach("reader"))
    return { writer, reader }
  })

  describe(`batches of a ring (${backend.name})`, () => {
    ringTest(
      backend,
      "a batch shows every message once and in order, in one piece or in parts",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          for (let lap = 0; lap < 40; lap += 1) {
            for (let i = 0; i < 3; i += 1) {
              assert.isTrue(writer.offer(stamped(3 * lap + i, 4 + (lap * 53 + i * 97) % 700)))
            }
            assert.deepStrictEqual(take(yield* reader.pullBatch), numbers(3 * lap, 3 * lap + 3))
          }
          const sending = yield* Effect.forkChild(
            Effect.forEach([0, 1, 2], (i) => writer.send(stamped(i, i === 1 ? 3 * ringBytes : 16))),
            { startImmediately: true }
          )
          const seen: Array<number> = []
          while (seen.length < 3) {
            const batch = yield* reader.pullBatch
            while (batch?.next() === true) {
              seen.push(sequenceOf(batch.payload()))
              assert.strictEqual(batch.kind, 16)
              assert.strictEqual(batch.to - batch.from, seen.length === 2 ? 3 * ringBytes : 16)
            }
          }
          yield* Fiber.join(sending)
          assert.deepStrictEqual(seen, [0, 1, 2])
        })
    )

    ringTest(
      backend,
      "what a batch was not asked for is left for the next pull, and holds its room",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          for (let i = 0; i < 8; i += 1) assert.isTrue(writer.offer(stamped(i)))
          const frameBytes = writer.target().position / 8
          assert.deepStrictEqual(take(yield* reader.pullBatch, 2), [0, 1])
          assert.strictEqual(reader.cursors().released, 0)
          const batch = yield* reader.pullBatch
          assert.strictEqual(reader.cursors().released, 2 * frameBytes)
          assert.deepStrictEqual(take(batch, 1), [2])
          assert.deepStrictEqual((yield* Stream.runCollect(Stream.take(reader.messages, 2))).map(sequenceOf), [3, 4])
          assert.deepStrictEqual(take(yield* reader.pullBatch, 1), [5])
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [6, 7])
          assert.deepStrictEqual(reader.poll(), [])
          const { delivered, handled, released } = reader.cursors()
          assert.deepStrictEqual([delivered, handled, released], Array.from({ length: 3 }, () => 8 * frameBytes))
        })
    )

    ringTest(
      backend,
      "a span is all messages in one piece, as they lie in the ring; the next one goes on behind it",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          let sent = 0
          let seen = 0
          for (let lap = 0; lap < 60; lap += 1) {
            sent += writer.appendAll(numbers(sent, sent + 5).map((i) => stamped(i, 4 + (i * 41) % 300)))
            const batch = yield* reader.pullBatch
            for (let span = batch?.span(); span !== undefined; span = batch?.span()) {
              const found = inSpan(span)
              assert.deepStrictEqual(found, numbers(seen, seen + found.length))
              seen += found.length
            }
            assert.strictEqual(seen, sent)
          }
        })
    )

    ringTest(
      backend,
      "a span stops ahead of a message that came in parts, which next shows",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          yield* writer.send(stamped(0))
          yield* writer.send(stamped(1))
          yield* writer.send(stamped(2, 1500))
          yield* writer.send(stamped(3))
          const batch = yield* reader.pullBatch
          assert.deepStrictEqual(inSpan(batch!.span()!), [0, 1])
          assert.isUndefined(batch!.span())
          assert.deepStrictEqual(take(batch, 1), [2])
          assert.deepStrictEqual(inSpan(batch!.span()!), [3])
          assert.isFalse(batch!.next())
          assert.isUndefined(batch!.span())
        })
    )

    ringTest(
      backend,
      "a batch waits for a message; at the end of the ring there is none",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const writer = yield* Effect.scoped(Effect.gen(function*() {
            const writer = yield* writerOf(process)
            const reader = yield* readerOf(yield* swarm.attach("reader"))
            const pulling = yield* Effect.forkChild(reader.pullBatch, { startImmediately: true })
            assert.isUndefined(pulling.pollUnsafe())
            yield* writer.send(stamped(1))
            assert.deepStrictEqual(take(yield* Fiber.join(pulling)), [1])
            return { writer, reader: yield* readerOf(yield* swarm.attach("last")) }
          }))
          assert.isFalse(writer.writer.append(stamped(2)))
          assert.isUndefined(writer.writer.claim(8))
        })
    )

    ringTest(
      backend,
      "a reader that is evicted within a batch learns it at the next pull",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"), { whenFull: "evict" })
          const reader: RingReaderHandle = yield* readerOf(yield* swarm.attach("reader"))
          for (let i = 0; i < 4; i += 1) yield* writer.send(stamped(i, 96))
          assert.deepStrictEqual(take(yield* reader.pullBatch, 1), [0])
          for (let i = 4; i < 100; i += 1) yield* writer.send(stamped(i, 96))
          assert.instanceOf(yield* Effect.flip(reader.pullBatch), ReaderEvicted)
          yield* writer.send(stamped(100))
          assert.deepStrictEqual(take(yield* reader.pullBatch), [100])
        })
    )
  })

  describe(`writing to where it lies (${backend.name})`, () => {
    ringTest(
      backend,
      "what is written to claimed room is a message once it is committed",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          for (let i = 0; i < 200; i += 1) {
            const message = stamped(i, 4 + (i * 31) % 600)
            const room = writer.claim(message.length)
            assert.strictEqual(room?.length, message.length)
            room?.set(message)
            assert.deepStrictEqual(reader.poll(), [])
            assert.isTrue(writer.commit())
            assert.deepStrictEqual(sequencesOf(reader.poll()), [i])
          }
          assert.isFalse(writer.commit())
        })
    )

    ringTest(backend, "any other write takes claimed room back", (swarm) =>
      Effect.gen(function*() {
        const { reader, writer } = yield* pairOf(swarm)
        const others: ReadonlyArray<() => unknown> = [
          () => writer.offer(stamped(1)),
          () => writer.append(stamped(1)) && writer.publish(),
          () => writer.appendAll([stamped(1)]),
          () => Effect.runSync(writer.send(stamped(1)))
        ]
        for (const other of others) {
          assert.isDefined(writer.claim(64))
          other()
          assert.isFalse(writer.commit())
          assert.deepStrictEqual(sequencesOf(reader.poll()), [1])
        }
      }))

    ringTest(
      backend,
      "there is nothing to claim in a full ring, or for more than a frame holds; an evicting one makes room",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          assert.isUndefined(writer.claim(ringBytes))
          const end = fill(writer.offer, 0, 96)
          assert.isUndefined(writer.claim(96))
          assert.isFalse(writer.commit())
          assert.strictEqual(reader.poll().length, end)
          reader.poll()
          assert.isDefined(writer.claim(96))
          const evicting = yield* writerOf(yield* swarm.attach("other"), { name: "evicting", whenFull: "evict" })
          yield* readerOf(yield* swarm.attach("slow"), { name: "evicting" })
          for (let i = 0; i < 100; i += 1) {
            assert.isDefined(evicting.claim(96))
            assert.isTrue(evicting.commit())
          }
        })
    )

    ringTest(
      backend,
      "appendAll writes as many as there is room for, and publishes them together",
      (swarm) =>
        Effect.gen(function*() {
          const { reader, writer } = yield* pairOf(swarm)
          const messages = numbers(0, 100).map((i) => stamped(i, 96))
          const first = writer.appendAll(messages)
          assert.isAbove(first, 10)
          assert.isBelow(first, 100)
          assert.deepStrictEqual(sequencesOf(reader.poll()), numbers(0, first))
          assert.strictEqual(writer.appendAll(messages.slice(first)), 0)
          reader.poll()
          assert.strictEqual(writer.appendAll(messages.slice(first, first + 5)), 5)
          assert.deepStrictEqual(sequencesOf(reader.poll()), numbers(first, first + 5))
          assert.strictEqual(writer.appendAll([]), 0)
        })
    )
  })
}
