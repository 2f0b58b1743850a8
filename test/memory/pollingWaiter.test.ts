/**
 * The waits of a member that polls before it sleeps.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import type { Waiter } from "../../src/layers/ports/Waiter.ts"
import { pollingBy } from "../../src/layers/swarm/transport/PollingWaiter.ts"
import { RegionLost } from "../../src/services/CxlMemory.ts"

/** Counts the sleeps, and ends them by `ring`, as a doorbell does. */
class Doorbell implements Waiter {
  sleeps = 0
  readonly sleepers = new Set<() => void>()
  #lost: RegionLost | undefined

  readonly until: Waiter["until"] = <A>(check: () => A | undefined) =>
    Effect.callback<A, RegionLost>((resume) => {
      const first = check()
      if (first !== undefined) return resume(Effect.succeed(first))
      this.sleeps += 1
      const sleeper = () => {
        const found = this.#lost ?? check()
        if (found === undefined) return
        this.sleepers.delete(sleeper)
        resume(found instanceof RegionLost ? Effect.fail(found) : Effect.succeed(found as A))
      }
      this.sleepers.add(sleeper)
      return Effect.sync(() => void this.sleepers.delete(sleeper))
    })

  ring(lost?: RegionLost): void {
    this.#lost = lost
    for (const sleeper of Array.from(this.sleepers)) sleeper()
  }
}

/** Counts the looks of this process, of which it may begin no more once it `isCrowded`. */
class Lookers {
  looks = 0
  begun = 0
  isCrowded = false

  readonly beginLook = (): boolean => {
    if (this.isCrowded) return false
    this.looks += 1
    this.begun += 1
    return true
  }

  readonly endLook = (): void => {
    this.looks -= 1
  }
}

const waiterOf = (doorbell: Doorbell, strategy: "spin" | "adaptive", lookers = new Lookers()) =>
  Effect.map(
    pollingBy(
      strategy,
      { waiter: doorbell, cursorWaiter: doorbell, ...lookers } as unknown as RingPorts["Service"]
    ),
    ({ waiter }) => waiter
  )

/** Lets the event loop turn until it is so. */
const until = (isSo: () => boolean) =>
  Effect.callback<void>((resume) => {
    const turn = () => isSo() ? resume(Effect.void) : void setImmediate(turn)
    turn()
  })

