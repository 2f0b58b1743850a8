/**
 * Processes in one heap, through the layers that programs provide.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import { makeRing } from "../../src/layers/ring/makeRing.ts"
import * as Rings from "../../src/layers/Rings.ts"
import { CxlMemory } from "../../src/services/CxlMemory.ts"
import { Ring } from "../../src/services/Ring.ts"
import { numbers, sequencesOf, stamped } from "../suites/ring/stamps.ts"

const geometry = { rings: 2, ringBytes: 4096, processes: 3 }

describe("processes in one heap", () => {
  it.effect("layers of two processes share the region's rings, and each knows itself", () =>
    Effect.gen(function*() {
      const region = yield* Rings.makeHeapRegion({ region: "shared", geometry })
      const sending = Effect.gen(function*() {
        const writer = yield* Ring.writer({ name: "ring" })
        const { cursorWaiter, readers } = yield* RingPorts
        yield* cursorWaiter.until(() => readers(writer.ring).length === 1 ? true : undefined)
        for (let i = 0; i < 100; i += 1) yield* writer.send(stamped(i, 300))
        return (yield* RingPorts).self
      })
      const receiving = Effect.gen(function*() {
        const reader = yield* Ring.reader({ name: "ring", awaitWriter: true })
        const got: Array<number> = []
        while (got.length < 100) got.push(...sequencesOf(yield* reader.pull))
        return { got, self: (yield* RingPorts).self, info: (yield* CxlMemory).info }
      })
      const as = (processName: string) => Effect.provide(Rings.layerHeapProcess(region, { processName }))
      const [receiver, sender] = yield* Effect.all([
        receiving.pipe(Effect.scoped, as("receiver")),
        sending.pipe(Effect.scoped, as("sender"))
      ], { concurrency: 2 })
      assert.deepStrictEqual(receiver.got, numbers(0, 100))
      assert.deepStrictEqual([receiver.self, sender], [{ process: 0, generation: 1 }, { process: 1, generation: 1 }])
      assert.deepInclude(receiver.info, { name: "shared", backing: "heap", bytes: 8192 })
      assert.deepInclude(receiver.info.geometry, geometry)
    }))

  it.effect("a killed process waits for ever; a detached process learns that the region is gone", () =>
    Effect.gen(function*() {
      const region = yield* Rings.makeHeapRegion({ geometry })
      const observer = yield* process(region, "observer")
      for (const ends of ["killed", "detached"] as const) {
        const scope = yield* Scope.make()
        const member = yield* Scope.provide(process(region, "member"), scope)
        const writer = yield* makeRing(member.ring).writer({ name: "ring" })
        const reader = yield* makeRing(member.ring).reader({ name: "ring" })
        const pulling = yield* Effect.forkChild(reader.pull, { startImmediately: true })
        yield* TestClock.adjust(1)
        yield* ends === "killed"
          ? Rings.killHeapProcess(region, member.ring.self.process)
          : Scope.close(scope, Exit.void)
        assert.isFalse(writer.offer(stamped(1)))
        yield* TestClock.adjust("1 hour")
        const exit = pulling.pollUnsafe()
        if (ends === "killed") {
          assert.isUndefined(exit)
          const opening = yield* Effect.forkChild(
            makeRing(member.ring).writer({ name: "other" })
          )
          yield* TestClock.adjust(1)
          assert.isUndefined(opening.pollUnsafe())
          yield* Fiber.interruptAll([pulling, opening])
          yield* Scope.close(scope, Exit.void)
        } else {
          assert.strictEqual(exit?._tag, "Failure")
          assert.match(String(exit), /RegionLost/)
        }
        const shown = (yield* observer.memory.processes).map(({ alive, name }) => ({ alive, name }))
        assert.deepStrictEqual(shown, [{ alive: true, name: "observer" }, { alive: false, name: "member" }])
      }
    }))

  it.effect("the ringing fiber goes on first: waiting fibers check again in a turn of their own", () =>
    Effect.gen(function*() {
      const region = yield* Rings.makeHeapRegion({ geometry })
      const { ring } = yield* process(region, "process")
      const port = yield* ring.openWriter("ring")
      yield* ring.openReader("ring")
      let looks = 0
      const waiting = yield* Effect.forkChild(
        ring.waiter.until(() => {
          looks += 1
          return looks > 2 ? true : undefined
        }),
        { startImmediately: true }
      )
      assert.strictEqual(looks, 1)
      port.append({ kind: 16, flags: 0, type: 0, sender: 0, senderGeneration: 0, correlation: 0 }, stamped(1))
      port.publish()
      assert.strictEqual(looks, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(looks, 2)
      yield* Rings.killHeapProcess(region, 99)
      port.evictSlowest()
      yield* Fiber.join(waiting)
      assert.strictEqual(looks, 3)
    }))
})

// --- internal ---

const process = (region: Rings.HeapRegion, processName: string) =>
  Effect.map(
    Layer.build(Rings.layerHeapProcess(region, { processName })),
    (context) => ({ ring: Context.get(context, RingPorts), memory: Context.get(context, CxlMemory) })
  )
