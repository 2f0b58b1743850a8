/**
 * Children over real processes: invited, spawned, recovered, and ended when their owner is gone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Barrier } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import type { ChildSpec, ChildStatus } from "../../src/services/Spawner.ts"
import { Spawner } from "../../src/services/Spawner.ts"
import { coordinator, isGone, memberScript, regionTest, smallSizes, startMember, untilHolds } from "./members.ts"
import type { ActorFailed, Exited } from "./orders.ts"

/** Runs in this process as the coordinator, with a spawner. */
const here = <A, E>(
  region: string,
  program: Effect.Effect<A, E, Coordinator | Barrier | Spawner | Scope.Scope>
) =>
  program.pipe(
    Effect.scoped,
    Effect.provide(
      Swarm.layerSpawner.pipe(Layer.provideMerge(Swarm.layerCoordinator({ region, name: "here", ...smallSizes })))
    )
  )

/** A child that joins and then does as `JOB` says, without further commands. */
const childScript = memberScript.replace("memberActor", "childActor")

const kind = (job: string, more: Partial<ChildSpec> = {}): ChildSpec =>
  ({ name: "worker", entry: childScript, env: { JOB: job }, grace: "1 second", ...more }) as ChildSpec

/** Runs the child in a shell that records how it ended, and ends the same way. */
const observed = (job: string, file: string): ChildSpec => ({
  name: "worker",
  command: "sh",
  args: ["-c", `"$0" "$1"; code=$?; echo $code > "$2"; exit $code`, process.execPath, childScript, file],
  env: { JOB: job }
})

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-children-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const pidOf = (status: ChildStatus): number => "pid" in status ? status.pid : status.exit.pid

const failureOf = (effect: Effect.Effect<unknown, ActorFailed>) =>
  Effect.map(Effect.flip(effect), ({ reason, tag }) => `${tag} ${reason}`)

const ended = (child: ChildProcess): Effect.Effect<Exited> =>
  Effect.callback((resume) => {
    child.once("exit", (code, signal) => resume(Effect.succeed({ code, signal })))
  })

