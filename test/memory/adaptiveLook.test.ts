/**
 * How long a member that polls looks before it sleeps.
 */
import { assert, describe, it } from "@effect/vitest"
import { AdaptiveLook } from "../../src/layers/swarm/transport/AdaptiveLook.ts"

const now = 1_000_000_000

describe("an adaptive look", () => {
  it("lasts for about a wake-up while messages come soon", () => {
    const look = new AdaptiveLook(2)
    for (let message = 0; message < 100; message += 1) {
      look.found()
      assert.isAbove(look.microsAt(now), 50)
      assert.isBelow(look.microsAt(now), 500)
    }
  })

  it("shrinks to nothing while a member waits long each time, and comes back with the first short wait", () => {
    const look = new AdaptiveLook(2)
    const lengths = Array.from({ length: 10 }, () => {
      look.slept(50_000)
      return look.microsAt(now)
    })
    assert.deepStrictEqual(lengths, lengths.toSorted((a, b) => b - a))
    assert.strictEqual(lengths.at(-1), 0)
    assert.isBelow(lengths.reduce((sum, micros) => sum + micros, 0), 200)
    look.slept(150)
    assert.isAbove(look.microsAt(now), 50)
  })

  it("pauses when it loses the processor, longer each time that a look is disturbed, and not for good", () => {
    const look = new AdaptiveLook(2)
    const pauses: Array<number> = []
    let at = now
    for (let times = 0; times < 10; times += 1) {
      look.disturbed(at)
      let pause = 0
      while (look.microsAt(at + pause) === 0) pause += 1000
      pauses.push(pause)
      at += pause
    }
    assert.deepStrictEqual(pauses, pauses.toSorted((a, b) => a - b))
    assert.strictEqual(pauses[0], 10_000)
    assert.strictEqual(pauses.at(-1), 1_000_000)
    look.disturbed(at + 10_000_000)
    assert.isAbove(look.microsAt(at + 10_000_000 + 10_000), 0)
  })

  it("lets others look beside it as long as a core stays free of them", () => {
    assert.deepStrictEqual([1, 2, 3, 8].map((cores) => new AdaptiveLook(cores).others), [0, 0, 1, 6])
  })

  it("never begins where no other process could write meanwhile", () => {
    const look = new AdaptiveLook(1)
    look.found()
    look.slept(1)
    assert.strictEqual(look.microsAt(now), 0)
  })
})
