/**
 * Shared memory may be damaged from outside: the reader that finds damage fails with an error, no process crashes, and
 * the ring works on without that reader.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { continuedFlag, partFlag } from "../../../src/layers/ring/Fragments.ts"
import { headerBytes } from "../../../src/layers/ring/FrameCodec.ts"
import { part, readerOf, type RingBackend, ringTest, writerOf } from "../../backends/ring.ts"
import { numbers, sequencesOf, stamped } from "./stamps.ts"

const oneBit = (bit: number): Uint8Array => {
  const bits = new Uint8Array(headerBytes)
  bits[bit >> 3] = 1 << (bit & 7)
  return bits
}

const lengths = { nothing: 0, "less than a header": 31, "more than was written": 4000, "4 GiB": 2 ** 32 - 1 }

export const ringDamageSuite = (backend: RingBackend): void => {
  describe(`a damaged ring (${backend.name})`, () => {
    for (const [what, length] of Object.entries(lengths)) {
      ringTest(
        backend,
        `a frame of ${what} is invalid: what came before it is read, and then the reader fails`,
        (swarm) =>
          Effect.gen(function*() {
            const process = yield* swarm.attach("process")
            const writer = yield* writerOf(process)
            const { close, port: reader } = yield* part(readerOf(yield* swarm.attach("reader")))
            for (let i = 0; i < 4; i += 1) yield* writer.send(stamped(i))
            const word = new Uint8Array(4)
            new DataView(word.buffer).setUint32(0, length, true)
            yield* process.poke("ring", 2 * 48, word)
            assert.deepStrictEqual(sequencesOf(yield* reader.pull), [0, 1])
            for (const look of [reader.pull, reader.pull, Stream.runDrain(reader.messages)]) {
              const error = yield* Effect.flip<unknown, any, never>(look)
              assert.isTrue(error._tag === "RingCorrupt" && error.ring === "ring")
              assert.match(error.message, /there is no valid frame at 96/)
            }
            yield* close
            const next = yield* readerOf(process)
            for (let i = 0; i < 100; i += 1) {
              yield* writer.send(stamped(i, 200))
              assert.deepStrictEqual(sequencesOf(yield* next.pull), [i])
            }
          })
      )
    }

    ringTest(
      backend,
      "any changed bit of a frame's header is told, and what came before it is delivered",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const writer = yield* writerOf(process)
          for (let bit = 0; bit < 8 * headerBytes; bit += 1) {
            const { close, port: reader } = yield* part(readerOf(process))
            const { position } = writer.target()
            for (let i = 0; i < 4; i += 1) yield* writer.send(stamped(i))
            yield* process.flip("ring", position + 2 * 48, oneBit(bit))
            assert.deepStrictEqual(sequencesOf(yield* reader.pull), [0, 1], `bit ${bit}`)
            const error = yield* Effect.flip(reader.pull)
            assert.strictEqual(error._tag, "RingCorrupt", `bit ${bit}`)
            assert.match(error.message, new RegExp(`there is no valid frame at ${position + 96}`))
            yield* close
          }
        })
    )

    ringTest(
      backend,
      "a message in parts of which one is damaged is told, and nothing is made of the others",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const writer = yield* writerOf(process)
          for (const frame of [0, 1, 2]) {
            for (const flag of [partFlag, continuedFlag, partFlag | continuedFlag]) {
              const { close, port: reader } = yield* part(readerOf(process))
              const { position } = writer.target()
              yield* writer.send(stamped(0, 3 * 992))
              yield* process.flip("ring", position + frame * 1024 + 6, new Uint8Array([flag]))
              const error = yield* Effect.flip(reader.pull)
              assert.strictEqual(error._tag, "RingCorrupt", `flags ${flag} of part ${frame}`)
              yield* close
            }
          }
        })
    )

    ringTest(backend, "a reader that has read past the damage notices nothing", (swarm) =>
      Effect.gen(function*() {
        const process = yield* swarm.attach("process")
        const writer = yield* writerOf(process)
        const reader = yield* readerOf(process)
        for (let i = 0; i < 4; i += 1) yield* writer.send(stamped(i))
        assert.deepStrictEqual(sequencesOf(yield* reader.pull), numbers(0, 4))
        reader.poll()
        yield* process.poke("ring", 0, new Uint8Array(4096))
        yield* writer.send(stamped(4))
        assert.deepStrictEqual(sequencesOf(yield* reader.pull), [4])
      }))
  })
}
