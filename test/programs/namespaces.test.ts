/**
 * A container numbers its own processes: a pid from there names another process here, and is marked as such.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { childrenOf, freshRegion, Program, removeRegion, ringfence, run, serve, small, start } from "./harness.ts"

/** Runs the command as the first process of a pid namespace of its own. */
const inNamespace = (command: ReadonlyArray<string>): ReadonlyArray<string> => [
  "unshare",
  "--pid",
  "--fork",
  "--mount-proc",
  "--kill-child",
  ...command
]

const startIn = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [command = "", ...rest] = inNamespace([process.execPath, ringfence, ...args])
      return new Program(spawn(command, rest))
    }),
    (program) => {
      program.signal("SIGKILL")
      return Effect.ignore(program.ended)
    }
  )

const possible = (() => {
  try {
    const [command = "", ...args] = inNamespace(["true"])
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!possible)("processes of another pid namespace (needs unshare)", () => {
  it.live("a server is shown with its number there, by doctor as text and as JSON", () =>
    Effect.gen(function*() {
      const region = freshRegion("namespace")
      yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
      const server = yield* startIn(["serve", "--region", region, ...small])
      yield* server.told(/serving region/)
      const seen = yield* run(["doctor", "--region", region])
      assert.match(seen.text, / pid 1 of another pid namespace /)
      const { regions } = JSON.parse((yield* run(["doctor", "--region", region, "--json"])).text)
      assert.deepStrictEqual(regions[0].creator, { pid: 1, foreignPid: true })
      const own = freshRegion("own")
      const here = yield* serve(own)
      assert.match((yield* run(["doctor", "--region", own])).text, new RegExp(` pid ${here.pid} {2}`))
    }).pipe(Effect.scoped))

  it.live("members of a swarm there are shown so, to their coordinator here and to members here, as they come and die", () =>
    Effect.gen(function*() {
      const region = freshRegion("members")
      yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(region)))
      const sizes = ["--members", "6", "--ring-bytes", "16KiB"]
      const first = yield* start(["swarm", "--region", region, "--coordinator", "--name", "first", ...sizes])
      yield* first.told(/coordinates region/)
      const inside = yield* startIn(["swarm", "--region", region, "--name", "inside", "--standby"])
      yield* first.told(/^inside \(pid 1 of another pid namespace\) joined: 2 members$/m)
      const late = yield* start(["swarm", "--region", region, "--name", "late", "--json"])
      yield* inside.told(new RegExp(`^late \\(pid ${late.pid} of another pid namespace\\) joined: 3 members$`, "m"))
      const { members } = JSON.parse((yield* late.told(/^.*TakingPart.*$/m))[0])
      const shown = members.map(({ foreignPid, name, pid }: any) => ({ name, pid, foreignPid }))
      assert.deepStrictEqual(shown, [
        { name: "first", pid: first.pid, foreignPid: undefined },
        { name: "inside", pid: 1, foreignPid: true },
        { name: "late", pid: late.pid, foreignPid: undefined }
      ])
      first.signal("SIGKILL")
      yield* inside.told(new RegExp(`^first \\(pid ${first.pid} of another pid namespace\\) died: 2 members$`, "m"))
      const [container] = childrenOf(inside.pid)
      process.kill(container?.pid ?? 0, "SIGKILL")
      yield* late.code
      assert.match(late.stderr, /the coordinator \\"inside\\" \([\d.]+, pid 1 of another pid namespace\) is dead/)
    }).pipe(Effect.scoped))

  it.live("a subscriber there that holds the room is named so, to the publisher and by the server", () =>
    Effect.gen(function*() {
      const region = freshRegion("holder")
      const server = yield* serve(region, "--topic", "lines")
      const reader = yield* startIn(["subscribe", "--region", region, "lines", "-f"])
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input: "go\n" })).code, 0)
      yield* reader.told(/^go$/m)
      const [inside] = childrenOf(reader.pid)
      process.kill(inside?.pid ?? 0, "SIGSTOP")
      const input = "y".repeat(15 * 1024).concat("\n").repeat(100)
      const ran = yield* run(["publish", "--region", region, "lines", "--deadline", "1500ms"], { input })
      assert.match(ran.stderr, /waiting on subscriber "subscribe" \(pid 1 of another pid namespace\)/)
      yield* server.told(/subscriber "subscribe" of "lines" \(pid 1 of another pid namespace\) holds up publishers/)
      process.kill(inside?.pid ?? 0, "SIGKILL")
      yield* server.told(/\(pid 1 of another pid namespace\) died/)
    }).pipe(Effect.scoped))
})
