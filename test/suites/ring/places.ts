/**
 * Places in a region: which writers and readers a ring admits, and which it refuses.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { fill, part, readerOf, type RingBackend, ringTest, staysWaiting, writerOf } from "../../backends/ring.ts"
import { numbers, sequencesOf, stamped } from "./stamps.ts"

export const ringPlacesSuite = (backend: RingBackend): void => {
  describe(`places in a ring (${backend.name})`, () => {
    ringTest(
      backend,
      "S25 a reader comes and goes 64 times, and each time gets exactly its own part",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const writer = yield* writerOf(process)
          let sequence = 0
          for (let round = 0; round < 64; round += 1) {
            const { close, port: reader } = yield* part(readerOf(process))
            const first = sequence
            for (; sequence < first + 7; sequence += 1) yield* writer.send(stamped(sequence, 200))
            assert.deepStrictEqual(sequencesOf(yield* reader.pull), numbers(first, sequence))
            yield* writer.send(stamped(sequence))
            sequence += 1
            yield* close
            assert.strictEqual(process.ring.readers(writer.ring).length, 0)
          }
        }),
      { ringReaders: 1 }
    )

    ringTest(
      backend,
      "S25 a process comes and goes 64 times, as writer and as reader",
      (swarm) =>
        Effect.gen(function*() {
          for (let round = 1; round <= 64; round += 1) {
            const { close, port } = yield* part(Effect.gen(function*() {
              const process = yield* swarm.attach("member")
              return { process, writer: yield* writerOf(process), reader: yield* readerOf(process) }
            }))
            assert.strictEqual(port.writer.generation, round)
            assert.strictEqual(port.process.ring.self.generation, round)
            yield* port.writer.send(stamped(round))
            assert.deepStrictEqual(sequencesOf(yield* port.reader.pull), [round])
            yield* close
          }
        }),
      { processes: 2, rings: 1, ringReaders: 1 }
    )

    ringTest(
      backend,
      "a reader that leaves gives its room back to a writer that waits",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const { close } = yield* part(Effect.flatMap(swarm.attach("reader"), (process) => readerOf(process)))
          fill(writer.offer)
          const sending = yield* Effect.forkChild(writer.send(stamped(1)), { startImmediately: true })
          yield* staysWaiting(backend, sending)
          yield* close
          yield* Fiber.join(sending)
        })
    )

    ringTest(
      backend,
      "a ring has one writer: a second one is refused, by name, until the first has closed",
      (swarm) =>
        Effect.gen(function*() {
          const first = yield* part(Effect.flatMap(swarm.attach("first"), (process) => writerOf(process)))
          const process = yield* swarm.attach("second")
          const error = yield* Effect.flip(writerOf(process))
          assert.isTrue(error._tag === "RingUnavailable" && error.reason === "written")
          assert.match(error.message, /^ring "ring" has a writer already: process "first" \(pid \d+.*\)$/)
          yield* first.close
          const second = yield* writerOf(process)
          assert.strictEqual(second.generation, first.port.generation + 1)
        })
    )

    ringTest(backend, "a ring that was never written is missing", (swarm) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(readerOf(yield* swarm.attach("reader")))
        assert.isTrue(error._tag === "RingUnavailable" && error.reason === "missing")
        assert.strictEqual(error.message, `ring "ring" has no writer yet`)
      }))

    ringTest(backend, "in a region without rings there are none", (swarm) =>
      Effect.gen(function*() {
        const process = yield* swarm.attach("alone")
        for (const opening of [writerOf(process), readerOf(process)]) {
          const error = yield* Effect.flip<unknown, any, any>(opening)
          assert.isTrue(error._tag === "RingUnavailable" && error.reason === "noRings")
        }
        assert.deepStrictEqual(yield* process.ring.rings, [])
      }), { rings: 0 })

    for (const name of ["", "n".repeat(32), "ä".repeat(16)]) {
      ringTest(backend, `the name ${JSON.stringify(name)} is refused`, (swarm) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(writerOf(yield* swarm.attach("writer"), { name }))
          assert.isTrue(error._tag === "RegionError" && error.fault === "invalid")
          assert.match(error.message, /1 to 31 bytes/)
        }))
    }

    ringTest(
      backend,
      "a name of 31 bytes is taken, and kept apart from its beginning",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          yield* writerOf(process, { name: "n".repeat(31) })
          yield* writerOf(process, { name: "n".repeat(30) })
          assert.deepStrictEqual((yield* process.ring.rings).map(({ name }) => name.length), [31, 30])
        })
    )

    ringTest(
      backend,
      "readers beyond the room are refused, and a reader that leaves makes room",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          yield* writerOf(process)
          const { close } = yield* part(readerOf(process))
          yield* readerOf(process)
          const error = yield* Effect.flip(readerOf(process))
          assert.isTrue(error._tag === "RegionError" && error.fault === "full")
          yield* close
          yield* readerOf(process)
        }),
      { ringReaders: 2 }
    )

    ringTest(backend, "more processes than there are slots are refused", (swarm) =>
      Effect.gen(function*() {
        const { close } = yield* part(swarm.attach("one"))
        const error = yield* Effect.flip(swarm.attach("two"))
        assert.strictEqual(error.fault, "full")
        yield* close
        yield* swarm.attach("two")
      }), { processes: 2 })

    ringTest(
      backend,
      "another name takes a ring over when none is fresh, but never under a writer or a reader",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const one = yield* part(writerOf(process, { name: "one" }))
          yield* writerOf(process, { name: "two" })
          const refused = Effect.flip(writerOf(process, { name: "three" }))
          assert.isTrue((yield* refused)._tag === "RegionError")
          const reader = yield* part(readerOf(process, { name: "one" }))
          yield* one.port.send(stamped(1))
          yield* one.close
          const error = yield* refused
          assert.isTrue(error._tag === "RegionError" && error.fault === "full")
          assert.deepStrictEqual(sequencesOf(yield* reader.port.pull), [1])
          assert.deepStrictEqual(yield* reader.port.pull, [])
          yield* reader.close
          const three = yield* writerOf(process, { name: "three" })
          assert.deepStrictEqual(three.target(), { ring: 0, generation: 2, position: 48 })
          const missing = yield* Effect.flip(readerOf(process, { name: "one" }))
          assert.isTrue(missing._tag === "RingUnavailable" && missing.reason === "missing")
        }),
      { rings: 2 }
    )

    ringTest(
      backend,
      "what was written under a name goes on in the same ring, though others are free",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          yield* Effect.scoped(Effect.flatMap(writerOf(process, { name: "a" }), (writer) => writer.send(stamped(1))))
          yield* writerOf(process, { name: "b" })
          const again = yield* writerOf(process, { name: "a" })
          assert.deepStrictEqual(again.target(), { ring: 0, generation: 2, position: 48 })
        })
    )
  })
}