describe.skipIf(process.platform !== "linux")("children over real processes", () => {
  regionTest(
    "S22 a process that is started by hand comes in by its environment, once",
    (region) =>
      Effect.gen(function*() {
        const host = yield* coordinator(region, "m0", { admission: "invitation" })
        const env = yield* host.do<Record<string, string>>({ _tag: "invite", expiresMillis: 30_000 })
        const guest = yield* startMember("child", region, { env, name: "guest" })
        assert.strictEqual((yield* guest.joined).name, "guest")
        // Processes that it starts do not inherit its own variables.
        assert.deepStrictEqual((yield* guest.state).environment, ["RINGFENCE_REGION"])
        const replay = yield* startMember("child", region, { env, name: "replay" })
        assert.strictEqual(yield* failureOf(replay.joined), "JoinRefused invitation")
        const stranger = yield* startMember("member", region, { name: "stranger" })
        assert.strictEqual(yield* failureOf(stranger.joined), "JoinRefused invitation")
        const lost = yield* startMember("child", region, { env: { RINGFENCE_REGION: "" } })
        assert.strictEqual(yield* failureOf(lost.joined), "RegionError invalid")
        // The command line, which every user can read, has no token.
        assert.notInclude(readFileSync(`/proc/${guest.pid}/cmdline`, "utf8"), env["RINGFENCE_INVITATION"] ?? "?")
        yield* guest.end
        yield* host.end
      })
  )

  regionTest(
    "children are spawned, join, meet at a barrier, and end with the scope that spawned them",
    (region) =>
      here(
        region,
        Effect.gen(function*() {
          const spawner = yield* Spawner
          const pids = yield* Effect.scoped(Effect.gen(function*() {
            const children = yield* spawner.spawnAll(3, kind("barrier"))
            const members = yield* Effect.forEach(children, ({ ready }) => ready(), { concurrency: "unbounded" })
            assert.deepStrictEqual(members.map(({ name }) => name), ["worker-1", "worker-2", "worker-3"])
            const result = yield* Barrier.use((barrier) => barrier.enter("meet"))
            assert.strictEqual(result._tag, "Satisfied")
            assert.lengthOf(result.targets, 4)
            return children.map(({ status }) => pidOf(status()))
          }))
          for (const pid of pids) assert.isTrue(isGone(pid))
          yield* Coordinator.use(({ awaitMembers }) => awaitMembers(({ length }) => length === 1))
        })
      )
  )

  regionTest(
    "a program that does not exist is a typed error, and a child that is not ready in time is not ended by that",
    (region) =>
      here(
        region,
        Effect.gen(function*() {
          const spawner = yield* Spawner
          const missing = yield* Effect.flip(spawner.spawn({ name: "none", command: "/no/such/program" }))
          assert.strictEqual(missing._tag, "SpawnFailed")
          const child = yield* spawner.spawn({ name: "sleeper", command: "sleep", args: ["60"], lifeline: false })
          const error = yield* Effect.flip(child.ready({ deadline: "100 millis" }))
          assert.isTrue(error._tag === "ChildNotReady" && error.reason === "deadline")
          assert.isFalse(isGone(pidOf(child.status())))
          const exit = yield* child.terminate
          assert.deepStrictEqual([exit.code, exit.signal], [null, "SIGTERM"])
        })
      )
  )

  for (
    const [job, code, signal] of [["crash", 7, null], ["abort", null, "SIGABRT"], ["kill", null, "SIGKILL"]] as const
  ) {
    regionTest(
      `S23 B3 a child that ends by ${job} is recovered, and is a full member`,
      (region) =>
        here(
          region,
          Effect.gen(function*() {
            const spawner = yield* Spawner
            const child = yield* spawner.spawn(kind(job, { recovery: {} }))
            const { waitFor } = yield* Coordinator
            yield* Effect.timeout(
              untilHolds(
                "another life",
                Effect.sync(() => {
                  const status = child.status()
                  return status._tag === "Joined" && status.incarnation === 1
                })
              ),
              "15 seconds"
            )
            assert.strictEqual((yield* waitFor("worker 1")).incarnation, 1)
            const result = yield* Barrier.use((barrier) => barrier.enter("meet", { mode: "processingFence" }))
            assert.strictEqual(result._tag, "Satisfied")
            yield* child.terminate
            const exits = yield* Stream.runCollect(child.exits)
            assert.deepStrictEqual(exits.map(({ incarnation }) => incarnation), [0, 1])
            assert.deepStrictEqual([exits[0]?.code, exits[0]?.signal], [code, signal])
          })
        )
    )
  }

  regionTest("S24 no descriptor is lost over many children", (region) =>
    Effect.gen(function*() {
      const host = yield* coordinator(region, "m0")
      const spawned = { _tag: "spawn", count: 10, kind: { name: "brief", command: "true", output: "ignore" } } as const
      const settled = untilHolds(
        "all have ended",
        Effect.map(host.state, ({ children }) => children.every(({ _tag }) => _tag === "Ended"))
      )
      yield* host.do(spawned)
      yield* settled
      const { descriptors } = yield* host.state
      for (let round = 0; round < 4; round += 1) {
        yield* host.do(spawned)
        yield* settled
      }
      assert.isAtMost((yield* host.state).descriptors, descriptors)
      yield* host.end
    }))

  describe("S24 lifeline", () => {
    const ends = {
      "exits without a word": { order: { _tag: "exit", code: 0 } },
      "is killed": { signal: "SIGKILL" },
      "aborts": { order: { _tag: "abort" } }
    } as const
    for (const [how, end] of Object.entries(ends)) {
      for (const job of how === "is killed" ? ["wait", "wedge", "hang"] : ["wait"]) {
        regionTest(`a child that is to ${job} ends with 99 when its owner ${how}`, (region) =>
          Effect.gen(function*() {
            const file = join(yield* folder, "code")
            const keeper = yield* coordinator(region, "keeper")
            const owner = yield* startMember("member", region, { name: "owner" })
            yield* owner.do({ _tag: "spawn", count: 1, kind: observed(job, file) })
            yield* keeper.do({ _tag: "waitFor", name: job })
            if ("signal" in end) owner.signal(end.signal)
            else owner.order(end.order)
            yield* owner.exit
            yield* untilHolds(
              "it has ended",
              Effect.sync(() => existsSync(file) && readFileSync(file, "utf8") !== ""),
              10_000
            )
            assert.strictEqual(readFileSync(file, "utf8"), "99\n")
            yield* untilHolds("it is no member", Effect.map(keeper.state, ({ members }) => members.join() === "keeper"))
            yield* keeper.end
          }))
      }
    }

    regionTest("a child that is stopped ends, too: the system lets it go on", (region) =>
      Effect.gen(function*() {
        const keeper = yield* coordinator(region, "keeper")
        const owner = yield* startMember("member", region, { name: "owner" })
        const [status] = yield* owner.do<ReadonlyArray<ChildStatus>>({ _tag: "spawn", count: 1, kind: kind("wait") })
        yield* keeper.do({ _tag: "waitFor", name: "wait" })
        const pid = pidOf(status!)
        process.kill(pid, "SIGSTOP")
        owner.signal("SIGKILL")
        yield* untilHolds("it has ended", Effect.sync(() => isGone(pid)), 10_000)
        yield* keeper.end
      }))

    regionTest(
      "a child that was recovered has a lifeline of its own: it ends with 99, too",
      (region) =>
        Effect.gen(function*() {
          const file = join(yield* folder, "code")
          const keeper = yield* coordinator(region, "keeper")
          const owner = yield* startMember("member", region, { name: "owner" })
          yield* owner.do({ _tag: "spawn", count: 1, kind: { ...observed("crash", file), recovery: {} } })
          yield* keeper.do({ _tag: "waitFor", name: "worker-1 1" })
          owner.signal("SIGKILL")
          yield* untilHolds(
            "its second life has ended",
            Effect.sync(() => existsSync(file) && readFileSync(file, "utf8").endsWith("99\n")),
            10_000
          )
          yield* untilHolds("it is no member", Effect.map(keeper.state, ({ members }) => members.join() === "keeper"))
          yield* keeper.end
        })
    )

    regionTest(
      "a child without a lifeline, and a released child, outlive their owner",
      (region) =>
        Effect.gen(function*() {
          const keeper = yield* coordinator(region, "keeper")
          const owner = yield* startMember("member", region, { name: "owner" })
          const [free] = yield* owner.do<ReadonlyArray<ChildStatus>>({
            _tag: "spawn",
            count: 1,
            kind: kind("wait", { name: "free", lifeline: false })
          })
          yield* keeper.do({ _tag: "waitFor", name: "wait" })
          const [released] = yield* owner.do<ReadonlyArray<ChildStatus>>({
            _tag: "spawn",
            count: 1,
            kind: kind("other", { name: "let" })
          })
          yield* keeper.do({ _tag: "waitFor", name: "other" })
          yield* owner.do({ _tag: "release", index: 1 })
          owner.signal("SIGKILL")
          yield* untilHolds("they are left", Effect.map(keeper.state, ({ members }) => members.length === 3))
          yield* Effect.sleep(300)
          for (const status of [free!, released!]) assert.isFalse(isGone(pidOf(status)))
          assert.deepStrictEqual((yield* keeper.state).members, ["keeper", "free-1", "let-1"])
          for (const status of [free!, released!]) process.kill(pidOf(status), "SIGKILL")
          yield* untilHolds("they are gone", Effect.map(keeper.state, ({ members }) => members.length === 1))
          yield* keeper.end
        })
    )

    const withoutLifeline: Readonly<Record<string, () => number | "ignore">> = {
      "is not there": () => "ignore",
      "is something else": () => openSync("/dev/null", "r")
    }
    for (const [how, open] of Object.entries(withoutLifeline)) {
      it.live(`a child whose lifeline ${how} does not start: 99`, () =>
        Effect.gen(function*() {
          const descriptor = open()
          const child = spawn(process.execPath, [childScript], {
            env: { ...process.env, RINGFENCE_REGION: "none", RINGFENCE_LIFELINE: "3:0123456789abcdef", JOB: "wait" },
            stdio: ["ignore", "ignore", "ignore", ...descriptor === "ignore" ? [] : [descriptor]]
          })
          if (typeof descriptor === "number") closeSync(descriptor)
          assert.deepStrictEqual(yield* ended(child), { code: 99, signal: null })
        }))
    }

    it.live("a child whose owner does not prove itself does not start: 99", () =>
      Effect.gen(function*() {
        const child = spawn(process.execPath, [childScript], {
          env: { ...process.env, RINGFENCE_REGION: "none", RINGFENCE_LIFELINE: "3:0123456789abcdef", JOB: "wait" },
          stdio: ["ignore", "ignore", "ignore", "pipe"]
        })
        ;(child.stdio[3] as NodeJS.WritableStream).write("fedcba9876543210")
        assert.deepStrictEqual(yield* ended(child), { code: 99, signal: null })
      }))
  })
})
