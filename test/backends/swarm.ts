/**
 * A backend of swarms under test: the same suites run over each. Members are attachments, or fibers, of this process.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import * as Swarm from "../../src/layers/Swarm.ts"
import { CurrentSwarmMember, type JoinError } from "../../src/layers/swarm/SwarmMember.ts"
import { Barrier, type BarrierError, type BarrierOptions, type BarrierResult } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { CxlMemory } from "../../src/services/CxlMemory.ts"
import { Messenger } from "../../src/services/Messenger.ts"
import type { MemberId } from "../../src/services/schema/Member.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"

/** A process of the region that is not a member yet. */
export interface SwarmProcess {
  readonly ring: RingPorts["Service"]
  readonly memory: CxlMemory["Service"]
  /** Ends it as SIGKILL would: at once, and without a message. */
  readonly kill: Effect.Effect<void>
  /** Flips those bits of a ring's bytes at that position. */
  readonly flip: (ring: string, position: number, bits: Uint8Array) => Effect.Effect<void>
}

export interface SwarmBackend {
  readonly name: string
  readonly usesTestClock: boolean
  /** Lets that much time pass. */
  readonly elapse: (millis: number) => Effect.Effect<void>
  readonly region: <A, E>(
    sizes: Swarm.SwarmSizes,
    run: (
      attach: (processName: string) => Effect.Effect<SwarmProcess, RegionError, Scope.Scope>
    ) => Effect.Effect<A, E, Scope.Scope>
  ) => Effect.Effect<A, E | RegionError>
}

export interface TestMember {
  readonly id: MemberId
  readonly name: string
  readonly coordinator: Coordinator["Service"]
  readonly messenger: Messenger["Service"]
  readonly barrier: Barrier["Service"]
  readonly swarmMember: CurrentSwarmMember["Service"]
  readonly ring: RingPorts["Service"]
  readonly kill: Effect.Effect<void>
  /** The end of its scope: it leaves and is gone. */
  readonly close: Effect.Effect<void>
}

export type JoinOptions = Swarm.SwarmOptions & {
  /** Wraps the member's rings, to observe, delay or damage its frames. */
  readonly over?: (ring: RingPorts["Service"]) => RingPorts["Service"]
}

export interface TestSwarm {
  readonly backend: SwarmBackend
  readonly attach: (processName: string) => Effect.Effect<SwarmProcess, RegionError, Scope.Scope>
  readonly join: (
    name: string,
    options?: JoinOptions
  ) => Effect.Effect<TestMember, JoinError | RegionError, Scope.Scope>
}

/** A test over one region, under the backend's clock. */
export const swarmTest = <A, E>(
  backend: SwarmBackend,
  promise: string,
  run: (swarm: TestSwarm) => Effect.Effect<A, E, Scope.Scope>,
  sizes: Swarm.SwarmSizes = {}
): void => {
  const test = backend.usesTestClock ? it.effect : it.live
  test(promise, () => swarmIn(backend, sizes, run), 60_000)
}

export const swarmIn = <A, E>(
  backend: SwarmBackend,
  sizes: Swarm.SwarmSizes,
  run: (swarm: TestSwarm) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E | RegionError> =>
  backend.region({ members: 8, plainRings: 2, ringBytes: 16 * 1024, ...sizes }, (attach) =>
    run({
      backend,
      attach,
      join: (name, options) => Effect.flatMap(attach(name), (process) => joinAs(process, name, options))
    }))

/** The same process, which sees the pids of the given processes as of another pid namespace. */
export const seeingForeign = (process: SwarmProcess, isForeign: (processName: string) => boolean): SwarmProcess => ({
  ...process,
  memory: {
    ...process.memory,
    processes: Effect.map(
      process.memory.processes,
      (all) => all.map((one) => isForeign(one.name) ? { ...one, foreignPid: true } : one)
    )
  }
})

/** Joins in a scope of its own, which can be closed before the test ends. */
export const joinAs = Effect.fnUntraced(function*(
  { kill, memory, ring }: SwarmProcess,
  name: string,
  { over, ...options }: JoinOptions = {}
) {
  const scope = yield* Scope.make()
  let isKilled = false
  // Close the region first, so that a dead member's finalizers have no effect.
  const close = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.suspend(() => isKilled ? Effect.asVoid(Effect.exit(Scope.close(scope, exit))) : Scope.close(scope, exit))
  yield* Effect.addFinalizer(close)
  const rings = over === undefined ? ring : over(ring)
  const context = yield* Layer.build(Swarm.layer({ name, ...options })).pipe(
    Effect.provideService(RingPorts, rings),
    Effect.provideService(CxlMemory, memory),
    Scope.provide(scope)
  )
  const swarmMember = Context.get(context, CurrentSwarmMember)
  const member: TestMember = {
    id: swarmMember.self.id,
    name,
    coordinator: Context.get(context, Coordinator),
    messenger: Context.get(context, Messenger),
    barrier: Context.get(context, Barrier),
    swarmMember,
    ring: rings,
    kill: Effect.suspend(() => {
      isKilled = true
      return kill
    }),
    close: close(Exit.void)
  }
  return member
})

/** Joins a coordinator and members, and waits until all know each other. */
export const joinAll = Effect.fnUntraced(function*(
  swarm: TestSwarm,
  count: number,
  options: (index: number) => JoinOptions = () => ({})
) {
  const members: Array<TestMember> = []
  for (let index = 0; index < count; index += 1) {
    members.push(yield* swarm.join(`m${index}`, { coordinate: index === 0, ...options(index) }))
  }
  for (const { coordinator } of members) yield* coordinator.awaitMembers(({ length }) => length === count)
  return members
})

/** The element at `index`, which the test knows to exist. */
export const at = <A>(all: ReadonlyArray<A>, index: number): A => {
  const found = all[index]
  assert.isDefined(found)
  return found as A
}

/** All enter, and all are released. */
export const enterAll = (
  members: ReadonlyArray<TestMember>,
  name: string,
  options?: BarrierOptions
): Effect.Effect<ReadonlyArray<BarrierResult>, BarrierError> =>
  Effect.forEach(members, ({ barrier }) => barrier.enter(name, options), { concurrency: "unbounded" })

/** Starts the effect at once, in a fiber beside the test. */
export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect, { startImmediately: true })

/** Waits until it holds, and lets other fibers run in between. */
export const eventually = Effect.fnUntraced(function*(
  backend: SwarmBackend,
  holds: () => boolean,
  what = "it never came true"
) {
  for (let i = 0; i < 5000 && !holds(); i += 1) yield* backend.elapse(2)
  assert.isTrue(holds(), what)
})

/** Asserts that the fiber still runs after that much time. */
export const staysWaiting = Effect.fnUntraced(function*(
  backend: SwarmBackend,
  fiber: Fiber.Fiber<unknown, unknown>,
  millis = 20
) {
  yield* backend.elapse(millis)
  assert.isUndefined(fiber.pollUnsafe(), `it did not wait: ${JSON.stringify(fiber.pollUnsafe())}`)
})

/** The fiber's result, while time passes. Fails the test when the fiber does not end. */
export const joined = Effect.fnUntraced(function*<A, E>(backend: SwarmBackend, fiber: Fiber.Fiber<A, E>) {
  yield* eventually(backend, () => fiber.pollUnsafe() !== undefined, "the fiber never ended")
  return yield* Fiber.join(fiber)
})

/** The typed error that the fiber ends with. */
export const failedWith = <A, E>(backend: SwarmBackend, fiber: Fiber.Fiber<A, E>): Effect.Effect<E, A> =>
  Effect.flip(joined(backend, fiber))
