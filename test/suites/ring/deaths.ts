/**
 * Processes that are killed while they read or write, and what other processes then see.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
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
import { numbers, sequencesOf, stamped } from "./stamps.ts"

const atOnce = (backend: RingBackend) => backend.elapse(1)

export const ringDeathsSuite = (backend: RingBackend): void => {
  describe(`ring deaths (${backend.name})`, () => {
    ringTest(backend, "a dead reader stops counting at once", (swarm) =>
      Effect.gen(function*() {
        const process = yield* swarm.attach("writer")
        const writer = yield* writerOf(process)
        const victim = yield* swarm.attach("victim")
        yield* readerOf(victim)
        const sequence = fill(writer.offer)
        assert.strictEqual(process.ring.readers(writer.ring).length, 1)
        yield* victim.kill
        assert.strictEqual(process.ring.readers(writer.ring).length, 0)
        assert.isTrue(writer.offer(stamped(sequence, 100)))
      }))

    ringTest(
      backend,
      "a send that waits for a reader goes on when that reader dies",
      (swarm) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"))
          const victim = yield* swarm.attach("victim")
          yield* readerOf(victim)
          const survivor = yield* readerOf(yield* swarm.attach("survivor"))
          const sequence = fill(writer.offer)
          survivor.poll()
          survivor.poll()
          const sending = yield* Effect.forkChild(writer.send(stamped(sequence)), { startImmediately: true })
          yield* staysWaiting(backend, sending)
          yield* victim.kill
          yield* Effect.timeout(Fiber.join(sending), "1 second")
          assert.deepStrictEqual(sequencesOf(yield* survivor.pull), [sequence])
        })
    )

    ringTest(backend, "what a dead writer had not published is never seen, what it had published is read to its end", (
      swarm
    ) =>
      Effect.gen(function*() {
        const victim = yield* swarm.attach("victim")
        const writer = yield* writerOf(victim)
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        for (let i = 0; i < 5; i += 1) yield* writer.send(stamped(i))
        for (let i = 5; i < 10; i += 1) writer.append(stamped(i))
        yield* victim.kill
        writer.publish()
        assert.deepStrictEqual(sequencesOf(yield* reader.pull), numbers(0, 5))
        assert.deepStrictEqual(yield* reader.pull, [])
      }), { rings: 1 })

    ringTest(backend, "a reader that waits learns that its writer died", (swarm) =>
      Effect.gen(function*() {
        const victim = yield* swarm.attach("victim")
        yield* writerOf(victim)
        const reader = yield* readerOf(yield* swarm.attach("reader"))
        const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        yield* staysWaiting(backend, pulling)
        yield* victim.kill
        assert.deepStrictEqual(yield* Effect.timeout(Fiber.join(pulling), "1 second"), [])
      }))

    ringTest(
      backend,
      "the next writer goes on in a new generation, behind what is published, and over nothing unread",
      (
        swarm
      ) =>
        Effect.gen(function*() {
          const victim = yield* swarm.attach("victim")
          const first = yield* writerOf(victim)
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          let sequence = 0
          for (; sequence < 30; sequence += 1) yield* first.send(stamped(sequence, 96))
          const before = first.target()
          first.append(stamped(9999))
          yield* victim.kill
          const process = yield* swarm.attach("next")
          const second = yield* writerOf(process)
          assert.deepStrictEqual(second.target(), { ...before, generation: before.generation + 1 })
          sequence = fill(second.offer, sequence)
          assert.strictEqual(sequence, 32)
          const [state] = yield* process.ring.rings
          assert.strictEqual(state?.frames, 32)
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), numbers(0, 32))
          reader.poll()
          yield* second.send(stamped(32))
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [32])
        })
    )

    ringTest(
      backend,
      "half a message of a dead writer is left out, and the next writer's come whole",
      (swarm) =>
        Effect.gen(function*() {
          const victim = yield* swarm.attach("victim")
          const first = yield* writerOf(victim)
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const sending = yield* Effect.forkChild(first.send(stamped(0, 10_000)), { startImmediately: true })
          yield* atOnce(backend)
          yield* victim.kill
          yield* Fiber.interrupt(sending)
          assert.deepStrictEqual(yield* reader.pull, [])
          const second = yield* writerOf(yield* swarm.attach("next"))
          yield* second.send(stamped(1, 1500))
          assert.deepStrictEqual(sequencesOf(yield* reader.pull), [1])
        })
    )

    ringTest(
      backend,
      "the dead are shown as dead, until another takes their slot as a new generation",
      (swarm) =>
        Effect.gen(function*() {
          const observer = yield* swarm.attach("observer")
          const victim = yield* swarm.attach("victim")
          const { generation, process } = victim.ring.self
          const shown = Effect.map(observer.memory.processes, (all) => all.find(({ slot }) => slot === process))
          assert.deepInclude(yield* shown, { generation, name: "victim", alive: true })
          assert.isTrue(observer.ring.isAlive(process, generation))
          assert.isFalse(observer.ring.isAlive(process, generation + 1))
          yield* victim.kill
          assert.deepInclude(yield* shown, { generation, name: "victim", alive: false })
          assert.isFalse(observer.ring.isAlive(process, generation))
          const next = yield* swarm.attach("next")
          assert.deepStrictEqual(next.ring.self, { process, generation: generation + 1 })
          assert.deepInclude(yield* shown, { generation: generation + 1, name: "next", alive: true })
          assert.isFalse(observer.ring.isAlive(process, generation))
          assert.isTrue(observer.ring.isAlive(process, generation + 1))
        })
    )

    ringTest(backend, "nothing that a dead process's finalizers do has any effect", (swarm) =>
      Effect.gen(function*() {
        const victim = yield* part(Effect.gen(function*() {
          const process = yield* swarm.attach("victim")
          const writer = yield* writerOf(process)
          yield* writerOf(yield* swarm.attach("other"), { name: "other" })
          return { process, writer, reader: yield* readerOf(process, { name: "other" }) }
        }))
        victim.port.writer.append(stamped(9999))
        yield* victim.port.process.kill
        const next = yield* swarm.attach("next")
        assert.strictEqual(next.ring.self.process, victim.port.process.ring.self.process)
        const writer = yield* writerOf(next)
        const reader = yield* readerOf(next)
        const own = yield* readerOf(next, { name: "other" })
        yield* victim.close
        yield* writer.send(stamped(1))
        assert.deepStrictEqual(sequencesOf(yield* reader.pull), [1])
        assert.strictEqual(next.ring.readers(own.ring).length, 1)
        assert.isTrue((yield* next.ring.rings).find(({ name }) => name === "ring")?.written)
      }))

    ringTest(
      backend,
      "a swarm loses one after the other, and the last one reads on",
      (swarm) =>
        Effect.gen(function*() {
          const last = yield* swarm.attach("last")
          let position = 0
          for (let round = 1; round <= 12; round += 1) {
            const victims = yield* Effect.forEach(["w", "a", "b"], swarm.attach)
            const writer = yield* writerOf(victims[0]!)
            const opened = yield* part(readerOf(last))
            yield* readerOf(victims[1]!)
            assert.deepStrictEqual(writer.target(), { ring: 0, generation: round, position })
            for (let i = 0; i < 20; i += 1) yield* writer.send(stamped(i, 96))
            position = writer.target().position
            for (const victim of victims) yield* victim.kill
            assert.deepStrictEqual(sequencesOf(yield* opened.port.pull), numbers(0, 20))
            assert.deepStrictEqual(yield* opened.port.pull, [])
            yield* opened.close
          }
          yield* eventually(backend, () => last.ring.readers(0).length === 0)
        }),
      { rings: 1, ringReaders: 2, processes: 5 }
    )
  })
}
