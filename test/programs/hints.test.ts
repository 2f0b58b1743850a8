/**
 * Follows the hints of errors: the command that a hint names works, and does not lead in circles.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { filesOf, folder, freshRegion, removeRegion, run, serve, small, start } from "./harness.ts"

/** Runs a command that fails, and returns the command that its hint names. */
const advised = (...args: ReadonlyArray<string>) =>
  Effect.map(run([...args, "--json"], { input: "x\n" }), ({ code, stderr }) => {
    const { error, exitCode } = JSON.parse(stderr)
    assert.strictEqual(exitCode, code)
    const [, command = ""] = /`?ringfence ([a-z][^`;]*)/.exec(error.hint) ?? []
    return command.replace(/ (again|when|to) .*$/, "").trim().split(" ")
  })

/** Asserts that a member or server that the hint advises to start runs. */
const runs = (args: ReadonlyArray<string>, told: RegExp) =>
  Effect.scoped(Effect.flatMap(start(args), (program) => program.told(told)))

const fresh = (what: string) =>
  Effect.tap(
    Effect.sync(() => freshRegion(what)),
    (region) => Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
  )

const swarmOf = (region: string) =>
  Effect.tap(
    start(["swarm", "--coordinator", "--region", region, "--ring-bytes", "16KiB"]),
    (program) => program.told(/coordinates/)
  )

const named = (args: ReadonlyArray<string>, name: string) => args.map((arg) => arg === "NAME" ? name : arg)

describe.skipIf(process.platform !== "linux")("hints", () => {
  it.live("a swarm that is asked of a log's region is started in another", () =>
    Effect.gen(function*() {
      const region = yield* fresh("log")
      const other = yield* fresh("other")
      yield* serve(region)
      for (const ways of [["--coordinator"], ["--name", "ann"]]) {
        const args = yield* advised("swarm", "--region", region, ...ways)
        assert.deepStrictEqual(args, ["swarm", "--coordinator", "--region", "NAME"])
        yield* runs([...named(args, other), "--ring-bytes", "16KiB"], /coordinates region/)
      }
    }))

  it.live("a client of a log in a swarm's region: doctor says what is there, and the swarm can be joined", () =>
    Effect.gen(function*() {
      const region = yield* fresh("swarm")
      yield* swarmOf(region)
      const doctor = yield* run(yield* advised("serve", "--region", region, ...small))
      assert.strictEqual(doctor.code, 0)
      assert.match(doctor.text, new RegExp(`^${region} +in use +swarm `, "m"))
      yield* runs(named(yield* advised("publish", "--region", region, "lines"), "ann"), /ann joined/)
      yield* runs(named(yield* advised("swarm", "--coordinator", "--region", region), "bob"), /bob joined/)
    }))

  it.live("a swarm that is abandoned, or was never there, is started", () =>
    Effect.gen(function*() {
      const region = yield* fresh("abandoned")
      const swarm = yield* swarmOf(region)
      swarm.signal("SIGKILL")
      yield* swarm.ended
      for (const _ of ["dead", "missing"]) {
        yield* runs([...yield* advised("swarm", "--region", region), "--ring-bytes", "16KiB"], /coordinates region/)
        removeRegion(region)
      }
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live("a region in a file is shown by the doctor whom the hint sends there", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const server = yield* start(["serve", "--path", path, ...small])
      yield* server.told(/serving region/)
      const doctor = yield* run(yield* advised("serve", "--path", path, ...small))
      assert.match(doctor.text, new RegExp(`served +log .*${path}`))
      server.signal("SIGKILL")
      yield* server.ended
      const again = yield* advised("subscribe", "--path", path, "lines", "--server-deadline", "0ms")
      yield* runs([...again, ...small], /serving region/)
    }).pipe(Effect.scoped))

  it.live("an empty name is refused", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run(["swarm", "--name", ""])
      assert.strictEqual(code, 2)
      assert.match(stderr, /^ringfence: .*a member's name has at least one letter\n/)
    }))
})
