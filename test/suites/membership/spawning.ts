/**
 * Children: started, supervised, started again, ended, released.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type ChildExit, ChildNotReady, type ChildSpec, SpawnFailed } from "../../../src/services/Spawner.ts"
import {
  at,
  enterAll,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  staysWaiting,
  type SwarmBackend,
  swarmTest
} from "../../backends/swarm.ts"
import { spawnerOf } from "../../faults/heldProcesses.ts"
import { namesOf } from "./leaving.ts"
import { soon, timed, timedWhole } from "./times.ts"

const worker: ChildSpec = { name: "worker", command: "worker", args: ["--fast"] }

/** A child that is restarted at once after each end with an error. */
const hardy: ChildSpec = { ...worker, recovery: { delay: 0 } }

const notReady = (error: unknown): string => error instanceof ChildNotReady ? error.reason : String(error)

export const lifecycleSpawningSuite = (backend: SwarmBackend): void => {
  describe(`spawning (${backend.name})`, () => {
    swarmTest(
      backend,
      "numbers and times that cannot be are refused, and nothing is started",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!)
          for (const count of [NaN, -1, 0.5, Infinity]) {
            const error = yield* Effect.flip(spawner.spawnAll(count, worker))
            assert.strictEqual(error._tag, "ArgumentInvalid")
            assert.include(error.message, `spawnAll: count cannot be ${count}`)
          }
          const times: ReadonlyArray<readonly [string, Partial<ChildSpec>]> = [
            ["invitation", { invitation: -1 }],
            ["grace", { grace: NaN }],
            ["recovery.delay", { recovery: { delay: -1 } }]
          ]
          for (const [option, kind] of times) {
            const error = yield* Effect.flip(spawner.spawn({ ...worker, ...kind } as ChildSpec))
            assert.strictEqual(error._tag, "DurationInvalid")
            assert.include(error.message, `${option}: `)
          }
          const invited = yield* Effect.flip(spawner.invite({ expires: -1 }))
          assert.strictEqual(invited._tag, "DurationInvalid")
          assert.deepStrictEqual(started, [])
          const child = yield* spawner.spawn(worker)
          const ready = yield* Effect.flip(child.ready({ deadline: -1 }))
          assert.strictEqual(ready._tag, "DurationInvalid")
          yield* joined(backend, yield* fork(child.ready()))
        })
    )

    swarmTest(
      backend,
      "a child is started with what it needs, and ready when it is a member",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!)
          const child = yield* spawner.spawn({ ...worker, env: { EXTRA: "1", PATH: undefined } })
          assert.strictEqual(child.status()._tag, "Starting")
          const member = yield* joined(backend, yield* fork(child.ready()))
          // Other members may know that it is a member before it does.
          yield* eventually(backend, () => at(started, 0).member !== undefined)
          assert.deepStrictEqual(member, at(started, 0).member?.coordinator.self)
          assert.strictEqual(member.name, "worker")
          const status = child.status()
          assert.isTrue(status._tag === "Joined" && status.member.id.slot === member.id.slot)
          const { args, command, env, lifeline } = at(started, 0).command
          assert.deepStrictEqual([command, args, lifeline], ["worker", ["--fast"], true])
          assert.strictEqual(env["EXTRA"], "1")
          assert.isUndefined(env["PATH"])
          // The token is its own, and not on the command line.
          assert.notStrictEqual(env["RINGFENCE_INVITATION"], "of the spawning process")
          assert.isFalse(args.includes(env["RINGFENCE_INVITATION"] ?? ""))
        })
    )

    swarmTest(backend, "several of a kind are numbered, and meet at a barrier", (swarm) =>
      Effect.gen(function*() {
        const [host] = yield* joinAll(swarm, 1)
        const { spawner, started } = yield* spawnerOf(swarm, host!, { program: ({ barrier }) => barrier.enter("meet") })
        const children = yield* spawner.spawnAll(3, worker)
        assert.deepStrictEqual(children.map(({ name }) => name), ["worker-1", "worker-2", "worker-3"])
        yield* Effect.forEach(children, ({ ready }) => Effect.flatMap(fork(ready()), (fiber) => joined(backend, fiber)))
        assert.strictEqual((yield* joined(backend, yield* fork(host!.barrier.enter("meet"))))._tag, "Satisfied")
        assert.strictEqual(started.length, 3)
      }))

    swarmTest(
      backend,
      "when one child cannot be started none is left, and no invitation",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const missing = new Set(["worker"])
          const { spawner } = yield* spawnerOf(swarm, host!, { missing })
          assert.instanceOf(yield* Effect.flip(Effect.scoped(spawner.spawn(worker))), SpawnFailed)
          missing.clear()
          let count = 0
          const { spawner: third, started } = yield* spawnerOf(swarm, host!, {
            missing: { has: () => (count += 1) === 3 } as unknown as ReadonlySet<string>
          })
          const failing = yield* fork(Effect.flip(third.spawnAll(3, worker)))
          assert.instanceOf(yield* joined(backend, failing), SpawnFailed)
          assert.deepStrictEqual(started.map(({ signals }) => signals), [["SIGTERM"], ["SIGTERM"]])
          yield* eventually(backend, () => namesOf(host!).length === 1)
        })
    )

    swarmTest(backend, "S24 a deadline of readiness does not end the child", (swarm) =>
      Effect.gen(function*() {
        const [host] = yield* joinAll(swarm, 1)
        const { spawner, started } = yield* spawnerOf(swarm, host!, { silent: true })
        const child = yield* spawner.spawn(worker)
        const ready = yield* fork(child.ready({ deadline: "50 millis" }))
        assert.strictEqual(notReady(yield* failedWith(backend, ready)), "deadline")
        assert.strictEqual(child.status()._tag, "Starting")
        assert.deepStrictEqual(at(started, 0).signals, [])
        const later = yield* fork(child.ready())
        yield* at(started, 0).kill
        assert.strictEqual(notReady(yield* failedWith(backend, later)), "ended")
      }))

    swarmTest(
      backend,
      "a child may be ready only when it has published a name, and that name only",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          yield* at(members, 1).coordinator.publish("storage")
          const { spawner, started } = yield* spawnerOf(swarm, at(members, 0))
          const child = yield* spawner.spawn(worker)
          const theirs = yield* fork(child.ready({ name: "storage", deadline: "200 millis" }))
          const own = yield* fork(child.ready({ name: "cache" }))
          yield* joined(backend, yield* fork(child.ready()))
          yield* staysWaiting(backend, own)
          yield* at(started, 0).member!.coordinator.publish("cache")
          assert.strictEqual((yield* joined(backend, own)).name, "worker")
          assert.strictEqual(notReady(yield* failedWith(backend, theirs)), "deadline")
        })
    )

    swarmTest(backend, "the death of a child is seen at once, not at the next tick", (swarm) =>
      Effect.gen(function*() {
        const members = yield* joinAll(swarm, 2, () => ({ livenessInterval: 20_000 }))
        // Also where the spawning member does not coordinate.
        for (const host of members) {
          const { spawner, started } = yield* spawnerOf(swarm, host)
          const child = yield* spawner.spawn(worker)
          yield* joined(backend, yield* fork(child.ready()))
          yield* at(started, 0).kill
          const gone = yield* fork(eventually(backend, () => namesOf(at(members, 0)).length === 2))
          assert.isAtMost((yield* timed(backend, gone)).millis, soon(backend, 50))
        }
      }))
  })

  describe(`recovery (${backend.name})`, () => {
    swarmTest(
      backend,
      "S23 B3 a recovered child is a full member: same name, next incarnation, its names, barriers",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const { spawner, started } = yield* spawnerOf(swarm, at(members, 0), {
            program: ({ coordinator }) => coordinator.publish("storage")
          })
          const child = yield* spawner.spawn(hardy)
          const first = yield* joined(backend, yield* fork(child.ready({ name: "storage" })))
          yield* at(started, 0).kill
          yield* eventually(backend, () => started.length === 2)
          const second = yield* joined(backend, yield* fork(child.ready({ name: "storage" })))
          assert.deepStrictEqual([first.name, first.incarnation], ["worker", 0])
          assert.deepStrictEqual([second.name, second.incarnation], ["worker", 1])
          yield* eventually(backend, () => at(members, 1).coordinator.resolve("storage")?.incarnation === 1)
          const all = [...members, at(started, 1).member!]
          for (const mode of ["rendezvous", "deliveryFence", "processingFence"] as const) {
            const results = yield* joined(backend, yield* fork(enterAll(all, "meet", { mode })))
            assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied", "Satisfied"])
          }
          // Each life had an invitation of its own.
          const tokens = started.map(({ command }) => command.env["RINGFENCE_INVITATION"])
          assert.strictEqual(new Set(tokens).size, 2)
          assert.isTrue(started.every(({ command }) => command.lifeline))
        })
    )

    swarmTest(
      backend,
      "S23 without recovery, or where the policy says no, an end is the end",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!)
          const kinds: ReadonlyArray<ChildSpec> = [
            worker,
            { ...worker, recovery: { policy: () => false } },
            {
              ...worker,
              recovery: {
                policy: () => {
                  throw new Error("no opinion")
                }
              }
            }
          ]
          for (const kind of kinds) {
            const child = yield* spawner.spawn(kind)
            yield* joined(backend, yield* fork(child.ready()))
            yield* started.at(-1)!.kill
            const exit = yield* joined(backend, yield* fork(child.ended))
            assert.deepStrictEqual([exit.incarnation, exit.code, exit.signal], [0, null, "SIGKILL"])
            assert.strictEqual(child.status()._tag, "Ended")
          }
          yield* backend.elapse(1000)
          assert.strictEqual(started.length, kinds.length)
        })
    )

    swarmTest(backend, "S23 the policy sees every end, and the delay lies between", (swarm) =>
      Effect.gen(function*() {
        const [host] = yield* joinAll(swarm, 1)
        const { spawner, started } = yield* spawnerOf(swarm, host!)
        const seen: Array<ChildExit> = []
        const policy = (exit: ChildExit) => {
          seen.push(exit)
          return exit.incarnation < 2
        }
        const child = yield* spawner.spawn({
          ...worker,
          recovery: { policy, delay: ({ incarnation }) => 100 * (incarnation + 1) }
        })
        const times: Array<number> = []
        for (const life of [0, 1, 2]) {
          yield* eventually(backend, () => at(started, life).member !== undefined)
          const before = yield* Clock.currentTimeMillis
          yield* at(started, life).kill
          if (life === 2) break
          yield* eventually(backend, () => child.status()._tag === "Recovering")
          yield* eventually(backend, () => started.length === life + 2)
          times.push((yield* Clock.currentTimeMillis) - before)
        }
        const last = yield* joined(backend, yield* fork(child.ended))
        assert.strictEqual(last.incarnation, 2)
        assert.deepStrictEqual(
          seen.map(({ incarnation, signal }) => [incarnation, signal]),
          [0, 1, 2].map((i) => [i, "SIGKILL"])
        )
        assert.isAtLeast(times[0]!, 100)
        assert.isAtLeast(times[1]!, 200)
        assert.isAtMost(times[1]!, soon(backend, 220))
      }))

    swarmTest(
      backend,
      "by default a good end is the end, and so is the sixth bad one",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!)
          const good = yield* spawner.spawn(hardy)
          yield* joined(backend, yield* fork(good.ready()))
          yield* fork(at(started, 0).exit(0))
          assert.strictEqual((yield* joined(backend, yield* fork(good.ended))).code, 0)
          const bad = yield* spawner.spawn(hardy)
          for (let life = 1; life <= 6; life += 1) {
            yield* eventually(backend, () => started.length === life + 1)
            yield* at(started, life).kill
          }
          assert.strictEqual((yield* joined(backend, yield* fork(bad.ended))).incarnation, 5)
        })
    )

    swarmTest(
      backend,
      "a program that is gone when it is needed again is an end like any other",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const missing = new Set<string>()
          const { spawner, started } = yield* spawnerOf(swarm, host!, { missing })
          const child = yield* spawner.spawn(hardy)
          yield* eventually(backend, () => started.length === 1)
          missing.add("worker")
          yield* at(started, 0).kill
          const last = yield* joined(backend, yield* fork(child.ended))
          assert.deepStrictEqual([last.incarnation, last.code, last.signal], [5, null, null])
        })
    )
  })

  describe(`child handles (${backend.name})`, () => {
    swarmTest(
      backend,
      "every end is told exactly once, to those who listened before and to those who come later",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!)
          const child = yield* spawner.spawn({
            ...hardy,
            recovery: { delay: 0, policy: ({ incarnation }) => incarnation < 2 }
          })
          const early = yield* fork(Stream.runCollect(child.exits))
          const followed = yield* fork(Stream.runCollect(child.statuses))
          for (const life of [0, 1, 2]) {
            yield* eventually(backend, () => started[life]?.member !== undefined)
            yield* eventually(backend, () => child.status()._tag === "Joined")
            yield* at(started, life).kill
            yield* eventually(backend, () => child.status()._tag !== "Joined" || started.length > life + 1)
          }
          const exits = yield* joined(backend, early)
          assert.deepStrictEqual(exits.map(({ incarnation }) => incarnation), [0, 1, 2])
          assert.deepStrictEqual(yield* Stream.runCollect(child.exits), exits)
          const statuses = (yield* joined(backend, followed)).map(({ _tag }) => _tag)
          const round = ["Starting", "Joined", "Recovering"]
          assert.deepStrictEqual(statuses, [...round, ...round, "Starting", "Joined", "Ended"])
        })
    )

    swarmTest(
      backend,
      "a child that must end gets SIGTERM, then SIGKILL, and is not started again",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          for (const stubborn of [false, true]) {
            const { spawner, started } = yield* spawnerOf(swarm, host!, { stubborn })
            const child = yield* spawner.spawn({ ...hardy, grace: "300 millis" })
            yield* joined(backend, yield* fork(child.ready()))
            const { millis, value: exit } = yield* timedWhole(backend, child.terminate)
            assert.deepStrictEqual(at(started, 0).signals, stubborn ? ["SIGTERM", "SIGKILL"] : ["SIGTERM"])
            assert.deepStrictEqual([exit.code, exit.signal], stubborn ? [null, "SIGKILL"] : [143, null])
            // A timer counts from the beginning of the event loop's turn, in whole milliseconds: it may end one early.
            if (stubborn) assert.isAtLeast(millis, 298)
            yield* backend.elapse(500)
            assert.strictEqual(started.length, 1)
            // A second call changes nothing.
            assert.deepStrictEqual(yield* child.terminate, exit)
            assert.strictEqual(at(started, 0).signals.length, stubborn ? 2 : 1)
          }
        })
    )

    swarmTest(
      backend,
      "terminating a child that waits for its next life keeps it from starting",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!)
          const child = yield* spawner.spawn({ ...worker, recovery: { delay: "1 minute" } })
          yield* joined(backend, yield* fork(child.ready()))
          yield* at(started, 0).kill
          yield* eventually(backend, () => child.status()._tag === "Recovering")
          const exit = yield* joined(backend, yield* fork(child.terminate))
          assert.strictEqual(exit.incarnation, 0)
          assert.strictEqual(started.length, 1)
        })
    )

    swarmTest(
      backend,
      "the end of a scope ends its children side by side, but not a released child",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner, started } = yield* spawnerOf(swarm, host!, { stubborn: true })
          const part = yield* fork(Effect.scoped(Effect.gen(function*() {
            const children = yield* spawner.spawnAll(4, { ...hardy, grace: "400 millis" })
            yield* Effect.forEach(children, ({ ready }) => ready(), { concurrency: "unbounded" })
            yield* at(children, 3).release
            yield* at(children, 3).release
            return children
          })))
          yield* eventually(backend, () => started.length === 4 && started.every(({ member }) => member !== undefined))
          const { millis, value } = yield* timed(backend, part)
          assert.isAtMost(millis, soon(backend, 600))
          assert.deepStrictEqual(started.map(({ signals }) => signals.length), [2, 2, 2, 0])
          assert.deepStrictEqual(started.map(({ released }) => released), [false, false, false, true])
          assert.strictEqual(at(value, 3).status()._tag, "Released")
          assert.strictEqual(notReady(yield* Effect.flip(at(value, 3).ready())), "released")
          yield* eventually(backend, () => namesOf(host!).join() === "m0,worker-4")
          // And it is not started again.
          yield* at(started, 3).kill
          yield* eventually(backend, () => namesOf(host!).join() === "m0")
          yield* backend.elapse(300)
          assert.strictEqual(started.length, 4)
        })
    )

    swarmTest(
      backend,
      "waits for a child end when the coordinator is gone for good",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          const { spawner } = yield* spawnerOf(swarm, at(members, 1), { silent: true })
          const child = yield* spawner.spawn(worker)
          const ready = yield* fork(Effect.flip(child.ready()))
          yield* at(members, 0).kill
          assert.strictEqual((yield* joined(backend, ready))._tag, "CoordinatorLost")
          const failing = yield* fork(Effect.flip(spawner.spawn(worker)))
          assert.strictEqual((yield* joined(backend, failing))._tag, "CoordinatorLost")
          yield* Fiber.await(failing)
        })
    )
  })
}
