/**
 * Ends of a ring that are used after they gave up their place, and waits: which are woken, and which are not.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Waiter } from "../../../src/layers/ports/Waiter.ts"
import { RingClosed } from "../../../src/services/Ring.ts"
import { fill, part, readerOf, type RingBackend, ringTest, staysWaiting, writerOf } from "../../backends/ring.ts"
import { sequencesOf, stamped } from "./stamps.ts"

export const ringEndingsSuite = (backend: RingBackend): void => {
  describe(`ends of a ring that are over (${backend.name})`, () => {
    for (const whenFull of ["wait", "fail", "evict"] as const) {
      ringTest(
        backend,
        `${whenFull}: a send on a closed writer fails at once, and says that it is closed`,
        (swarm) =>
          Effect.gen(function*() {
            const process = yield* swarm.attach("process")
            const { close, port: writer } = yield* part(writerOf(process, { whenFull }))
            yield* close
            for (const length of [96, 10_000]) {
              const sending = yield* Effect.forkChild(Effect.flip(writer.send(stamped(1, length))), {
                startImmediately: true
              })
              assert.deepStrictEqual(yield* soon(backend, sending), closedWriter)
            }
            assert.strictEqual(
              closedWriter.message,
              `ring "ring": this writer is closed: its scope has ended; open another in a scope that lasts as long as its use`
            )
            assert.isFalse(writer.offer(stamped(1)))
            assert.isFalse(writer.append(stamped(1)))
          })
      )
    }

    ringTest(backend, "a send that waits for room ends when its writer is closed", (swarm) =>
      Effect.gen(function*() {
        const { close, port: writer } = yield* part(Effect.flatMap(swarm.attach("writer"), writerOf))
        yield* readerOf(yield* swarm.attach("reader"))
        fill(writer.offer)
        const sending = yield* Effect.forkChild(Effect.flip(writer.send(stamped(1))), { startImmediately: true })
        yield* staysWaiting(backend, sending)
        yield* close
        const error = yield* soon(backend, sending)
        // Its process detached with it: the error depends on which of the two is noticed first.
        assert.include(["RingClosed", "RegionLost"], error._tag)
      }))

    ringTest(
      backend,
      "a send that waits for room ends when its writer is closed, in a process that goes on",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("writer")
          const { close, port: writer } = yield* part(writerOf(process))
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          const sequence = fill(writer.offer)
          const sending = yield* Effect.forEach(
            [0, 1],
            () => Effect.forkChild(Effect.flip(writer.send(stamped(99))), { startImmediately: true })
          )
          yield* staysWaiting(backend, sending[0]!)
          yield* close
          for (const fiber of sending) assert.deepStrictEqual(yield* soon(backend, fiber), closedWriter)
          assert.deepStrictEqual(sequencesOf(reader.poll()).length, sequence)
          assert.deepStrictEqual(reader.poll(), [])
        })
    )

    ringTest(
      backend,
      "a writer that is over says nothing in the name of the next one, which is woken when there is room",
      (
        swarm
      ) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("first")
          const { close, port } = yield* part(process.ring.openWriter("ring"))
          const reader = yield* readerOf(yield* swarm.attach("reader"))
          port.wantRoom(true)
          yield* close
          assert.strictEqual(port.over(), "closed")
          const second = yield* writerOf(yield* swarm.attach("second"))
          const sequence = fill(second.offer)
          const sending = yield* Effect.forkChild(second.send(stamped(sequence)), { startImmediately: true })
          yield* staysWaiting(backend, sending)
          port.wantRoom(false)
          port.wantRoom(true)
          assert.strictEqual((yield* process.ring.rings)[0]?.waits, 2)
          reader.poll()
          reader.poll()
          yield* soon(backend, sending)
        })
    )

    ringTest(
      backend,
      "a pull on a closed reader fails at once, and a waiting pull ends when its reader is closed",
      (swarm) =>
        Effect.gen(function*() {
          const process = yield* swarm.attach("process")
          const writer = yield* writerOf(process)
          const { close, port: reader } = yield* part(readerOf(process))
          const pulling = yield* Effect.forkChild(Effect.flip(reader.pull), { startImmediately: true })
          yield* staysWaiting(backend, pulling)
          yield* close
          assert.deepStrictEqual(yield* soon(backend, pulling), closedReader)
          yield* writer.send(stamped(1))
          assert.deepStrictEqual(yield* Effect.flip(reader.pull), closedReader)
          assert.deepStrictEqual(yield* Effect.flip(Stream.runDrain(reader.messages)), closedReader)
          assert.deepStrictEqual(reader.poll(), [])
        })
    )

    for (const strategy of ["park", "adaptive", "spin"] as const) {
      ringTest(
        backend,
        `${strategy}: pulls in a closed region fail with that, both a waiting and a later one`,
        (swarm) =>
          Effect.gen(function*() {
            yield* writerOf(yield* swarm.attach("writer"))
            const { close, port: process } = yield* part(swarm.attach("reader"))
            const reader = yield* readerOf(process, { strategy })
            const pulling = yield* Effect.forkChild(Effect.flip(reader.pull), { startImmediately: true })
            yield* staysWaiting(backend, pulling)
            yield* close
            const late = [Effect.flip(reader.pull), Effect.flip(Stream.runDrain(reader.messages))]
            for (const lost of [yield* soon(backend, pulling), ...yield* Effect.all(late)]) {
              assert.isTrue(lost._tag === "RegionLost" && lost.reason === "stopped", lost.message)
            }
          })
      )
    }

    ringTest(
      backend,
      "an evicted reader whose scope has ended does not take the place of the reader that came after it",
      (
        swarm
      ) =>
        Effect.gen(function*() {
          const writer = yield* writerOf(yield* swarm.attach("writer"), { whenFull: "evict" })
          const process = yield* swarm.attach("reader")
          const { close, port: first } = yield* part(readerOf(process))
          for (let i = 0; i < 100; i += 1) yield* writer.send(stamped(i, 200))
          yield* close
          const second = yield* readerOf(process)
          for (let i = 0; i < 5; i += 1) yield* writer.send(stamped(i))
          const before = process.ring.readers(writer.ring)
          assert.deepStrictEqual(yield* Effect.flip(first.pull), closedReader)
          assert.deepStrictEqual(process.ring.readers(writer.ring), before)
          assert.deepStrictEqual(sequencesOf(yield* second.pull), [0, 1, 2, 3, 4])
        }),
      { ringReaders: 1 }
    )
  })

  describe(`waits for a ring (${backend.name})`, () => {
    for (const where of ["another process", "its own process"] as const) {
      ringTest(
        backend,
        `a process that has closed its reader is not woken by what ${where} publishes`,
        (swarm) =>
          Effect.gen(function*() {
            const process = yield* swarm.attach("reader")
            const writer = yield* writerOf(where === "its own process" ? process : yield* swarm.attach("writer"))
            const { close } = yield* part(readerOf(process))
            const looks = yield* lookingOn(backend, process.ring.waiter)
            yield* writer.send(stamped(0))
            yield* backend.elapse(5)
            assert.isAbove(looks(), 0)
            yield* close
            yield* backend.elapse(5)
            const before = looks()
            yield* repeatedly(backend, 50, writer.send(stamped(1)))
            assert.strictEqual(looks(), before)
          })
      )
    }

    ringTest(
      backend,
      "frames wake readers, cursors wake waits for cursors, and room wakes the writer that wants it",
      (swarm) =>
        Effect.gen(function*() {
          const writing = yield* swarm.attach("writer")
          const reading = yield* swarm.attach("reader")
          const observer = yield* swarm.attach("observer")
          const writer = yield* writerOf(writing)
          const port = yield* reading.ring.openReader("ring")
          yield* readerOf(observer, { name: "ring" })
          const looks = yield* Effect.forEach(
            [observer.ring.waiter, writing.ring.cursorWaiter],
            (waiter) => lookingOn(backend, waiter)
          )
          const counted = () => looks.map((count) => count())
          // A wake-up for the move before may come late: it must not count for the next.
          const settled = Effect.gen(function*() {
            let before = counted()
            while (true) {
              yield* backend.elapse(50)
              const now = counted()
              if (now.every((count, i) => count === before[i])) return now
              before = now
            }
          })
          const moves = (move: Effect.Effect<unknown, any>) =>
            Effect.gen(function*() {
              const before = yield* settled
              yield* repeatedly(backend, 10, move)
              return (yield* settled).map((count, i) => count > before[i]!)
            })
          assert.deepStrictEqual(yield* moves(writer.send(stamped(0))), [true, false])
          const taken = Effect.sync(() => {
            const [frame] = port.poll(1)
            const { end } = frame!
            port.advance({ read: end, delivered: end, handled: end, released: 0 })
          })
          assert.deepStrictEqual(yield* moves(taken), [false, true])
          const released = Effect.sync(() => {
            port.advance({ ...port.cursors(), released: port.cursors().released + 48 })
          })
          assert.deepStrictEqual(yield* moves(released), [false, false])
        })
    )
  })
}

// --- internal ---

const closedWriter = new RingClosed({ ring: "ring", end: "writer", reason: "closed" })
const closedReader = new RingClosed({ ring: "ring", end: "reader", reason: "closed" })

/** The result of a fiber that must end long before any deadline. */
const soon = Effect.fnUntraced(function*<A, E>(backend: RingBackend, fiber: Fiber.Fiber<A, E>) {
  for (let i = 0; i < 200 && fiber.pollUnsafe() === undefined; i += 1) yield* backend.elapse(1)
  assert.isDefined(fiber.pollUnsafe(), "it did not end")
  return yield* Fiber.join(fiber)
})

/** Waits for ever, and counts how often its check was called. */
const lookingOn = Effect.fnUntraced(function*(backend: RingBackend, waiter: Waiter) {
  let looks = 0
  yield* Effect.forkChild(
    waiter.until(() => {
      looks += 1
      return undefined
    }),
    { startImmediately: true }
  )
  // Wait longer than it takes to notice that processes have attached.
  yield* backend.elapse(250)
  return () => looks
})

/** Repeats the move, with time in between for the waits that it wakes. */
const repeatedly = (backend: RingBackend, times: number, move: Effect.Effect<unknown, any>) =>
  Effect.gen(function*() {
    for (let i = 0; i < times; i += 1) {
      yield* move
      yield* backend.elapse(2)
    }
  })
