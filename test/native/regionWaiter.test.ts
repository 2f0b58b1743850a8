/**
 * In which order a woken process looks at what it waits for.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { RegionWaiter } from "../../src/layers/native/region/RegionWaiter.ts"
import type { RegionHandle } from "../../src/native/binding.ts"

const frames = 16

/** A doorbell without a region. */
class Doorbell {
  wake: () => void = () => undefined
  arms = 0
  /** Called when the doorbell is armed: what other processes do just before. */
  onArm: () => void = () => undefined
  readonly waiter: Pick<RegionWaiter, "forRings" | "close">

  constructor() {
    const handle: Pick<RegionHandle, "startWaiter" | "armWaiter" | "disarmWaiter" | "waiterHeard"> = {
      startWaiter: (wake) => {
        this.wake = wake
        return -1
      },
      waiterHeard: () => false,
      armWaiter: () => {
        this.arms += 1
        this.onArm()
      },
      disarmWaiter: () => undefined
    }
    this.waiter = new RegionWaiter(handle as RegionHandle, "region")
  }
}

interface Ring {
  stirred: boolean
  ready: boolean
}

describe("a woken process", () => {
  it.effect("begins with what was waited for last, and leaves out what is not stirred until it has armed again", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const { until } = doorbell.waiter.forRings(frames)
      const rings: ReadonlyArray<Ring> = Array.from({ length: 4 }, () => ({ stirred: false, ready: false }))
      let order: Array<string> = []
      const wait = (ring: number) =>
        Effect.forkChild(
          until(() => {
            order.push(`check ${ring}`)
            return rings[ring]!.ready ? ring : undefined
          }, () => rings[ring]!.stirred),
          { startImmediately: true }
        )
      const fibers = yield* Effect.forEach([0, 1, 2, 3], wait)
      for (const ring of [0, 2]) {
        rings[ring]!.stirred = true
        rings[ring]!.ready = true
      }
      order = []
      doorbell.onArm = () => order.push("arm")
      doorbell.wake()
      assert.strictEqual(yield* Fiber.join(fibers[2]!), 2)
      assert.strictEqual(yield* Fiber.join(fibers[0]!), 0)
      assert.deepStrictEqual(order, ["check 2", "check 0", "arm", "check 1", "check 3"])
      yield* Fiber.interruptAll(fibers)
    }))

  it.effect("finds what does not show at a glance, such as an eviction, before it sleeps", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const { until } = doorbell.waiter.forRings(frames)
      let isEvicted = false
      const fiber = yield* Effect.forkChild(until(() => isEvicted ? "evicted" : undefined, () => false), {
        startImmediately: true
      })
      isEvicted = true
      doorbell.wake()
      assert.strictEqual(yield* Fiber.join(fiber), "evicted")
    }))

  it.effect("misses nothing that comes between its look and its arming", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const { until } = doorbell.waiter.forRings(frames)
      const ring: Ring = { stirred: false, ready: false }
      const fiber = yield* Effect.forkChild(until(() => ring.ready ? true : undefined, () => ring.stirred), {
        startImmediately: true
      })
      doorbell.onArm = () => {
        ring.ready = true
      }
      doorbell.wake()
      assert.isTrue(yield* Fiber.join(fiber))
    }))
})
