/**
 * A handler that is held in its first message, so that a round must wait for it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import { Messenger } from "../../src/services/Messenger.ts"
import type { TestMember } from "../backends/swarm.ts"

export const Tick = Messenger.event("tick", Schema.Int)

/** A handler of ticks that stays in the first one until the gate opens. */
export const parked = Effect.fnUntraced(function*(member: TestMember) {
  const gate = yield* Latch.make(false)
  const begun = yield* Deferred.make<void>()
  const handled: Array<number> = []
  yield* member.messenger.subscribe(Tick, (value) =>
    Effect.gen(function*() {
      yield* Deferred.succeed(begun, undefined)
      yield* gate.await
      handled.push(value)
    }))
  // Open the gate at the end: closing a subscription waits for its handler.
  yield* Effect.addFinalizer(() => gate.open)
  return { gate, begun: Deferred.await(begun), handled }
})
