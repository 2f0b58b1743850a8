/**
 * Calls to names and members: deadlines, sizes, interruption, and what they leave behind.
 */
import { assert, describe } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as RingRpc from "../../../src/layers/RingRpc.ts"
import { frameKind, one, ringNames } from "../../../src/layers/swarm/transport/FrameAddress.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import { Deadline } from "../../../src/services/RingRpc.ts"
import {
  at,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  type JoinOptions,
  staysWaiting,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { callerOf, callError, connect, driven, Log, serve } from "./ends.ts"

class LogicError extends Schema.TaggedError<LogicError>()("LogicError", { message: Schema.String }) {}
class RuntimeError extends Schema.TaggedError<RuntimeError>()("RuntimeError", { message: Schema.String }) {}

class Calls extends RpcGroup.make(
  Rpc.make("Append", {
    payload: { value: Schema.Int, text: Schema.String },
    success: Schema.String,
    error: Schema.Union([LogicError, RuntimeError])
  }),
  Rpc.make("Hold", { payload: { key: Schema.String }, success: Schema.String }),
  Rpc.make("Stubborn", { payload: { key: Schema.String }, success: Schema.String }),
  Rpc.make("Later", { payload: { millis: Schema.Int }, success: Schema.Int }),
  Rpc.make("Bytes", { payload: { bytes: Schema.Int }, success: Schema.Uint8Array }),
  Rpc.make("Length", { payload: { bytes: Schema.Uint8Array }, success: Schema.Int }),
  Rpc.make("Growing", { payload: { sizes: Schema.Array(Schema.Int) }, success: Schema.Uint8Array, stream: true }),
  Rpc.make("Slowly", {
    payload: { firstMillis: Schema.Int, nextMillis: Schema.Int },
    success: Schema.Int,
    stream: true
  })
) {}

const Tick = Messenger.event("tick", Schema.Struct({ number: Schema.Int }))

const handlers = (log: Log, hold = Latch.makeUnsafe(false)) => {
  const held = (key: string) => Effect.andThen(log.note(`begun ${key}`), hold.await)
  const interrupted = (key: string) => Effect.onInterrupt(() => log.note(`interrupted ${key}`))
  return Calls.toLayer({
    Append: ({ text, value }) => {
      if (value < 0) return Effect.fail(new LogicError({ message: `logic: ${text}` }))
      return value === 0
        ? Effect.fail(new RuntimeError({ message: `runtime: ${text}` }))
        : Effect.succeed(`${value}: ${text}`)
    },
    Hold: ({ key }) => Effect.as(held(key), key).pipe(interrupted(key)),
    Stubborn: ({ key }) => Effect.uninterruptible(Effect.as(Effect.andThen(held(key), log.note(`ended ${key}`)), key)),
    Later: ({ millis }) => Effect.as(Effect.sleep(millis), millis),
    Bytes: ({ bytes }) => Effect.succeed(new Uint8Array(bytes).fill(7)),
    Length: ({ bytes }) => Effect.succeed(bytes.length),
    Growing: ({ sizes }) =>
      Stream.fromIterable(sizes).pipe(
        Stream.rechunk(1),
        Stream.map((size) => new Uint8Array(size)),
        Stream.concat(Stream.never),
        Stream.ensuring(log.note("growing ended"))
      ),
    Slowly: ({ firstMillis, nextMillis }) =>
      Stream.range(0, 3).pipe(
        Stream.rechunk(1),
        Stream.tap((n) => Effect.sleep(n === 0 ? firstMillis : nextMillis)),
        Stream.ensuring(log.note("slowly ended"))
      )
  })
}

type Swarm = Parameters<typeof joinAll>[0]

/** A server on the second member, and a client on the first. */
const serving = Effect.fnUntraced(
  function*(
    swarm: Swarm,
    options: Omit<RingRpc.ClientOptions, "to"> & Pick<JoinOptions, "messageBytesMax" | "roomDeadline"> = {}
  ) {
    const { messageBytesMax, roomDeadline } = options
    const members = yield* joinAll(swarm, 2, () => ({ messageBytesMax, roomDeadline }))
    const [here, there] = [at(members, 0), at(members, 1)]
    const log = new Log()
    const hold = Latch.makeUnsafe(false)
    const server = yield* serve(there, Calls, handlers(log, hold))
    const caller = yield* callerOf(here, Calls, { ...options, to: { member: there.id } })
    return { here, there, log, hold, server, ...caller }
  }
)

/** Asserts that neither side keeps any call. */
const nothingLeft = Effect.fnUntraced(function*(
  backend: SwarmBackend,
  { calling, server }: Pick<Effect.Success<ReturnType<typeof serving>>, "calling" | "server">
) {
  yield* eventually(backend, () => server.serving.inFlight() === 0 && calling.inFlight() === 0, "a call is left")
})

export const rpcCallsSuite = (backend: SwarmBackend): void => {
  describe(`rpc calls (${backend.name})`, () => {
    swarmTest(
      backend,
      "S05 rpc_append: a named object's answers and errors arrive with their type and text",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const owner = at(members, 1)
          const { serving } = yield* serve(owner, Calls, handlers(new Log()))
          yield* owner.coordinator.publish("appender")
          const { client } = yield* callerOf(at(members, 0), Calls, { to: { name: "appender" } })
          const rounds = Effect.forEach(Array.from({ length: 100 }, (_, round) => round), (round) =>
            Effect.gen(function*() {
              assert.strictEqual(yield* client.Append({ value: 1 + round, text: "a" }), `${1 + round}: a`)
              const logic = yield* Effect.flip(client.Append({ value: -1, text: `b${round}` }))
              const runtime = yield* Effect.flip(client.Append({ value: 0, text: `c${round}` }))
              assert.instanceOf(logic, LogicError)
              assert.strictEqual(logic.message, `logic: b${round}`)
              assert.instanceOf(runtime, RuntimeError)
              assert.strictEqual(runtime.message, `runtime: c${round}`)
            }), { discard: true })
          yield* driven(backend, rounds)
          assert.strictEqual(serving.counts().accepted, 300)
        })
    )

    swarmTest(
      backend,
      "a deadline that is no time to wait fails that call, or the making of its client",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const call = ends.client.Append({ value: 1, text: "a" })
          const error = yield* driven(backend, callError(Effect.provideService(call, Deadline, -1)))
          assert.strictEqual(error._tag, "DurationInvalid")
          const made = callerOf(ends.here, Calls, { to: { member: ends.there.id }, deadline: NaN })
          assert.strictEqual((yield* Effect.flip(made))._tag, "DurationInvalid")
          assert.strictEqual(yield* driven(backend, call), "1: a")
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S06 a deadline that passes interrupts the handler, fails that call alone, and leaves nothing",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm, { deadline: 100 })
          const { client, hold, log } = ends
          const late = yield* fork(callError(client.Hold({ key: "a" })))
          const other = yield* fork(Effect.provideService(client.Hold({ key: "b" }), Deadline, "10 seconds"))
          const error = yield* joined(backend, late)
          assert.strictEqual(error._tag, "CallTimedOut")
          assert.strictEqual(error.message, `"Hold" was not answered within 100.0 ms`)
          yield* driven(backend, log.awaits("interrupted a"))
          yield* staysWaiting(backend, other)
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, other), "b")
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S06 an answer that comes after the deadline is ignored and counted; the next call is answered",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { calling, client, hold, log } = ends
          const late = yield* fork(callError(client.Stubborn({ key: "a" }).pipe(Effect.provideService(Deadline, 50))))
          assert.strictEqual((yield* joined(backend, late))._tag, "CallTimedOut")
          hold.openUnsafe()
          yield* driven(backend, log.awaits("ended a"))
          yield* eventually(backend, () => calling.counts().late === 1)
          assert.strictEqual(yield* driven(backend, client.Append({ value: 1, text: "next" })), "1: next")
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S06 an answer that comes as its deadline passes is one or the other, and leaves nothing either way",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm, { deadline: 50 })
          const { calling, client } = ends
          const outcomes: Array<string> = []
          for (let millis = 40; millis <= 60; millis += 1) {
            const call = client.Later({ millis })
            const outcome = yield* driven(backend, Effect.result(call))
            outcomes.push(outcome._tag === "Success" ? "answered" : "CallTimedOut")
            if (outcome._tag === "Success") assert.strictEqual(outcome.success, millis)
            else assert.strictEqual((yield* callError(Effect.fail(outcome.failure)))._tag, "CallTimedOut")
            yield* nothingLeft(backend, ends)
          }
          assert.deepStrictEqual(new Set(outcomes), new Set(["answered", "CallTimedOut"]))
          assert.isAtMost(calling.counts().late, outcomes.filter((outcome) => outcome === "CallTimedOut").length)
        })
    )

    swarmTest(
      backend,
      "S06 interruption gives up exactly one of several calls, and reaches its handler",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { client, hold, log } = ends
          const calls = yield* Effect.forEach(["a", "b", "c"], (key) => fork(client.Hold({ key })))
          yield* driven(backend, Effect.forEach(["a", "b", "c"], (key) => log.awaits(`begun ${key}`)))
          yield* Fiber.interrupt(at(calls, 1))
          yield* driven(backend, log.awaits("interrupted b"))
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, at(calls, 0)), "a")
          assert.strictEqual(yield* joined(backend, at(calls, 2)), "c")
          assert.isFalse(log.has("interrupted a") || log.has("interrupted c"))
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S06 an answer of the largest size arrives, one byte more is a typed error, and the service goes on",
      (swarm) =>
        Effect.gen(function*() {
          const limitBytes = 100_000
          const ends = yield* serving(swarm, { messageBytesMax: limitBytes })
          const { client } = ends
          const fits = (bytes: number) =>
            driven(backend, Effect.exit(client.Bytes({ bytes }))).pipe(Effect.map(({ _tag }) => _tag === "Success"))
          const largest = yield* largestThat(fits, limitBytes)
          assert.isAbove(largest, limitBytes - 64)
          assert.strictEqual((yield* driven(backend, client.Bytes({ bytes: largest }))).length, largest)
          const error = yield* driven(backend, callError(client.Bytes({ bytes: largest + 1 })))
          assert.strictEqual(error._tag, "MessageTooLarge")
          assert.include(error.message, `a message of ${(limitBytes + 1).toLocaleString("en-US")} bytes`)
          assert.isAbove(ends.server.serving.counts().undelivered, 0)
          yield* nothingLeft(backend, ends)
        }),
      { ringBytes: 64 * 1024 }
    )

    swarmTest(
      backend,
      "S06 a request of the largest size arrives, and a larger one fails at its caller",
      (swarm) =>
        Effect.gen(function*() {
          const limitBytes = 100_000
          const ends = yield* serving(swarm, { messageBytesMax: limitBytes })
          const { client } = ends
          const fits = (bytes: number) =>
            driven(backend, Effect.exit(client.Length({ bytes: new Uint8Array(bytes) }))).pipe(
              Effect.map(({ _tag }) => _tag === "Success")
            )
          const largest = yield* largestThat(fits, limitBytes)
          assert.isAbove(largest, limitBytes - 256)
          const error = yield* driven(backend, callError(client.Length({ bytes: new Uint8Array(largest + 1) })))
          assert.strictEqual(error._tag, "MessageTooLarge")
          assert.strictEqual(yield* driven(backend, client.Length({ bytes: new Uint8Array(5) })), 5)
          yield* nothingLeft(backend, ends)
        }),
      { ringBytes: 64 * 1024 }
    )

    swarmTest(
      backend,
      "a request of the largest size to a service without a server comes back as a typed error",
      (swarm) =>
        Effect.gen(function*() {
          const { client, server } = yield* serving(swarm, { messageBytesMax: 100_000 })
          yield* server.close
          const largest = yield* largestThat(
            (bytes) =>
              Effect.map(
                driven(backend, callError(client.Length({ bytes: new Uint8Array(bytes) }))),
                ({ _tag }) => _tag !== "MessageTooLarge"
              ),
            100_000
          )
          const error = yield* driven(backend, callError(client.Length({ bytes: new Uint8Array(largest) })))
          assert.strictEqual(error._tag, "CallRefused")
        }),
      { ringBytes: 64 * 1024 }
    )

    swarmTest(
      backend,
      "an element that is too large fails its stream with a typed error and ends the handler",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm, { messageBytesMax: 20_000 })
          const { client, log } = ends
          const sizes: Array<number> = []
          const growing = Stream.runForEach(
            client.Growing({ sizes: [10, 10_000, 30_000, 10] }),
            ({ length }) => Effect.sync(() => void sizes.push(length))
          )
          assert.strictEqual((yield* driven(backend, callError(growing)))._tag, "MessageTooLarge")
          assert.deepStrictEqual(sizes, [10, 10_000])
          yield* driven(backend, log.awaits("growing ended"))
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "B5 requests and answers of several times the ring's size go through",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { client } = ends
          const calls = [1, 2, 3].map((n) =>
            Effect.all([client.Bytes({ bytes: n * 100_000 }), client.Length({ bytes: new Uint8Array(n * 100_000) })])
          )
          const answers = yield* driven(backend, Effect.all(calls, { concurrency: "unbounded" }))
          assert.deepStrictEqual(
            answers.map(([bytes, length]) => [bytes.length, bytes.every((byte) => byte === 7), length]),
            [1, 2, 3].map((n) => [n * 100_000, true, n * 100_000])
          )
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S07 a call runs beside its caller: its result is there as often as it is asked for",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { client, hold, log } = ends
          const call = yield* fork(client.Hold({ key: "a" }))
          yield* driven(backend, log.awaits("begun a"))
          hold.openUnsafe()
          for (let i = 0; i < 3; i += 1) assert.strictEqual(yield* joined(backend, call), "a")
          assert.deepStrictEqual(log.events, ["begun a"])
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S07 a call that is only sent returns when its handler has begun",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { client, hold, log } = ends
          yield* driven(backend, client.Stubborn({ key: "a" }, { discard: true }))
          assert.deepStrictEqual(log.events, ["begun a"])
          hold.openUnsafe()
          yield* driven(backend, log.awaits("ended a"))
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(
      backend,
      "S07 what comes for a client that was closed is ignored, and its handlers are interrupted",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { calling, client, close, here, hold, log, server } = ends
          const registered = here.swarmMember.router.registered
          const call = yield* fork(callError(client.Hold({ key: "a" })))
          yield* fork(Effect.exit(client.Stubborn({ key: "b" })))
          yield* driven(backend, Effect.andThen(log.awaits("begun a"), log.awaits("begun b")))
          yield* close
          assert.strictEqual((yield* joined(backend, call))._tag, "ClientClosed")
          yield* driven(backend, log.awaits("interrupted a"))
          assert.strictEqual(calling.inFlight(), 0)
          assert.strictEqual(here.swarmMember.router.registered, registered)
          yield* eventually(backend, () => server.serving.clients() === 0)
          hold.openUnsafe()
          yield* driven(backend, log.awaits("ended b"))
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(backend, "the deadline of a stream is that of its first element", (swarm) =>
      Effect.gen(function*() {
        const ends = yield* serving(swarm, { deadline: 200 })
        const { client, log } = ends
        const slow = yield* fork(Stream.runCollect(client.Slowly({ firstMillis: 1, nextMillis: 300 })))
        assert.deepStrictEqual(yield* joined(backend, slow), [0, 1, 2, 3])
        const none = yield* fork(callError(Stream.runCollect(client.Slowly({ firstMillis: 5000, nextMillis: 1 }))))
        assert.strictEqual((yield* joined(backend, none))._tag, "CallTimedOut")
        yield* eventually(backend, () => log.count("slowly ended") === 2)
        yield* nothingLeft(backend, ends)
      }))

    swarmTest(
      backend,
      "an interrupt that is there before its request keeps its handler from beginning",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { client, here, log, there } = ends
          const barred = yield* bar(here, there)
          const call = yield* fork(client.Hold({ key: "a" }))
          yield* staysWaiting(backend, call)
          yield* Fiber.interrupt(call)
          const next = yield* fork(client.Append({ value: 1, text: "next" }))
          yield* staysWaiting(backend, next)
          assert.strictEqual(ends.server.serving.withdrawing(), 1)
          barred.openUnsafe()
          assert.strictEqual(yield* joined(backend, next), "1: next")
          assert.deepStrictEqual(log.events, [])
          yield* eventually(backend, () => ends.server.serving.withdrawing() === 0)
          const { accepted, withdrawn } = ends.server.serving.counts()
          assert.deepStrictEqual({ accepted, withdrawn }, { accepted: 1, withdrawn: 1 })
          yield* nothingLeft(backend, ends)
        })
    )

    for (const when of ["while the first serves", "while none serves"]) {
      swarmTest(
        backend,
        `an interrupt that came before its request, ${when}, holds for the next server of the service`,
        (swarm) =>
          Effect.gen(function*() {
            const { client, here, log, server, there } = yield* serving(swarm)
            const barred = yield* bar(here, there)
            const call = yield* fork(Effect.exit(client.Hold({ key: "a" })))
            yield* staysWaiting(backend, call)
            if (when === "while none serves") yield* server.close
            yield* Fiber.interrupt(call)
            yield* backend.elapse(10)
            if (when === "while the first serves") yield* server.close
            const next = yield* serve(there, Calls, handlers(log))
            const after = yield* fork(client.Append({ value: 1, text: "next" }))
            barred.openUnsafe()
            assert.strictEqual(yield* joined(backend, after), "1: next")
            assert.deepStrictEqual(log.events, [])
            assert.strictEqual(next.serving.counts().withdrawn, 1)
            yield* eventually(backend, () => next.serving.withdrawing() === 0)
          })
      )
    }

    swarmTest(
      backend,
      "requests of a client that was closed before they were read do not begin",
      (swarm) =>
        Effect.gen(function*() {
          const { client, close, here, log, server, there } = yield* serving(swarm)
          const barred = yield* bar(here, there)
          yield* fork(Effect.exit(client.Hold({ key: "a" })))
          yield* fork(Effect.exit(client.Hold({ key: "b" })))
          yield* backend.elapse(10)
          yield* close
          yield* backend.elapse(10)
          barred.openUnsafe()
          yield* eventually(backend, () => server.serving.counts().withdrawn === 2)
          assert.deepStrictEqual(log.events, [])
          assert.strictEqual(server.serving.clients(), 0)
        })
    )

    swarmTest(
      backend,
      "several services of a member are told apart; a second one of the same name is refused",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [here, there] = [at(members, 0), at(members, 1)]
          const logs = [new Log(), new Log()] as const
          const open = Latch.makeUnsafe(true)
          yield* serve(there, Calls, handlers(logs[0], open))
          yield* serve(there, Calls, handlers(logs[1], open), RingRpc.layerServer({ service: "other" }))
          const first = yield* callerOf(here, Calls, { to: { member: there.id } })
          const second = yield* callerOf(here, Calls, { to: { member: there.id }, service: "other" })
          yield* driven(backend, Effect.all([first.client.Hold({ key: "1" }), second.client.Hold({ key: "2" })]))
          assert.deepStrictEqual(logs.map(({ events }) => events), [["begun 1"], ["begun 2"]])
          const taken = yield* Effect.flip(serve(there, Calls, handlers(new Log())))
          assert.strictEqual(taken.message, `this member serves "rpc" already`)
        })
    )

    swarmTest(
      backend,
      "clients of one protocol do not disturb each other: the end of one leaves the other's calls",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { hold, here, log, server, there } = ends
          const other = yield* callerOf(here, Calls, { to: { member: there.id } })
          const kept = yield* fork(ends.client.Hold({ key: "kept" }))
          yield* fork(Effect.exit(other.client.Hold({ key: "ended" })))
          yield* driven(backend, Effect.andThen(log.awaits("begun kept"), log.awaits("begun ended")))
          assert.strictEqual(server.serving.clients(), 2)
          yield* other.close
          yield* driven(backend, log.awaits("interrupted ended"))
          yield* staysWaiting(backend, kept)
          hold.openUnsafe()
          assert.strictEqual(yield* joined(backend, kept), "kept")
          assert.strictEqual(server.serving.clients(), 1)
        })
    )

    swarmTest(
      backend,
      "another serialization can be given, and two that differ are a typed error",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const [here, there] = [at(members, 0), at(members, 1)]
          const given = Layer.provide(RpcSerialization.layerJson)
          yield* serve(there, Calls, handlers(new Log()), given(RingRpc.layerServerEncoded()))
          const to = { member: there.id }
          const same = yield* connect(here, Calls, given(RingRpc.layerClientEncoded({ to })))
          const different = yield* callerOf(here, Calls, { to })
          assert.strictEqual(yield* driven(backend, same.client.Append({ value: 1, text: "é" })), "1: é")
          const error = yield* driven(backend, callError(different.client.Append({ value: 1, text: "x" })))
          assert.strictEqual(error._tag, "CallUnreadable")
          assert.match(error.message, /^member "[^"]+" \(.*\) cannot decode request \d+ for "[^"]+"$/)
          assert.strictEqual(yield* driven(backend, same.client.Append({ value: 2, text: "y" })), "2: y")
        })
    )

    swarmTest(
      backend,
      "a caller that waits for room fails by its deadline, and nothing of the call is left",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm, { deadline: 500 })
          const { client, here, log, there } = ends
          const barred = yield* bar(here, there)
          const call = yield* fork(client.Length({ bytes: new Uint8Array(60_000) }))
          const error = yield* failedWith(backend, call)
          assert.include(error.message, `"Length" was not answered within 500.0 ms`)
          barred.openUnsafe()
          assert.strictEqual(yield* driven(backend, client.Append({ value: 1, text: "next" })), "1: next")
          assert.deepStrictEqual(log.events, [])
          yield* nothingLeft(backend, ends)
        })
    )

    swarmTest(backend, "without a deadline a call waits as long as it takes", (swarm) =>
      Effect.gen(function*() {
        const { client, hold, log } = yield* serving(swarm, { deadline: 50 })
        const call = yield* fork(Effect.provideService(client.Hold({ key: "a" }), Deadline, Duration.infinity))
        yield* driven(backend, log.awaits("begun a"))
        yield* staysWaiting(backend, call, 200)
        hold.openUnsafe()
        assert.strictEqual(yield* joined(backend, call), "a")
      }))

    swarmTest(
      backend,
      "an answer that found no room is a typed error, at the latest when there is some, and its server goes on",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm, { roomDeadline: 100 })
          const { client, log, server, there } = ends
          for (
            const call of [
              Effect.all([client.Bytes({ bytes: 12_000 }), client.Bytes({ bytes: 12_000 })], { concurrency: 2 }),
              Stream.runDrain(client.Growing({ sizes: Array.from({ length: 20 }, () => 3000) }))
            ]
          ) {
            const before = server.serving.counts().undelivered
            const sloth = yield* asleep(swarm, ringNames.replies(there.id.slot))
            const failing = yield* fork(callError(call))
            yield* eventually(backend, () => server.serving.counts().undelivered > before)
            yield* sloth.wake
            assert.strictEqual((yield* joined(backend, failing))._tag, "RingFull")
            assert.strictEqual(yield* driven(backend, client.Append({ value: 1, text: "next" })), "1: next")
          }
          yield* driven(backend, log.awaits("growing ended"))
          yield* nothingLeft(backend, ends)
        })
    )

    for (const how of ["closed", "closed when there is room", "interrupted"] as const) {
      swarmTest(
        backend,
        `a request that waits for room is not sent after its client was ${how}`,
        (swarm) =>
          Effect.gen(function*() {
            const ends = yield* serving(swarm)
            const { client, close, here, server } = ends
            yield* driven(backend, client.Append({ value: 1, text: "first" }))
            const sloth = yield* asleep(swarm, ringNames.events(here.id.slot))
            const calls = yield* Effect.forEach(
              [1, 2, 3],
              () => fork(Effect.exit(client.Length({ bytes: new Uint8Array(10_000) })))
            )
            yield* eventually(backend, () => server.serving.counts().accepted === 2)
            yield* staysWaiting(backend, at(calls, 2))
            if (how === "closed") yield* Effect.andThen(close, sloth.wake)
            else if (how === "interrupted") yield* Effect.andThen(Effect.forEach(calls, Fiber.interrupt), sloth.wake)
            else yield* Effect.andThen(sloth.wake, close)
            const { client: other } = yield* callerOf(here, Calls, { to: { member: ends.there.id } })
            assert.strictEqual(yield* driven(backend, other.Append({ value: 2, text: "next" })), "2: next")
            yield* eventually(backend, () => server.serving.clients() === (how === "interrupted" ? 2 : 1))
            if (how !== "closed when there is room") assert.strictEqual(server.serving.counts().accepted, 3)
            yield* nothingLeft(backend, ends)
          })
      )
    }

    swarmTest(
      backend,
      "what ends a call is told, though there is no room for it until its client, or its server, is no more",
      (swarm) =>
        Effect.gen(function*() {
          const ends = yield* serving(swarm)
          const { client, close, here, hold, log, server, there } = ends
          const { client: other } = yield* callerOf(here, Calls, { to: { member: there.id } })
          const given = yield* fork(Effect.exit(client.Hold({ key: "given up" })))
          const failing = yield* fork(callError(other.Hold({ key: "stopped" })))
          yield* driven(backend, Effect.andThen(log.awaits("begun given up"), log.awaits("begun stopped")))
          const sloths = yield* Effect.forEach([here, there], (member) => full(swarm, member))
          yield* close
          yield* joined(backend, given)
          yield* backend.elapse(5)
          assert.strictEqual(server.serving.clients(), 2)
          yield* at(sloths, 0).wake
          yield* eventually(backend, () => server.serving.clients() === 1)
          yield* driven(backend, log.awaits("interrupted given up"))
          yield* server.close
          yield* staysWaiting(backend, failing)
          yield* at(sloths, 1).wake
          assert.strictEqual((yield* joined(backend, failing))._tag, "CallRefused")
          hold.openUnsafe()
        })
    )
  })
}

