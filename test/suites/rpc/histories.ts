/**
 * Random histories: calls of every kind, interrupted, timed out and discarded, while servers stop, clients close, and
 * members leave, die and join. Every call ends, and leaves nothing.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Rpc from "effect/rpc/Rpc"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Messenger } from "../../../src/services/Messenger.ts"
import { Deadline } from "../../../src/services/RingRpc.ts"
import {
  at,
  eventually,
  fork,
  type SwarmBackend,
  swarmTest,
  type TestMember,
  type TestSwarm
} from "../../backends/swarm.ts"
import { seeded } from "../../processes/harness.ts"
import { callerOf, serve } from "./ends.ts"

const firstSeed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)

const Tick = Messenger.event("tick", Schema.Struct({ number: Schema.Int }))

class Calls extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int }),
  Rpc.make("Fail", { error: Schema.String }),
  Rpc.make("Bytes", { payload: { bytes: Schema.Int }, success: Schema.Uint8Array }),
  Rpc.make("Hold"),
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
) {}

/** Counts the handlers that begin and end, which must be as many in the end. */
class Running {
  begun = 0
  ended = 0

  readonly count = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      this.begun += 1
      return Effect.ensuring(
        effect,
        Effect.sync(() => {
          this.ended += 1
        })
      )
    })
}

const handlers = (running: Running) =>
  Calls.toLayer({
    Add: ({ a, b }) => running.count(Effect.succeed(a + b)),
    Fail: () => running.count(Effect.fail("as it was told")),
    Bytes: ({ bytes }) => running.count(Effect.succeed(new Uint8Array(bytes))),
    Hold: () => running.count(Effect.never),
    Count: ({ to }) => Stream.range(1, to).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sleep(1)))
  })

type Client = Effect.Success<ReturnType<typeof callerOf<RpcGroup.Rpcs<typeof Calls>>>>

interface Part {
  readonly member: TestMember
  readonly running: Running
  server: Effect.Success<ReturnType<typeof serve>>
  readonly clients: Array<Client>
  /** Set when it leaves or dies; from then on nothing is expected of it. */
  isGone: boolean
}

type Random = (below: number) => number

/** One call, which is checked if it is answered. */
const call = (client: Client["client"], random: Random): Effect.Effect<void, string | RpcClientError> => {
  switch (random(6)) {
    case 0:
    case 1: {
      const [a, b] = [random(1000), random(1000)]
      return Effect.map(client.Add({ a, b }), (sum) => assert.strictEqual(sum, a + b))
    }
    case 2:
      return client.Fail(undefined)
    case 3: {
      const bytes = random(30_000)
      return Effect.map(client.Bytes({ bytes }), ({ length }) => assert.strictEqual(length, bytes))
    }
    case 4:
      return client.Hold(undefined)
    default: {
      const [to, taken] = [1 + random(20), 1 + random(30)]
      return client.Count({ to }).pipe(
        Stream.take(taken),
        Stream.runCollect,
        Effect.map((numbers) => assert.strictEqual(numbers.length, Math.min(to, taken)))
      )
    }
  }
}

class History {
  readonly #backend: SwarmBackend
  readonly #swarm: TestSwarm
  readonly #random: Random
  readonly #parts: Array<Part> = []
  readonly #fibers: Array<Fiber.Fiber<Exit.Exit<void, unknown>>> = []
  #joined = 0

  constructor(backend: SwarmBackend, swarm: TestSwarm, random: Random) {
    this.#backend = backend
    this.#swarm = swarm
    this.#random = random
  }

  readonly run: Effect.Effect<void, unknown, Scope.Scope> = Effect.gen({ self: this }, function*() {
    for (let i = 0; i < 3; i += 1) yield* this.#join
    for (let step = 0; step < 60; step += 1) {
      yield* this.#step
      if (this.#random(3) === 0) yield* this.#backend.elapse(this.#random(10))
    }
    yield* this.#end
  })

  get #step(): Effect.Effect<void, unknown, Scope.Scope> {
    const random = this.#random
    const what = random(40)
    if (what === 0) return this.#join
    if (what === 1) return this.#lose((member) => member.kill)
    if (what === 2) return this.#lose((member) => Effect.asVoid(fork(Effect.exit(member.coordinator.leave))))
    if (what <= 4) return this.#restart
    if (what <= 7) return this.#reconnect
    if (what <= 12) return this.#tick
    return this.#call
  }

