/**
 * What the three modes of a barrier promise.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import { Messenger } from "../../../src/services/Messenger.ts"
import {
  at,
  enterAll,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest
} from "../../backends/swarm.ts"

const Tick = Messenger.event("tick", Schema.Int)

export const barrierModesSuite = (backend: SwarmBackend): void => {
  describe(`barrier modes (${backend.name})`, () => {
    swarmTest(
      backend,
      "a delivery fence returns after the handler of what was sent ahead has begun",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 3)
          const begun: Array<number> = []
          yield* at(members, 0).messenger.subscribe(Tick, (value) => Effect.sync(() => void begun.push(value)))
          for (let round = 0; round < 20; round += 1) {
            yield* at(members, 1).messenger.send(Tick, round)
            const results = yield* enterAll(members, "fence")
            assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied", "Satisfied"])
            assert.strictEqual(begun.length, round + 1)
          }
        })
    )

    for (const index of [0, 1]) {
      const who = index === 0 ? "the coordinator" : "a member"
      swarmTest(
        backend,
        `a delivery fence that has to wait in ${who} returns when the last handler has begun`,
        (swarm) =>
          Effect.gen(function*() {
            const members = yield* joinAll(swarm, 2)
            const begun: Array<number> = []
            const gate = yield* Latch.make(false)
            yield* at(members, index).messenger.subscribe(Tick, (value) =>
              Effect.gen(function*() {
                begun.push(value)
                yield* gate.await
              }))
            for (const value of [1, 2]) yield* at(members, 1 - index).messenger.send(Tick, value)
            const seen = yield* fork(Effect.map(at(members, index).barrier.enter("fence"), () => [...begun]))
            yield* fork(at(members, 1 - index).barrier.enter("fence"))
            yield* staysWaiting(backend, seen)
            yield* gate.open
            assert.deepStrictEqual(yield* joined(backend, seen), [1, 2])
          })
      )
    }
  })
}
