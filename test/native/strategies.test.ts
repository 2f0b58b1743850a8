/**
 * Members that poll instead of sleeping keep the same promises, and are woken if they do sleep.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Messenger } from "../../src/services/Messenger.ts"
import type { WaitStrategy } from "../../src/services/Ring.ts"
import { nativeSwarms } from "../backends/native/swarm.ts"
import { at, enterAll, joinAll, swarmTest } from "../backends/swarm.ts"

const Tick = Messenger.event("tick", Schema.Int)

const ways: ReadonlyArray<readonly [string, ReadonlyArray<WaitStrategy>]> = [
  ["that spin", ["spin", "spin", "spin"]],
  ["that look for a moment and then sleep", ["adaptive", "adaptive", "adaptive"]],
  ["of every kind together", ["park", "spin", "adaptive"]]
]

describe("members of a swarm", () => {
  for (const [which, strategies] of ways) {
    swarmTest(
      nativeSwarms,
      `${which} meet at every kind of barrier, with what was sent ahead`,
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, strategies.length, (i) => ({ strategy: strategies[i] }))
          const handled = members.map(() => 0)
          for (const [i, { messenger }] of members.entries()) {
            yield* messenger.subscribe(Tick, () =>
              Effect.andThen(
                Effect.yieldNow,
                Effect.sync(() => {
                  handled[i] = (handled[i] ?? 0) + 1
                })
              ))
          }
          for (let round = 1; round <= 20; round += 1) {
            for (const { messenger } of members) yield* messenger.send(Tick, round, "world")
            for (const mode of ["rendezvous", "deliveryFence", "processingFence"] as const) {
              const results = yield* enterAll(members, mode, { mode })
              assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied", "Satisfied"])
            }
            assert.deepStrictEqual(handled, members.map(() => round * members.length))
          }
          // They leave while the others still poll.
          yield* at(members, 1).close
          const rest = [at(members, 0), at(members, 2)]
          for (const { coordinator } of rest) yield* coordinator.awaitMembers(({ length }) => length === 2)
          yield* enterAll(rest, "rest")
        })
    )
  }
})
