/**
 * Calls between real processes, which are killed or stopped in their midst. The seed is printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import * as RingRpc from "../../src/layers/RingRpc.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { callErrorOf, Deadline, Serving } from "../../src/services/RingRpc.ts"
import { freshRegion, seeded, startActor } from "./harness.ts"
import { ActorCalls, ParentCalls } from "./rpcCalls.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)
const random = seeded(seed)

/** What the handlers of this process have seen. */
class Seen {
  marks: Array<number> = []
  held = 0
  ended = 0
}

const handlers = (seen: Seen) => {
  const ended = Effect.sync(() => {
    seen.ended += 1
  })
  return ParentCalls.toLayer({
    Mark: ({ number }) => Effect.sync(() => void seen.marks.push(number)),
    Hold: () =>
      Effect.suspend(() => {
        seen.held += 1
        return Effect.ensuring(Effect.never, ended)
      }),
    Count: () =>
      Stream.iterate(0, (n) => n + 1).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sleep(1)),
        Stream.ensuring(ended)
      )
  })
}

/** This process coordinates, serves under the name "parent", and calls members by name. */
const parent = <A, E>(
  run: (region: string, seen: Seen) => Effect.Effect<A, E, Scope.Scope | Swarm.Member | Serving>
) => {
  const region = freshRegion("rpc")
  const seen = new Seen()
  const Server = RpcServer.layer(ParentCalls).pipe(
    Layer.provide(handlers(seen)),
    Layer.provideMerge(RingRpc.layerServer({ service: "parent" }))
  )
  return Effect.gen(function*() {
    yield* (yield* Coordinator).publish("parent")
    return yield* run(region, seen)
  }).pipe(
    Effect.scoped,
    Effect.provide(Server.pipe(Layer.provideMerge(Swarm.layerCoordinator({ region, name: "keeper", members: 6 })))),
    Effect.ensuring(Effect.sync(() => assert.isFalse(existsSync(`/dev/shm/ringfence-${region}`))))
  )
}

const spawn = (region: string, name: string, part: "serve" | "call" = "serve") =>
  startActor("rpcActor.ts", [part, region, name])

const clientOf = Effect.fnUntraced(function*(name: string) {
  const context = yield* Layer.build(RingRpc.layerClient({ to: { name } }))
  return yield* RpcClient.make(ActorCalls).pipe(Effect.provideContext(context)) as Effect.Effect<
    RpcClient.FromGroup<typeof ActorCalls, RpcClientError>,
    never,
    Scope.Scope
  >
})

const untilTrue = (holds: () => boolean) =>
  Effect.gen(function*() {
    while (!holds()) yield* Effect.sleep(1)
  })

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect, { startImmediately: true })

/** How a call fails, and how long after `begin`. */
const failing = Effect.fnUntraced(
  function*<A, R>(begin: { millis: number }, call: Effect.Effect<A, RpcClientError, R>) {
    const error = yield* Effect.flip(call)
    const { _tag: tag, message = "" } = callErrorOf(error) ?? {}
    return { tag, message, millis: performance.now() - begin.millis }
  }
)

/** The bound on noticing a death: 250 ms and a tick. It must hold in one of several tries, for a busy machine. */
const noticeMillis = 300

