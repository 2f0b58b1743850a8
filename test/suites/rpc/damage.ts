/**
 * Frames that are not messages, and payloads that their Schema rejects, are refused and counted, and do not affect
 * other calls.
 */
import { assert, describe } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { flatEnvelopes } from "../../../src/layers/rpc/FlatEnvelope.ts"
import { frameKind, one } from "../../../src/layers/swarm/transport/FrameAddress.ts"
import { encodeRejection } from "../../../src/layers/swarm/transport/Rejections.ts"
import { MessageTooLarge } from "../../../src/services/Ring.ts"
import { typeHash } from "../../../src/services/schema/TypeHash.ts"
import {
  at,
  eventually,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest
} from "../../backends/swarm.ts"
import { seeded } from "../../processes/harness.ts"
import { callerOf, callError, driven, Log, serve } from "./ends.ts"

class Calls extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int }),
  Rpc.make("Hold", { payload: { key: Schema.String }, success: Schema.String }),
  Rpc.make("Count", { success: Schema.Int, stream: true })
) {}

/** The procedures as a caller of another version knows them. */
class Others extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.String, b: Schema.String }, success: Schema.Int }),
  Rpc.make("Unknown", { success: Schema.Int })
) {}

/** A server of another version. */
class Wrong extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.String }),
  Rpc.make("Count", { success: Schema.String, stream: true })
) {}

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)

const service = typeHash("rpc")

const handlers = (log: Log, hold: Latch.Latch) =>
  Calls.toLayer({
    Add: ({ a, b }) => Effect.succeed(a + b),
    Hold: ({ key }) => Effect.as(Effect.andThen(log.note(`begun ${key}`), hold.await), key),
    Count: () => Stream.range(1, 5)
  })

const encode = (message: FromClientEncoded | FromServerEncoded) => flatEnvelopes.encode(message) as Uint8Array

const request = (id: number, tag: string, payload: Uint8Array) =>
  encode({ _tag: "Request", id, tag, payload, headers: [] })

/** Frames as only a broken or hostile member would send them. */
const rubbish = (random: (below: number) => number): ReadonlyArray<Uint8Array> => {
  const noise = (bytes: number) => Uint8Array.from({ length: bytes }, () => random(256))
  const whole = request(1, "Add", noise(20))
  return [
    new Uint8Array(0),
    noise(1),
    noise(100),
    new Uint8Array(2000),
    new Uint8Array(2000).fill(255),
    whole.slice(0, whole.length - 3),
    whole.slice(0, 9),
    Uint8Array.from([...whole, ...noise(7)]),
    Uint8Array.from([...whole, ...whole]),
    Uint8Array.from([...whole, 200]),
    encode({ _tag: "Pong" }),
    ...Array.from({ length: 20 }, () => {
      const spoiled = whole.slice()
      spoiled[random(spoiled.length)] = random(256)
      return spoiled
    })
  ]
}

type Swarm = Parameters<typeof joinAll>[0]

const ends = Effect.fnUntraced(function*(swarm: Swarm) {
  const members = yield* joinAll(swarm, 3)
  const log = new Log()
  const hold = Latch.makeUnsafe(false)
  const server = at(members, 1)
  const { serving } = yield* serve(server, Calls, handlers(log, hold))
  const { calling, client } = yield* callerOf(at(members, 0), Calls, { to: { member: server.id } })
  return { caller: at(members, 0), server, hostile: at(members, 2), log, hold, serving, calling, client }
})

const shown = <A, E>(exit: Exit.Exit<A, E>): string =>
  Exit.isSuccess(exit)
    ? `answered ${String(exit.value)}`
    : exit.cause.reasons.map((reason) => Cause.isDieReason(reason) ? `died: ${String(reason.defect)}` : reason._tag)
      .join()

