/**
 * Messages larger than a frame, and larger than the ring: sent in parts, and whole again at the other end.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { part, readerOf, type RingBackend, ringTest, smallRings, writerOf } from "../../backends/ring.ts"
import { numbers, sequenceOf, sequencesOf, stamped } from "./stamps.ts"

const ringBytes = smallRings.ringBytes as number

export const ringFragmentsSuite = (backend: RingBackend): void => {
  describe(`ring fragments (${backend.name})`, () => {
    ringTest(
      backend,
      "messages around the limits of a frame and of the ring arrive whole, between small ones",
      (swarm) =>
        Effect.gen(function*() {
          const { close, port: writer } = yield* part(
            Effect.flatMap(swarm.attach("writer"), (process) => writerOf(process))
          )
          const frame = (yield* writerPayloadMax(swarm)).payloadBytesMax
          assert.strictEqual(frame, ringBytes / 4 - 32)
          const lengths = [frame - 1, frame, frame + 1, 2 * frame, ringBytes, 3 * ringBytes + 5, 50 * ringBytes]
          const readers = yield* Effect.forEach(["a", "b"], (name) =>
            Effect.gen(function*() {
              const reader = yield* readerOf(yield* swarm.attach(name))
              return yield* Effect.forkChild(Stream.runCollect(reader.messages))
            }))
          let sequence = 0
          for (const length of lengths) {
            yield* writer.send(stamped(sequence, length))
            yield* writer.send(stamped(sequence + 1))
            sequence += 2
          }
          yield* close
          for (const reader of readers) {
            const messages = yield* Fiber.join(reader)
            assert.deepStrictEqual(messages.map(sequenceOf), numbers(0, sequence))
            assert.deepStrictEqual(messages.filter((_, i) => i % 2 === 0).map(({ length }) => length), lengths)
          }
        })
    )

    ringTest(backend, "messages that several fibers send at once are not mixed", (swarm) =>
      Effect.gen(function*() {
        const { close, port: writer } = yield* part(
          Effect.flatMap(swarm.attach("writer"), (process) => writerOf(process))
        )
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        const reading = yield* Effect.forkChild(Stream.runCollect(reader.messages))
        yield* Effect.forEach(
          numbers(0, 40),
          (i) => writer.send(stamped(i, i % 3 === 0 ? 6000 : 40)),
          { concurrency: "unbounded" }
        )
        yield* close
        const got = (yield* Fiber.join(reading)).map(sequenceOf)
        assert.deepStrictEqual(got.toSorted((a, b) => a - b), numbers(0, 40))
      }))

    ringTest(
      backend,
      "an offer never takes a message in parts, and writes nothing of it",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          assert.isFalse(writer.offer(stamped(0, 993)))
          assert.isFalse(writer.append(stamped(0, 993)))
          assert.strictEqual(writer.target().position, 0)
          assert.isTrue(writer.offer(stamped(0, 992)))
        })
    )

    ringTest(
      backend,
      "a message above the configured limit is refused, and nothing of it is written",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"), { messageBytesMax: 2000 })
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const error = yield* Effect.flip(writer.send(stamped(0, 2001)))
          assert.isTrue(error._tag === "MessageTooLarge" && error.messageBytes === 2001 && error.limitBytes === 2000)
          assert.match(error.message, /2,001 bytes .* "ring" .*2,000/)
          assert.strictEqual(writer.target().position, 0)
          yield* writer.send(stamped(1, 2000))
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [1])
        })
    )

    ringTest(
      backend,
      "a reader that comes in the middle of a message begins with the next one",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const slow = yield* readerOf(yield* swarm.attach("slow"))
          const sending = yield* Effect.forkChild(writer.send(stamped(0, 3 * ringBytes)), { startImmediately: true })
          yield* backend.elapse(1)
          assert.isAbove(writer.target().position, 0)
          const late = yield* readerOf(yield* swarm.attach("late"))
          const reading = yield* Effect.forkChild(
            Effect.all([
              Stream.runCollect(Stream.take(slow.messages, 2)),
              Stream.runCollect(Stream.take(late.messages, 1))
            ], { concurrency: 2 })
          )
          yield* Fiber.join(sending)
          yield* writer.send(stamped(1))
          const [whole, fromTheNext] = yield* Fiber.join(reading)
          assert.deepStrictEqual(whole.map(sequenceOf), [0, 1])
          assert.deepStrictEqual(fromTheNext.map(sequenceOf), [1])
        })
    )

    ringTest(backend, "a message whose end was never sent is left out", (swarm) =>
      Effect.gen(function*() {
        const writer = yield* writerOf(yield* swarm.attach("writer"))
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        for (let i = 0; i < 3; i += 1) {
          const sending = yield* Effect.forkChild(writer.send(stamped(0, 2 * ringBytes)), { startImmediately: true })
          yield* backend.elapse(1)
          yield* Fiber.interrupt(sending)
          assert.deepStrictEqual(reader.poll(), [])
          // the rest of a long message must not go on with the first part of another
          yield* writer.send(stamped(1 + i, i === 1 ? 1500 : 16))
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [1 + i])
        }
      }))
  })
}

// --- internal ---

const writerPayloadMax = (swarm: Parameters<Parameters<typeof ringTest>[2]>[0]) =>
  Effect.flatMap(swarm.attach("other"), (process) => process.ring.openWriter("other"))
