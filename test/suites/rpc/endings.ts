/**
 * Calls without an answer: unknown, stopped, leaving and dead members, and what happens to calls in flight.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CallError } from "../../../src/services/RingRpc.ts"
import {
  at,
  eventually,
  fork,
  joinAll,
  joined,
  type JoinOptions,
  type SwarmBackend,
  swarmTest,
  type TestMember
} from "../../backends/swarm.ts"
import { callerOf, callError, driven, Log, serve } from "./ends.ts"

class Calls extends RpcGroup.make(
  Rpc.make("Who", { success: Schema.String }),
  Rpc.make("Hold", { payload: { key: Schema.String } }),
  Rpc.make("Forever", { payload: { key: Schema.String }, success: Schema.Int, stream: true })
) {}

const handlers = (name: string, log: Log) =>
  Calls.toLayer({
    Who: () => Effect.succeed(name),
    Hold: ({ key }) =>
      Effect.andThen(log.note(`begun ${key}`), Effect.never).pipe(
        Effect.onInterrupt(() => log.note(`interrupted ${key}`))
      ),
    Forever: ({ key }) =>
      Stream.iterate(0, (n) => n + 1).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sleep(1)),
        Stream.ensuring(log.note(`interrupted ${key}`))
      )
  })

type Swarm = Parameters<typeof joinAll>[0]

/** Three members: a coordinator, a server and a client. */
const three = Effect.fnUntraced(function*(swarm: Swarm, of: (index: number) => JoinOptions = () => ({})) {
  const members = yield* joinAll(swarm, 3, of)
  return { coordinator: at(members, 0), server: at(members, 1), caller: at(members, 2) }
})

/** One call in flight, and a stream that has begun. */
const inFlight = Effect.fnUntraced(function*(backend: SwarmBackend, caller: TestMember, server: TestMember) {
  const log = new Log()
  const { close: stopServing, serving } = yield* serve(server, Calls, handlers("server", log))
  const { calling, client, close } = yield* callerOf(caller, Calls, { to: { member: server.id } })
  const call = yield* fork(callError(client.Hold({ key: "call" })))
  let elements = 0
  const streaming = Stream.runForEach(client.Forever({ key: "stream" }), () =>
    Effect.sync(() => {
      elements += 1
    }))
  const stream = yield* fork(callError(streaming))
  yield* eventually(backend, () => log.has("begun call") && elements > 10)
  return { log, serving, stopServing, calling, client, close, call, stream }
})

/** Asserts that both fail with that error, within the time that it takes to notice. */
const bothFail = Effect.fnUntraced(function*(
  backend: SwarmBackend,
  { call, stream }: { readonly call: Fiber.Fiber<CallError>; readonly stream: Fiber.Fiber<CallError> },
  millisMax: number
) {
  let millis = 0
  while ((call.pollUnsafe() ?? stream.pollUnsafe()) === undefined || stream.pollUnsafe() === undefined) {
    assert.isAtMost(millis, millisMax, "it took too long")
    yield* backend.elapse(10)
    millis += 10
  }
  return [yield* joined(backend, call), yield* joined(backend, stream)] as const
})

/** Deadlines are 30 s, so none of these ends is due to a deadline. */
const atOnceMillis = 300

/** The text names the process: name, identity and pid. */
const goneText = ({ id, name }: TestMember): string =>
  `member "${name}" (${id.slot}.${id.generation}, pid ${process.pid}) is gone`