describe(`rpc over processes (seed ${seed})`, () => {
  it.live(
    "S09 parent and child: each calls the other, by name, and the child ends cleanly",
    () =>
      parent((region, seen) =>
        Effect.gen(function*() {
          const child = yield* spawn(region, "child")
          const coordinator = yield* Coordinator
          const member = yield* coordinator.waitFor("child")
          assert.notStrictEqual(member.pid, process.pid)
          assert.strictEqual(member.pid, child.pid)
          const client = yield* clientOf("child")
          assert.strictEqual(yield* client.Pid(undefined), child.pid)
          yield* client.Mark({ number: 456 }, { discard: true })
          yield* Effect.timeout(untilTrue(() => seen.marks.length > 0), "5 seconds")
          assert.deepStrictEqual(seen.marks, [456])
          assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(client.Count(undefined), 3)), [0, 1, 2])
          child.signal("SIGTERM")
          yield* Effect.timeout(child.exit, "5 seconds")
          yield* Effect.timeout(untilTrue(() => coordinator.resolve("child") === undefined), "2 seconds")
        })
      ),
    30_000
  )

  it.live(
    "S08 a server killed in mid-call and in mid-stream: both end with a typed error at once, three times",
    () =>
      parent((region) =>
        Effect.gen(function*() {
          const waits: Array<number> = []
          for (let round = 0; round < 3; round += 1) {
            const name = `server${round}`
            const server = yield* spawn(region, name)
            yield* server.ready
            const client = yield* clientOf(name)
            const begin = { millis: Infinity }
            let elements = 0
            const call = yield* fork(failing(begin, client.Hold(undefined)))
            const stream = yield* fork(
              failing(begin, Stream.runForEach(client.Count(undefined), () => Effect.sync(() => void (elements += 1))))
            )
            yield* Effect.timeout(untilTrue(() => elements > 5), "5 seconds")
            begin.millis = performance.now()
            server.signal("SIGKILL")
            for (const fiber of [call, stream]) {
              const { message, millis, tag } = yield* Effect.timeout(Fiber.join(fiber), "2 seconds")
              assert.strictEqual(tag, "MemberGone")
              assert.match(message, new RegExp(`^member "${name}" \\(\\d+\\.\\d+, pid ${server.pid}\\) is gone$`))
              waits.push(millis)
            }
          }
          assert.isAtMost(Math.min(...waits), noticeMillis, `${waits.map(Math.round)} ms`)
        })
      ),
    60_000
  )

  it.live(
    "a caller killed in mid-call and in mid-stream: its handlers are interrupted, and nothing of it is left",
    () =>
      parent((region, seen) =>
        Effect.gen(function*() {
          const serving = yield* Serving
          const waits: Array<number> = []
          for (let round = 1; round <= 3; round += 1) {
            const caller = yield* spawn(region, `caller${round}`, "call")
            yield* caller.acknowledged(5)
            assert.strictEqual(serving.inFlight(), 2)
            const begin = performance.now()
            caller.signal("SIGKILL")
            yield* Effect.timeout(untilTrue(() => seen.ended === 2 * round), "2 seconds")
            waits.push(performance.now() - begin)
            assert.strictEqual(serving.inFlight(), 0)
            assert.strictEqual(serving.clients(), 0)
          }
          assert.isAtMost(Math.min(...waits), noticeMillis, `${waits.map(Math.round)} ms`)
        })
      ),
    60_000
  )

  it.live(
    "B9 a stopped server: its calls end by their deadlines, others go on, and it answers when it is woken",
    () =>
      parent((region) =>
        Effect.gen(function*() {
          const [stopped, other] = [yield* spawn(region, "stopped"), yield* spawn(region, "other")]
          yield* Effect.andThen(stopped.ready, other.ready)
          const [client, healthy] = [yield* clientOf("stopped"), yield* clientOf("other")]
          assert.strictEqual(yield* client.Echo({ text: "before" }), "before")
          stopped.signal("SIGSTOP")
          const patient = yield* fork(client.Echo({ text: "patient" }))
          const late = yield* fork(
            Effect.flip(client.Echo({ text: "late" }).pipe(Effect.provideService(Deadline, 300)))
          )
          for (let i = 0; i < 20; i += 1) {
            assert.strictEqual(yield* Effect.timeout(healthy.Echo({ text: `${i}` }), "5 seconds"), `${i}`)
          }
          assert.strictEqual(callErrorOf(yield* Effect.timeout(Fiber.join(late), "5 seconds"))?._tag, "CallTimedOut")
          assert.isUndefined(patient.pollUnsafe())
          stopped.signal("SIGCONT")
          assert.strictEqual(yield* Effect.timeout(Fiber.join(patient), "5 seconds"), "patient")
        })
      ),
    60_000
  )

  it.live(
    "servers of one name are killed and come back under it: every call is answered or a typed error",
    () =>
      parent((region) =>
        Effect.gen(function*() {
          const client = yield* clientOf("phoenix")
          const seen = new Map<string, number>()
          const note = (what: string) => Effect.sync(() => void seen.set(what, (seen.get(what) ?? 0) + 1))
          const calling = Effect.forever(Effect.gen(function*() {
            const text = "x".repeat(random(3000))
            const answer = yield* Effect.result(Effect.timeout(client.Echo({ text }), "5 seconds"))
            if (answer._tag === "Success") {
              assert.strictEqual(answer.success, text)
              return yield* note("answered")
            }
            const { failure } = answer
            yield* note(failure._tag === "RpcClientError" ? callErrorOf(failure)?._tag ?? "unknown" : failure._tag)
            yield* Effect.sleep(1)
          }))
          const callers = yield* Effect.forEach([1, 2, 3], () => fork(calling))
          for (let life = 0; life < 5; life += 1) {
            const before = seen.get("answered") ?? 0
            const server = yield* spawn(region, "phoenix")
            yield* server.ready
            yield* Effect.timeout(untilTrue(() => (seen.get("answered") ?? 0) > before + 50), "10 seconds")
            yield* Effect.sleep(random(20))
            server.signal("SIGKILL")
            yield* server.exit
          }
          yield* Effect.forEach(callers, Fiber.interrupt)
          assert.includeMembers(["answered", "MemberGone", "NameMissing"], [...seen.keys()])
        })
      ),
    60_000
  )
})
