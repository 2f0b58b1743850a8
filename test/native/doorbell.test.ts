/**
 * By what an attachment is rung: a FIFO that its event loop polls, or a thread where none can be had.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import { readdirSync, statSync, unlinkSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { DoorbellKind } from "../../src/layers/native/region/Doorbell.ts"
import { NativeRegion } from "../../src/layers/native/region/NativeRegion.ts"
import * as Regions from "../../src/layers/Regions.ts"
import { sleepsFor } from "../../src/native/binding.ts"
import { smallGeometry } from "../backends/log.ts"
import { freshRegion } from "../processes/harness.ts"

/** Below the time after which a sleeper looks at its own word, and finds a ring that did not come. */
const soonMillis = 60

const count = (folder: string): number => readdirSync(folder).length
const threads = () => count("/proc/self/task")
const descriptors = () => count("/proc/self/fd")

const bellsOf = (region: string): ReadonlyArray<string> =>
  readdirSync(CxlMemory.shmFolder).filter((name) => name.startsWith(`ringfence-${region}.bell-`))

const created = (region: string) =>
  Effect.map(
    Layer.build(CxlMemory.layerShm({ region, geometry: smallGeometry })),
    (context) => Context.get(context, NativeRegion)
  )

const attached = (region: string) =>
  Effect.map(
    Layer.build(CxlMemory.layerAttach({ region })),
    (context) => Context.get(context, NativeRegion)
  )

type Attached = NativeRegion["Service"]

/** The pool of threads that creates regions is there from the first creation on. */
const poolIsThere = Effect.scoped(created(freshRegion("pool")))

/** Rings a sleeper through the memory, once it sleeps, and returns the milliseconds until its fiber went on. */
const millisToWake = (ringer: Attached, sleeper: Attached): Effect.Effect<number, CxlMemory.RegionLost> =>
  Effect.gen(function*() {
    let isThere = false
    const waiting = yield* Effect.forkChild(
      sleeper.waiter.untilRungFor(sleepsFor.data, () => isThere ? performance.now() : undefined),
      { startImmediately: true }
    )
    yield* Effect.sleep(2)
    isThere = true
    const rung = performance.now()
    ringer.handle.wakeProcess(sleeper.handle.info().slot)
    return (yield* Fiber.join(waiting)) - rung
  })

const expectSoon = (ringer: Attached, sleeper: Attached) =>
  Effect.gen(function*() {
    const millis: Array<number> = []
    for (let i = 0; i < 10; i += 1) millis.push(yield* millisToWake(ringer, sleeper))
    assert.isBelow(millis.toSorted((a, b) => a - b)[5]!, soonMillis)
  })

const live = (promise: string, run: (region: string) => Effect.Effect<void, unknown, Scope.Scope>, millis?: number) =>
  it.live(promise, () => {
    const region = freshRegion("doorbell")
    return Effect.scoped(run(region)).pipe(
      Effect.andThen(Effect.sync(() => assert.deepStrictEqual(bellsOf(region), [])))
    )
  }, millis)