describe("polling waits", () => {
  it.live("all waits of a member sleep as one, and a ring of the doorbell ends those that have something", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const waiter = yield* waiterOf(doorbell, "adaptive")
      const words = [0, 0, 0, 0, 0]
      const fibers = yield* Effect.forEach(
        words,
        (_, i) =>
          Effect.forkChild(waiter.until(() => words[i] === 0 ? undefined : words[i]), { startImmediately: true })
      )
      yield* until(() => doorbell.sleepers.size > 0)
      assert.strictEqual(doorbell.sleeps, 1)
      words[3] = 7
      doorbell.ring()
      assert.strictEqual(yield* Fiber.join(fibers[3]!), 7)
      assert.isUndefined(fibers[0]!.pollUnsafe())
      yield* until(() => doorbell.sleepers.size > 0)
      // A wait that begins meanwhile needs no sleep of its own.
      const later = yield* Effect.forkChild(waiter.until(() => words[0] === 9 ? 9 : undefined), {
        startImmediately: true
      })
      const { sleeps } = doorbell
      words[0] = 9
      doorbell.ring()
      assert.strictEqual(yield* Fiber.join(later), 9)
      assert.strictEqual(yield* Fiber.join(fibers[0]!), 9)
      assert.strictEqual(doorbell.sleeps, sleeps)
    }).pipe(Effect.scoped))

  it.live("while messages come soon the member never sleeps, so that no writer has to ring it", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const waiter = yield* waiterOf(doorbell, "adaptive")
      let word = 0
      const writing = setInterval(() => undefined, 1000)
      for (let message = 1; message <= 200; message += 1) {
        setImmediate(() => {
          word = message
        })
        assert.strictEqual(yield* waiter.until(() => word === message ? word : undefined), message)
      }
      clearInterval(writing)
      // Where other work takes the processor away, a member sleeps in between.
      assert.isBelow(doorbell.sleeps, 100)
    }).pipe(Effect.scoped))

  it.live("the end of the last wait ends the sleep, and the loss of the region ends every wait", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const waiter = yield* waiterOf(doorbell, "adaptive")
      const waiting = yield* Effect.forkChild(waiter.until(() => undefined), { startImmediately: true })
      yield* until(() => doorbell.sleepers.size > 0)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(doorbell.sleepers.size, 0)
      const lost = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(Effect.flip(waiter.until(() => undefined)), { startImmediately: true })
      )
      yield* until(() => doorbell.sleepers.size > 0)
      doorbell.ring(new RegionLost({ region: "r", reason: "stopped" }))
      for (const fiber of lost) assert.strictEqual((yield* Fiber.join(fiber))._tag, "RegionLost")
    }).pipe(Effect.scoped))

  it.live("a member sleeps behind its first turn while enough other processes look", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const lookers = new Lookers()
      lookers.isCrowded = true
      const waiter = yield* waiterOf(doorbell, "adaptive", lookers)
      let word = 0
      let turns = 0
      for (let message = 1; message <= 20; message += 1) {
        const waiting = yield* Effect.forkChild(waiter.until(() => word === message ? word : undefined), {
          startImmediately: true
        })
        yield* until(() => (turns += 1) > 0 && doorbell.sleepers.size > 0)
        word = message
        doorbell.ring()
        assert.strictEqual(yield* Fiber.join(waiting), message)
      }
      // Not alone would it look for as long as a wake-up takes, which is several turns.
      assert.isAtMost(turns, 3 * 20)
      assert.strictEqual(lookers.begun, 0)
    }).pipe(Effect.scoped))

  it.live("a member counts among those that look from its second turn until it finds something, sleeps or ends", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const lookers = new Lookers()
      const waiter = yield* waiterOf(doorbell, "spin", lookers)
      let word = 0
      const waiting = yield* Effect.forkChild(waiter.until(() => word === 0 ? undefined : lookers.looks), {
        startImmediately: true
      })
      assert.strictEqual(lookers.looks, 0)
      yield* until(() => lookers.looks === 1)
      word = 1
      assert.strictEqual(yield* Fiber.join(waiting), 1)
      assert.strictEqual(lookers.looks, 0)
      const ending = yield* Effect.forkChild(waiter.until(() => undefined), { startImmediately: true })
      yield* until(() => lookers.looks === 1)
      yield* Fiber.interrupt(ending)
      assert.strictEqual(lookers.looks, 0)
      // Where a first turn takes as long as a whole look, on a busy machine, it sleeps at once: then another is asked.
      for (const before = lookers.begun; lookers.begun === before;) {
        const adapting = yield* waiterOf(doorbell, "adaptive", lookers)
        const sleeping = yield* Effect.forkChild(adapting.until(() => undefined), { startImmediately: true })
        yield* until(() => doorbell.sleepers.size > 0)
        assert.strictEqual(lookers.looks, 0)
        yield* Fiber.interrupt(sleeping)
      }
    }).pipe(Effect.scoped))

  it.live("a member that spins never sleeps", () =>
    Effect.gen(function*() {
      const doorbell = new Doorbell()
      const waiter = yield* waiterOf(doorbell, "spin")
      const waiting = yield* Effect.forkChild(waiter.until(() => undefined), { startImmediately: true })
      let turns = 0
      yield* until(() => (turns += 1) > 100)
      assert.strictEqual(doorbell.sleeps, 0)
      yield* Fiber.interrupt(waiting)
    }).pipe(Effect.scoped))
})