/** Sends two messages, of which the first blocks the second, and all that follow, until the latch opens. */
const bar = Effect.fnUntraced(function*(from: TestMember, at: TestMember) {
  const latch = Latch.makeUnsafe(false)
  yield* at.messenger.subscribe(Tick, () => latch.await)
  yield* from.messenger.send(Tick, { number: 1 }, { member: at.id })
  yield* from.messenger.send(Tick, { number: 2 }, { member: at.id })
  return latch
})

/** The largest number up to the limit for which it holds. */
const largestThat = Effect.fnUntraced(function*<R>(
  holds: (bytes: number) => Effect.Effect<boolean, never, R>,
  limit: number
) {
  let [low, high] = [0, limit + 1]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (yield* holds(middle)) low = middle
    else high = middle
  }
  return low
})

/** A process that reads nothing of that ring, and so holds its room, until it is woken. */
const asleep = Effect.fnUntraced(function*(swarm: Swarm, name: string) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const { ring } = yield* swarm.attach("sloth")
  yield* Scope.provide(ring.openReader(name), scope)
  return { wake: Scope.close(scope, Exit.void) }
})

/** Leaves a member no room for its answers and its signals about calls. */
const full = Effect.fnUntraced(function*(swarm: Swarm, { swarmMember }: TestMember) {
  const sloth = yield* asleep(swarm, ringNames.replies(swarmMember.self.id.slot))
  const noMember = one({ slot: 0, generation: 0 })
  for (const bytes of [2000, 100, 0]) {
    for (let i = 0; i < 1000; i += 1) {
      const sent = yield* fork(swarmMember.mesh.reply(frameKind.response, 0, noMember, new Uint8Array(bytes)))
      const isFull = sent.pollUnsafe() === undefined
      yield* Fiber.interrupt(sent)
      if (isFull) break
    }
  }
  return sloth
})