export const rpcDamageSuite = (backend: SwarmBackend): void => {
  describe(`rpc damage (${backend.name})`, () => {
    swarmTest(
      backend,
      `requests that are no messages are counted, and calls of others go on (seed ${seed})`,
      (swarm) =>
        Effect.gen(function*() {
          const { client, hold, hostile, log, server, serving } = yield* ends(swarm)
          const held = yield* fork(client.Hold({ key: "a" }))
          yield* driven(backend, log.awaits("begun a"))
          const random = seeded(seed)
          const frames = rubbish(random)
          for (const [index, frame] of frames.entries()) {
            yield* hostile.swarmMember.mesh.send(frameKind.request, service, one(server.id), frame, index)
            yield* hostile.swarmMember.mesh.reply(frameKind.signal, service, one(server.id), frame, index)
            assert.strictEqual(yield* driven(backend, client.Add({ a: index, b: 1 })), index + 1)
          }
          assert.isAtLeast(serving.counts().unreadable, 20)
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, held), "a")
          assert.deepStrictEqual(yield* driven(backend, Stream.runCollect(client.Count(undefined))), [1, 2, 3, 4, 5])
        })
    )

    swarmTest(
      backend,
      `answers that are no messages are counted, and fail only calls that they may belong to (seed ${seed})`,
      (swarm) =>
        Effect.gen(function*() {
          const { caller, calling, client, hold, hostile, log } = yield* ends(swarm)
          const held = yield* fork(client.Hold({ key: "a" }))
          yield* driven(backend, log.awaits("begun a"))
          const random = seeded(seed)
          const frames = rubbish(random)
          // One of these has the client's number.
          for (const frame of frames) {
            for (let number = 0; number < 4; number += 1) {
              yield* hostile.swarmMember.mesh.reply(frameKind.response, service, one(caller.id), frame, number)
              yield* hostile.swarmMember.mesh.reply(frameKind.refusal, service, one(caller.id), frame, number)
            }
            assert.strictEqual(yield* driven(backend, client.Add({ a: 1, b: 1 })), 2)
          }
          assert.isAtLeast(calling.counts().unreadable, 10)
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, held), "a")
        })
    )

    swarmTest(
      backend,
      "an answer that its server spoiled is a typed error for that server's calls alone",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, client, log, server, serving } = yield* ends(swarm)
          const { client: other } = yield* callerOf(caller, Calls, { to: { member: server.id } })
          const held = yield* fork(callError(client.Hold({ key: "a" })))
          const kept = yield* fork(other.Hold({ key: "b" }))
          yield* driven(backend, Effect.andThen(log.awaits("begun a"), log.awaits("begun b")))
          // Numbers are given in the order of the first calls.
          yield* server.swarmMember.mesh.reply(frameKind.response, service, one(caller.id), new Uint8Array(9), 1)
          const error = yield* joined(backend, held)
          assert.strictEqual(error._tag, "CallUnreadable")
          yield* eventually(backend, () => serving.inFlight() === 1)
          assert.isUndefined(kept.pollUnsafe())
        })
    )

    swarmTest(
      backend,
      "a payload that its Schema rejects is counted and answered; an unknown procedure is answered",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, client, hold, log, server, serving } = yield* ends(swarm)
          const held = yield* fork(client.Hold({ key: "a" }))
          yield* driven(backend, log.awaits("begun a"))
          const { client: other } = yield* callerOf(caller, Others, { to: { member: server.id } })
          const rejected = shown(yield* driven(backend, Effect.exit(other.Add({ a: "x", b: "y" }))))
          assert.match(rejected, /^died: /)
          assert.strictEqual(serving.counts().rejected, 1)
          const unknown = shown(yield* driven(backend, Effect.exit(other.Unknown(undefined))))
          assert.match(unknown, /Unknown request tag: Unknown/)
          assert.strictEqual(yield* driven(backend, client.Add({ a: 1, b: 1 })), 2)
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, held), "a")
          yield* eventually(backend, () => serving.inFlight() === 0)
        })
    )

    swarmTest(
      backend,
      "an answer that its Schema rejects fails that call, and no other",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const server = at(members, 1)
          const wrong = Wrong.toLayer({
            Add: () => Effect.succeed("no number"),
            Count: () => Stream.make("no", "numbers")
          })
          const { serving } = yield* serve(server, Wrong, wrong)
          const { calling, client } = yield* callerOf(at(members, 0), Calls, { to: { member: server.id } })
          assert.match(shown(yield* driven(backend, Effect.exit(client.Add({ a: 1, b: 2 })))), /^died: /)
          const counted = yield* driven(backend, Effect.exit(Stream.runCollect(client.Count(undefined))))
          assert.match(shown(counted), /^died: /)
          yield* eventually(backend, () => serving.inFlight() === 0 && calling.inFlight() === 0)
        })
    )

    swarmTest(backend, "only the callee can refuse a call", (swarm) =>
      Effect.gen(function*() {
        const { caller, client, hold, hostile, log } = yield* ends(swarm)
        const held = yield* fork(client.Hold({ key: "a" }))
        yield* driven(backend, log.awaits("begun a"))
        const why = new MessageTooLarge({ ring: "", messageBytes: 2, limitBytes: 1 })
        const refusal = encodeRejection({ _tag: "Undelivered", id: null, why })
        yield* hostile.swarmMember.mesh.reply(frameKind.refusal, service, one(caller.id), refusal, 1)
        yield* staysWaiting(backend, held)
        hold.openUnsafe()
        assert.strictEqual(yield* joined(backend, held), "a")
      }))
  })
}
