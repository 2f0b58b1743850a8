import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ActorMessage, startActor } from "./harness.ts"

const isDone = (message: ActorMessage): message is ActorMessage & { readonly _tag: "done" } => message._tag === "done"

it.live("a process that ends has told its test everything, however long the test does not listen", () =>
  Effect.gen(function*() {
    const messages = 2000
    const actor = yield* startActor("talkativeActor.ts", [String(messages)])
    yield* actor.acknowledged(1)
    const until = performance.now() + 300
    while (performance.now() < until) continue
    const { records } = yield* actor.told(isDone)
    assert.strictEqual(records, messages)
    yield* actor.acknowledged(messages)
    yield* actor.exit
  }).pipe(Effect.scoped))