describe.skipIf(process.platform !== "linux")("a doorbell", () => {
  live(
    "is a FIFO that the event loop polls, without a thread, and goes with the region's name",
    (region) =>
      Effect.gen(function*() {
        yield* poolIsThere
        const before = threads()
        const ringer = yield* created(region)
        const sleeper = yield* attached(region)
        assert.strictEqual(threads(), before)
        assert.strictEqual(bellsOf(region).length, 2)
        for (const name of bellsOf(region)) assert.isTrue(statSync(`${CxlMemory.shmFolder}/${name}`).isFIFO())
        yield* expectSoon(ringer, sleeper)
        assert.strictEqual(threads(), before)
      })
  )

  live("is a thread where that is asked for, and in anonymous memory", (region) =>
    Effect.gen(function*() {
      yield* poolIsThere
      const before = threads()
      const ringer = yield* created(region)
      const sleeper = yield* attached(region)
      assert.deepStrictEqual(bellsOf(region), [])
      assert.strictEqual(threads(), before + 2)
      yield* expectSoon(ringer, sleeper)
    }).pipe(Effect.provideService(DoorbellKind, "thread")))

  live("gets a thread once a process could not ring its FIFO, and is late once", (region) =>
    Effect.gen(function*() {
      const ringer = yield* created(region)
      const sleeper = yield* attached(region)
      for (const name of bellsOf(region)) unlinkSync(`${CxlMemory.shmFolder}/${name}`)
      assert.isBelow(yield* millisToWake(ringer, sleeper), 1000)
      yield* expectSoon(ringer, sleeper)
    }))

  live("of five hundred attachments leaves descriptors and threads as they were", (region) =>
    Effect.gen(function*() {
      const ringer = yield* created(region)
      const once = Effect.scoped(Effect.flatMap(attached(region), (sleeper) => millisToWake(ringer, sleeper)))
      yield* once
      const before = { threads: threads(), descriptors: descriptors() }
      for (let i = 0; i < 500; i += 1) {
        yield* Effect.scoped(Effect.flatMap(attached(region), (sleeper) =>
          Effect.sync(() =>
            ringer.handle.wakeProcess(sleeper.handle.info().slot)
          )))
      }
      yield* once
      assert.isAtMost(threads(), before.threads)
      assert.isAtMost(descriptors(), before.descriptors + 1)
      assert.strictEqual(bellsOf(region).length, 2)
    }))

  live(
    "ends with the worker thread whose event loop polls it, in the midst of a wait",
    (region) =>
      Effect.gen(function*() {
        const layers = JSON.stringify(import.meta.resolve("../../src/layers/CxlMemory.ts"))
        const services = JSON.stringify(import.meta.resolve("../../src/layers/native/region/NativeRegion.ts"))
        const modules = ["Context", "Effect", "Layer"].map((name) =>
          JSON.stringify(import.meta.resolve(`effect/${name}`))
        )
        const imported = `const [Context, Effect, Layer, { layerAttach, layerShm }, { NativeRegion }] =
        await Promise.all([${[...modules, layers, services].join(", ")}].map((url) => import(url)));`
        const worker = `${imported}
        import { parentPort } from "node:worker_threads"
        await Effect.runPromise(Effect.gen(function*() {
          const { handle, waiter } = Context.get(yield* Layer.build(layerAttach({ region: "${region}" })), NativeRegion)
          yield* Effect.forkChild(waiter.untilRungFor(${sleepsFor.data}, () => undefined), { startImmediately: true })
          parentPort.postMessage(handle.info().slot)
          yield* Effect.never
        }).pipe(Effect.scoped))`
        const program = `${imported}
        import { once } from "node:events"
        import { readdirSync } from "node:fs"
        import { Worker } from "node:worker_threads"
        const counts = () => ["fd", "task"].map((of) => readdirSync("/proc/self/" + of).length)
        // The least of several: the system goes on counting a thread for a moment after its end was told.
        const left = async () => {
          let least = counts()
          for (let look = 0; look < 20; look += 1) {
            await new Promise((resolve) => setTimeout(resolve, 5))
            least = counts().map((count, at) => Math.min(count, least[at]))
          }
          return least
        }
        await Effect.runPromise(Effect.gen(function*() {
          const options = { region: "${region}", geometry: ${JSON.stringify(smallGeometry)} }
          const { handle } = Context.get(yield* Layer.build(layerShm(options)), NativeRegion)
          const all = []
          for (let round = 0; round < 4; round += 1) {
            const worker = new Worker(${JSON.stringify(worker)}, { eval: true })
            const [slot] = yield* Effect.promise(() => once(worker, "message"))
            handle.wakeProcess(slot)
            yield* Effect.promise(() => worker.terminate())
            all.push(yield* Effect.promise(left))
          }
          process.stdout.write(JSON.stringify(all))
        }).pipe(Effect.scoped))`
        const ran = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
          timeout: 90_000,
          encoding: "utf8"
        })
        assert.strictEqual(ran.status, 0, ran.stderr)
        const all: ReadonlyArray<ReadonlyArray<number>> = JSON.parse(ran.stdout)
        assert.deepStrictEqual(all[3], all[1])
      }),
    100_000
  )

  live("keeps the process alive only while a fiber waits", (region) =>
    Effect.sync(() => {
      const program = (waits: boolean) => `
        import * as Effect from "effect/Effect"
        import * as Layer from "effect/Layer"
        import * as Context from "effect/Context"
        import { layerShm, NativeRegion } from "${import.meta.resolve("../../src/layers/CxlMemory.ts")}"
        const options = { region: "${region}", geometry: ${JSON.stringify(smallGeometry)} }
        await Effect.runPromise(Effect.gen(function*() {
          const context = yield* Layer.build(layerShm(options))
          const { waiter } = Context.get(context, NativeRegion)
          const wait = waiter.untilRungFor(${sleepsFor.data}, () => undefined)
          if (${waits}) yield* Effect.forkChild(wait, { startImmediately: true })
          process.on("exit", () => process.stdout.write("idle"))
          process.send?.("up")
          yield* Effect.never
        }).pipe(Effect.scoped))`
      const run = (waits: boolean) =>
        spawnSync(process.execPath, ["--input-type=module", "-e", program(waits)], { timeout: 3000, encoding: "utf8" })
      const idle = run(false)
      assert.strictEqual(idle.stdout, "idle", idle.stderr)
      assert.strictEqual(run(true).signal, "SIGTERM")
    }).pipe(
      Effect.andThen(Regions.removeDead(CxlMemory.regionPath(region), { discard: true }))
    ))
})