export const rpcEndingsSuite = (backend: SwarmBackend): void => {
  describe(`rpc endings (${backend.name})`, () => {
    swarmTest(
      backend,
      "S08 a call to an unknown member or service fails at once with a typed error, from others and from itself",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, server } = yield* three(swarm)
          const tags: Array<string> = []
          const ask = Effect.fnUntraced(function*(to: Parameters<typeof callerOf>[2]["to"]) {
            const { client } = yield* callerOf(caller, Calls, { to })
            tags.push((yield* driven(backend, callError(client.Who(undefined)))).message)
          })
          yield* ask({ name: "absent" })
          yield* ask({ member: { slot: 7, generation: 1 } })
          yield* ask({ member: { ...server.id, generation: server.id.generation + 1 } })
          yield* ask({ member: server.id })
          yield* ask({ member: caller.id })
          const { generation, slot } = server.id
          const who = ({ id, name }: TestMember) => `"${name}" (${id.slot}.${id.generation}, pid ${process.pid})`
          assert.deepStrictEqual(tags, [
            `no member has published the name "absent"`,
            `member 7.1 is gone, or never existed`,
            `member ${slot}.${generation + 1} is gone, or never existed`,
            `member ${who(server)} does not serve "rpc"`,
            `member ${who(caller)} does not serve "rpc"`
          ])
        })
    )

    swarmTest(
      backend,
      "S08 a server that stops ends the calls in flight with a typed error, and refuses the next",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, server } = yield* three(swarm)
          const ends = yield* inFlight(backend, caller, server)
          yield* ends.stopServing
          const errors = yield* bothFail(backend, ends, atOnceMillis)
          assert.deepStrictEqual(errors.map(reasonOf), ["closed", "closed"])
          assert.isTrue(ends.log.has("interrupted call") && ends.log.has("interrupted stream"))
          assert.strictEqual(reasonOf(yield* driven(backend, callError(ends.client.Who(undefined)))), "unserved")
          assert.strictEqual(ends.calling.inFlight(), 0)
          yield* serve(server, Calls, handlers("again", ends.log))
          assert.strictEqual(yield* driven(backend, ends.client.Who(undefined)), "again")
        })
    )

    swarmTest(
      backend,
      "S08 a server that leaves ends the calls in flight with a typed error, and is gone for the next",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, server } = yield* three(swarm)
          const ends = yield* inFlight(backend, caller, server)
          yield* driven(backend, server.coordinator.leave)
          const errors = yield* bothFail(backend, ends, atOnceMillis)
          assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["MemberGone", "MemberGone"])
          for (const { message } of errors) assert.strictEqual(message, goneText(server))
          assert.strictEqual((yield* driven(backend, callError(ends.client.Who(undefined))))._tag, "MemberGone")
          yield* eventually(backend, () => ends.log.has("interrupted call") && ends.log.has("interrupted stream"))
          assert.strictEqual(ends.calling.inFlight(), 0)
        })
    )

    swarmTest(
      backend,
      "S08 a server that is shutting down finishes its calls, and takes no new ones",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, server } = yield* three(swarm)
          const log = new Log()
          const { serving } = yield* serve(server, Calls, handlers("server", log))
          const { client } = yield* callerOf(caller, Calls, { to: { member: server.id } })
          const call = yield* fork(Effect.exit(client.Hold({ key: "call" })))
          yield* driven(backend, log.awaits("begun call"))
          yield* fork(Effect.exit(server.coordinator.shutdown))
          assert.strictEqual(reasonOf(yield* driven(backend, callError(client.Who(undefined)))), "departing")
          assert.isUndefined(call.pollUnsafe())
          assert.strictEqual(serving.inFlight(), 1)
        })
    )

    swarmTest(
      backend,
      "S08 a killed server ends the calls in flight with a typed error within 250 ms",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, server } = yield* three(swarm)
          const ends = yield* inFlight(backend, caller, server)
          yield* server.kill
          const errors = yield* bothFail(backend, ends, atOnceMillis)
          assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["MemberGone", "MemberGone"])
          for (const { message } of errors) assert.strictEqual(message, goneText(server))
          assert.strictEqual(ends.calling.inFlight(), 0)
          // The error names a member even if this client calls it for the first time after its end.
          yield* eventually(backend, () => caller.coordinator.members().length === 2)
          const late = yield* callerOf(caller, Calls, { to: { member: server.id } })
          assert.strictEqual((yield* driven(backend, callError(late.client.Who(undefined)))).message, goneText(server))
          const unknown = yield* callerOf(caller, Calls, { to: { member: { slot: 7, generation: 9 } } })
          assert.strictEqual(
            (yield* driven(backend, callError(unknown.client.Who(undefined)))).message,
            "member 7.9 is gone, or never existed"
          )
        })
    )

    swarmTest(
      backend,
      "a killed server is noticed though the coordinator does not check which processes live",
      (swarm) =>
        Effect.gen(function*() {
          const blind = (index: number) => index === 0 ? { livenessInterval: 1_000_000 } : {}
          const { caller, server } = yield* three(swarm, blind)
          const ends = yield* inFlight(backend, caller, server)
          yield* server.kill
          const errors = yield* bothFail(backend, ends, atOnceMillis)
          assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["MemberGone", "MemberGone"])
        })
    )

    swarmTest(
      backend,
      "a coordinator that dies without a standby ends all calls in flight with a typed error",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, coordinator, server } = yield* three(swarm)
          const ends = yield* inFlight(backend, caller, server)
          yield* coordinator.kill
          const errors = yield* bothFail(backend, ends, atOnceMillis)
          assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["CoordinatorLost", "CoordinatorLost"])
          yield* eventually(backend, () => ends.log.has("interrupted call") && ends.log.has("interrupted stream"))
          assert.strictEqual((yield* driven(backend, callError(ends.client.Who(undefined))))._tag, "CoordinatorLost")
        })
    )

    swarmTest(
      backend,
      "calls between others go on while a standby takes over; those to the dead coordinator fail",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, coordinator, server } = yield* three(swarm, (index) => ({ standby: index === 2 }))
          const ends = yield* inFlight(backend, caller, server)
          yield* serve(coordinator, Calls, handlers("coordinator", ends.log))
          const toCoordinator = yield* callerOf(caller, Calls, { to: { member: coordinator.id } })
          const doomed = yield* fork(callError(toCoordinator.client.Hold({ key: "doomed" })))
          yield* driven(backend, ends.log.awaits("begun doomed"))
          yield* coordinator.kill
          assert.strictEqual((yield* joined(backend, doomed))._tag, "MemberGone")
          yield* eventually(backend, () => caller.coordinator.coordinates())
          yield* eventually(backend, () => caller.coordinator.members().length === 2)
          assert.strictEqual(yield* driven(backend, ends.client.Who(undefined)), "server")
          assert.isUndefined(ends.call.pollUnsafe())
          assert.isUndefined(ends.stream.pollUnsafe())
        })
    )

    for (
      const [how, ends] of [
        ["is killed", ({ kill }: TestMember) => kill],
        ["leaves", ({ coordinator }: TestMember) => Effect.orDie(coordinator.leave)]
      ] as const
    ) {
      swarmTest(
        backend,
        `a caller that ${how} in mid-stream: its handlers are interrupted and nothing of it is left`,
        (swarm) =>
          Effect.gen(function*() {
            const { caller, server } = yield* three(swarm)
            const { log, serving } = yield* inFlight(backend, caller, server)
            assert.strictEqual(serving.inFlight(), 2)
            yield* driven(backend, ends(caller))
            yield* eventually(backend, () => log.has("interrupted call") && log.has("interrupted stream"))
            assert.strictEqual(serving.inFlight(), 0)
            assert.strictEqual(serving.clients(), 0)
          })
      )
    }

    swarmTest(
      backend,
      "a caller that leaves fails its own calls with a typed error, and makes no new ones",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, server } = yield* three(swarm)
          const ends = yield* inFlight(backend, caller, server)
          yield* driven(backend, caller.coordinator.leave)
          const errors = yield* bothFail(backend, ends, atOnceMillis)
          assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["ShuttingDown", "ShuttingDown"])
          assert.strictEqual((yield* driven(backend, callError(ends.client.Who(undefined))))._tag, "ShuttingDown")
        })
    )

    swarmTest(
      backend,
      "a name is resolved at each call: it may move, be gone, and come back with another life",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, coordinator, server } = yield* three(swarm)
          const log = new Log()
          yield* serve(coordinator, Calls, handlers("first", log))
          yield* serve(server, Calls, handlers("second", log))
          const { calling, client } = yield* callerOf(caller, Calls, { to: { name: "service" } })
          const who = Effect.suspend(() => driven(backend, Effect.exit(client.Who(undefined))))
          assert.isTrue(Exit.isFailure(yield* who))
          const held = yield* named(coordinator, "service")
          assert.deepStrictEqual(yield* who, Exit.succeed("first"))
          const kept = yield* fork(Effect.exit(client.Hold({ key: "kept" })))
          yield* driven(backend, log.awaits("begun kept"))
          yield* driven(backend, held.giveBack)
          yield* driven(backend, server.coordinator.publish("service"))
          assert.deepStrictEqual(yield* who, Exit.succeed("second"))
          assert.isUndefined(kept.pollUnsafe(), "a call stays with the member that took it")
          yield* server.kill
          yield* eventually(backend, () => caller.coordinator.resolve("service") === undefined)
          assert.strictEqual((yield* driven(backend, callError(client.Who(undefined))))._tag, "NameMissing")
          const again = yield* swarm.join("again", { incarnation: 1 })
          yield* serve(again, Calls, handlers("third", log))
          yield* driven(backend, again.coordinator.publish("service"))
          yield* driven(backend, caller.coordinator.waitFor("service"))
          assert.deepStrictEqual(yield* who, Exit.succeed("third"))
          assert.strictEqual(calling.inFlight(), 1)
        })
    )

    swarmTest(
      backend,
      "a member that calls at once after its admission is known to its callee",
      (swarm) =>
        Effect.gen(function*() {
          const { server } = yield* three(swarm)
          const { serving } = yield* serve(server, Calls, handlers("server", new Log()))
          for (let i = 0; i < 3; i += 1) {
            const late = yield* swarm.join(`late${i}`)
            const { client } = yield* callerOf(late, Calls, { to: { member: server.id } })
            assert.strictEqual(yield* driven(backend, client.Who(undefined)), "server")
          }
          assert.strictEqual(serving.counts().refused, 0)
        })
    )

    swarmTest(
      backend,
      "rpc destruction race: servers come and go under four callers, and every call ends one way or the other",
      (swarm) =>
        Effect.gen(function*() {
          const { caller, coordinator, server } = yield* three(swarm)
          const log = new Log()
          const callers = [caller, coordinator, server, caller]
          const registered = callers.map(({ swarmMember }) => swarmMember.router.registered)
          const seen = new Map<string, number>()
          const over = Latch.makeUnsafe(false)
          const calls = yield* Effect.forEach(callers, (member) =>
            fork(Effect.scoped(Effect.gen(function*() {
              while (!over.isOpen()) {
                const { client, close } = yield* callerOf(member, Calls, { to: { member: server.id } })
                const result = yield* Effect.exit(Effect.result(client.Who(undefined)))
                const what = Exit.isFailure(result)
                  ? "cause"
                  : result.value._tag === "Success"
                  ? "answered"
                  : String(reasonOf(yield* callError(Effect.fail(result.value.failure))))
                seen.set(what, (seen.get(what) ?? 0) + 1)
                yield* close
              }
            }))))
          for (let i = 0; i < 100; i += 1) {
            const { close } = yield* serve(server, Calls, handlers("server", log))
            yield* backend.elapse(i % 3)
            yield* close
            yield* backend.elapse(i % 2)
          }
          over.openUnsafe()
          yield* driven(backend, Effect.forEach(calls, Fiber.join))
          assert.containsAllKeys(Object.fromEntries(seen), ["answered", "unserved"])
          assert.includeMembers(["answered", "unserved", "closed"], [...seen.keys()])
          assert.deepStrictEqual(callers.map(({ swarmMember }) => swarmMember.router.registered), registered)
        })
    )

    swarmTest(backend, "many calls and clients leave nothing behind", (swarm) =>
      Effect.gen(function*() {
        const { caller, server } = yield* three(swarm)
        const log = new Log()
        const { serving } = yield* serve(server, Calls, handlers("server", log))
        const registered = caller.swarmMember.router.registered
        for (let i = 0; i < 50; i += 1) {
          const { calling, client, close } = yield* callerOf(caller, Calls, { to: { member: server.id } })
          yield* driven(
            backend,
            Effect.all(Array.from({ length: 10 }, () => client.Who(undefined)), { concurrency: 5 })
          )
          yield* driven(backend, Stream.runDrain(Stream.take(client.Forever({ key: "few" }), 3)))
          assert.strictEqual(calling.inFlight(), 0)
          yield* close
        }
        yield* eventually(backend, () => serving.clients() === 0 && serving.inFlight() === 0)
        assert.strictEqual(caller.swarmMember.router.registered, registered)
        assert.strictEqual(serving.counts().accepted, 550)
        yield* eventually(backend, () => log.count("interrupted few") === 50)
      }))
  })
}

const reasonOf = (error: CallError): string => error._tag === "CallRefused" ? error.reason : error._tag

/** Publishes a name, and releases it before its scope closes. */
const named = Effect.fnUntraced(function*(member: TestMember, name: string) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Scope.provide(member.coordinator.publish(name), scope)
  return { giveBack: Scope.close(scope, Exit.void) }
})
