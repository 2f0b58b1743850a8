/**
 * A region that another user serves: members of its group can use it if they say that they trust it, others never.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { statSync } from "node:fs"
import { freshRegion, Program, ringfence, run, serve } from "./harness.ts"

/** No account needs to exist for these. */
const user = "54321"
const group = "54322"

/** The command as another user, in that group or only in its own. */
const asOther = (groups: string, command: ReadonlyArray<string>): ReadonlyArray<string> => [
  "setpriv",
  "--reuid",
  user,
  "--regid",
  user,
  "--groups",
  groups,
  ...command
]

const runAs = (groups: string, args: ReadonlyArray<string>, input = "") =>
  Effect.scoped(Effect.gen(function*() {
    const [command = "", ...rest] = asOther(groups, [process.execPath, ringfence, ...args])
    const program = yield* Effect.acquireRelease(
      Effect.sync(() => new Program(spawn(command, rest))),
      (program) => {
        program.signal("SIGKILL")
        return Effect.ignore(program.ended)
      }
    )
    program.endInput(input)
    return { code: yield* program.code, text: program.text, stderr: program.stderr }
  }))

const possible = (() => {
  try {
    const [command = "", ...args] = asOther(group, [process.execPath, ringfence, "--version"])
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!possible)("another user (needs to be root)", () => {
  it.live("in the group of a region with mode 660 publishes and subscribes by --allow-foreign, and is told so", () =>
    Effect.gen(function*() {
      const region = freshRegion("group")
      yield* serve(region, "--mode", "660", "--group", group, "--topic", "lines")
      assert.strictEqual(statSync(`/dev/shm/ringfence-${region}`).mode & 0o777, 0o660)
      const publish = ["publish", "--region", region, "lines"]
      const refused = yield* runAs(group, publish, "no\n")
      assert.strictEqual(refused.code, 3)
      assert.match(
        refused.stderr,
        new RegExp(`it belongs to user 0, who shares it with group ${group} \\(--allow-foreign `)
      )
      const published = yield* runAs(group, [...publish, "--allow-foreign"], "hello\n")
      assert.strictEqual(published.code, 0, published.stderr)
      const args = ["subscribe", "--region", region, "lines"]
      assert.strictEqual((yield* runAs(group, [...args, "--allow-foreign"])).text, "hello\n")
      assert.match((yield* runAs(group, ["doctor", "--region", region])).text, /served/)
      const stranger = yield* runAs(user, [...args, "--allow-foreign"])
      assert.strictEqual(stranger.code, 3)
      assert.match(stranger.stderr, /it belongs to user 0, and its permissions do not let this user in/)
      const looked = yield* runAs(user, ["doctor", "--region", region])
      assert.strictEqual(looked.code, 3)
      assert.match(looked.text, /not accessible/)
    }))

  it.live("neither gets into a region with mode 600, nor can serve another one under its name", () =>
    Effect.gen(function*() {
      const region = freshRegion("private")
      yield* serve(region)
      const published = yield* runAs(group, ["publish", "--region", region, "lines", "--allow-foreign"], "no\n")
      assert.match(
        published.stderr,
        /its permissions do not let this user in \(run as that user, or choose another name/
      )
      const served = yield* runAs(group, ["serve", "--region", region])
      assert.strictEqual(served.code, 3)
      assert.match(served.stderr, /it belongs to user 0, .*choose another name/)
    }))
})

describe.skipIf(process.platform !== "linux")("the mode of a region", () => {
  it.live("is 600 or 660: others are refused, and never changed without a word", () =>
    Effect.gen(function*() {
      const region = freshRegion("mode")
      for (const mode of ["666", "777", "0602", "640", "400", "rw", "6600"]) {
        const { code, stderr } = yield* run(["serve", "--region", region, "--mode", mode])
        assert.strictEqual(code, 2, stderr)
        assert.match(
          stderr,
          new RegExp(`--mode: "${mode}". Expected: 600 \\(its owner\\) or 660 \\(its group as well\\)`)
        )
      }
      const { stderr } = yield* run(["serve", "--region", region, "--mode", "666"])
      assert.match(stderr, /a region is never open to everyone/)
    }))

  it.live("takes an existing group, and only a mode that admits it", () =>
    Effect.gen(function*() {
      const region = freshRegion("group")
      const kept = yield* run(["serve", "--region", region, "--group", "root"])
      assert.strictEqual(kept.code, 2)
      assert.match(kept.stderr, /--group root: it has access with --mode 660 only/)
      const unknown = yield* run(["serve", "--region", region, "--mode", "660", "--group", "no-such-group"])
      assert.strictEqual(unknown.code, 2)
      assert.match(unknown.stderr, /this system has no such group/)
    }))
})