  get #present(): ReadonlyArray<Part> {
    return this.#parts.filter(({ isGone }) => !isGone)
  }

  #pick<A>(from: ReadonlyArray<A>): A {
    return at(from, this.#random(from.length))
  }

  get #join(): Effect.Effect<void, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      if (this.#present.length > 4) return
      const coordinate = this.#joined === 0
      const joining = yield* fork(this.#swarm.join(`m${this.#joined++}`, { coordinate }))
      yield* eventually(this.#backend, () => joining.pollUnsafe() !== undefined, "it never joined")
      const member = yield* Fiber.join(joining)
      const running = new Running()
      const server = yield* serve(member, Calls, handlers(running))
      const part: Part = { member, running, server, clients: [], isGone: false }
      this.#parts.push(part)
      // The handlers of its messages call their senders, except those that are gone.
      yield* member.messenger.subscribe(Tick, (_, { sender }) =>
        Effect.scoped(Effect.gen({ self: this }, function*() {
          const { client } = yield* callerOf(member, Calls, { to: { member: sender }, deadline: 50 })
          yield* Effect.exit(client.Add({ a: 1, b: 2 }))
        })))
      for (const other of this.#present) {
        yield* this.#connect(part, other)
        if (other !== part) yield* this.#connect(other, part)
      }
    })
  }

  #connect(from: Part, to: Part): Effect.Effect<void, never, Scope.Scope> {
    return Effect.map(
      Effect.orDie(callerOf(from.member, Calls, { to: { member: to.member.id } })),
      (client) => void from.clients.push(client)
    )
  }

  // The coordinator stays.
  #lose(how: (member: TestMember) => Effect.Effect<void, never, Scope.Scope>) {
    return Effect.suspend(() => {
      const others = this.#present.slice(1)
      if (others.length < 2) return Effect.void
      const part = this.#pick(others)
      part.isGone = true
      return how(part.member)
    })
  }

  get #restart(): Effect.Effect<void, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const part = this.#pick(this.#present)
      yield* part.server.close
      part.server = yield* serve(part.member, Calls, handlers(part.running))
    })
  }

  get #reconnect(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const part = this.#pick(this.#present)
      yield* this.#pick(part.clients).close
      yield* this.#connect(part, this.#pick(this.#present))
    })
  }

  get #tick(): Effect.Effect<void> {
    return Effect.suspend(() => Effect.exit(this.#pick(this.#present).member.messenger.send(Tick, { number: 1 })))
  }

  // Makes a call with a deadline, or interrupts it after a while, or neither.
  get #call(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const random = this.#random
      const { client } = this.#pick(this.#pick(this.#present).clients)
      const made = call(client, random)
      const fate = random(3)
      const timed = fate === 0 ? Effect.provideService(made, Deadline, 1 + random(30)) : made
      const fiber = yield* fork(Effect.exit(timed))
      this.#fibers.push(fiber)
      if (fate === 1) yield* fork(Effect.andThen(Effect.sleep(random(20)), Fiber.interrupt(fiber)))
    })
  }

  get #left(): ReadonlyArray<{ readonly what: string; readonly count: number }> {
    return this.#present.flatMap(({ clients, member: { name }, running, server: { serving } }) => [
      { what: `handlers of ${name}`, count: running.begun - running.ended },
      { what: `clients of ${name}`, count: serving.clients() },
      { what: `calls taken by ${name}`, count: serving.inFlight() },
      { what: `clients withdrawing at ${name}`, count: serving.withdrawing() },
      { what: `calls made by ${name}`, count: clients.reduce((sum, { calling }) => sum + calling.inFlight(), 0) }
    ])
  }

  get #end(): Effect.Effect<void, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const backend = this.#backend
      const isOver = () => this.#fibers.every((fiber) => fiber.pollUnsafe() !== undefined)
      // Calls that hold end with their clients, all others on their own.
      for (const { clients } of this.#parts) for (const { close } of clients) yield* fork(close)
      yield* eventually(backend, isOver, "a call never ended")
      for (const fiber of this.#fibers) {
        const exit = yield* Fiber.await(fiber)
        const died = Exit.isSuccess(exit) && Exit.isFailure(exit.value) && Exit.hasDies(exit.value)
        assert.isFalse(died, "what was answered was not the answer")
      }
      yield* Effect.exit(eventually(backend, () => this.#left.every(({ count }) => count === 0)))
      assert.deepStrictEqual(this.#left.filter(({ count }) => count !== 0), [])
    })
  }
}

export const rpcHistoriesSuite = (backend: SwarmBackend, histories: number): void => {
  describe(`rpc histories (${backend.name})`, () => {
    for (let seed = firstSeed; seed < firstSeed + histories; seed += 1) {
      swarmTest(
        backend,
        `every call ends, and nothing of any is left (seed ${seed})`,
        (swarm) => new History(backend, swarm, seeded(seed)).run,
        { members: 24 }
      )
    }
  })
}
