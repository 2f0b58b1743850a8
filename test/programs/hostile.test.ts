/**
 * Hostile inputs and outputs: each ends with one line, the exit code of its kind, and no stack trace.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { join } from "node:path"
import { folder, freshRegion, Program, removeRegion, ringfence, run, serve, small, start } from "./harness.ts"

/** A shell script, in which `$ringfence` is the command; in a mount namespace of its own. */
const shell = (script: string, isolated = false) =>
  Effect.gen(function*() {
    const text = `ringfence="${process.execPath} ${ringfence}"; ${script}`
    const [command, ...args] = [...isolated ? ["unshare", "-m"] : [], "bash", "-c", text]
    const program = new Program(spawn(command ?? "bash", args, { stdio: ["ignore", "pipe", "pipe"] }))
    const code = yield* program.code
    return { code, text: program.text, stderr: program.stderr }
  })

const mayMount = (() => {
  try {
    execFileSync("unshare", ["-m", "true"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

const assertSaid = (ran: { readonly code: number | null; readonly stderr: string }, code: number, line: RegExp) => {
  assert.match(ran.stderr, line)
  assert.strictEqual(ran.code, code, ran.stderr)
  assert.notMatch(ran.stderr, /^\s+at |node:internal|ENOSPC/m)
}

describe.skipIf(process.platform !== "linux")("hostile input and output", () => {
  it.live.skipIf(!mayMount)("a full disk is said to be full, as text and as JSON", () =>
    Effect.gen(function*() {
      const region = freshRegion("full")
      yield* serve(region, "--topic", "lines")
      const input = "x".repeat(1000).concat("\n").repeat(200)
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input })).code, 0)
      const disk = yield* folder
      const full = (flags: string) =>
        shell(
          `mount -t tmpfs -o size=64k none ${disk} && $ringfence subscribe --region ${region} lines ${flags} > ${disk}/out`,
          true
        )
      const line = /^ringfence: standard output cannot be written: the disk is full \(free some space, or write elsewh/
      assertSaid(yield* full(""), 6, line)
      const { error, ...envelope } = JSON.parse((yield* full("--json")).stderr)
      assert.deepStrictEqual(envelope, { program: "subscribe", ok: false, exitCode: 6 })
      assert.strictEqual(error._tag, "OutputFailed")
    }))

  it.live("a reader that has read enough ends a bounded command, and holds up nothing else", () =>
    Effect.gen(function*() {
      const region = freshRegion("head")
      yield* serve(region, "--topic", "lines")
      const input = "line\n".repeat(50_000)
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input })).code, 0)
      const subscribed = yield* shell(
        `$ringfence subscribe --region ${region} lines --follow | head -1; exit \${PIPESTATUS[0]}`
      )
      assert.deepStrictEqual(subscribed, { code: 0, text: "line\n", stderr: "" })
      const swarm = freshRegion("head")
      yield* Effect.addFinalizer(() => Effect.sync(() => removeRegion(swarm)))
      for (const args of [["serve", ...small], ["swarm", "--coordinator", "--ring-bytes", "16KiB"]]) {
        const program = yield* start([...args, "--region", swarm])
        yield* program.told(/serving region|coordinates region/)
        program.closeOutput()
        program.signal("SIGTERM")
        assert.strictEqual(yield* program.code, 0, program.stderr)
        assert.strictEqual(program.stderr, "")
      }
    }))

  it.live("a folder is no input, and a closed input is an empty one", () =>
    Effect.gen(function*() {
      const region = freshRegion("folder")
      yield* serve(region, "--topic", "lines")
      const publish = `$ringfence publish --region ${region} lines`
      assertSaid(yield* shell(`${publish} < ${join("/", "tmp")}`), 2, /cannot read standard input: it is a folder/)
      const closed = yield* shell(`${publish} <&-`)
      assert.strictEqual(closed.code, 0, closed.stderr)
      assert.match(closed.text, /^published 0 records/)
    }))

  it.live("numbers that are too large are refused where they are given", () =>
    Effect.gen(function*() {
      const huge = "9".repeat(30)
      const refused = (line: RegExp, ...args: ReadonlyArray<string>) =>
        Effect.map(run(args), (ran) => assertSaid(ran, 2, line))
      yield* refused(/is not a time of at most 604800s, a week/, "publish", "lines", "--deadline", `${huge}s`)
      yield* refused(/is not a time of at most 604800s/, "swarm", "--invite", "1", "--expires", "99999999s")
      yield* refused(/is not a size below 8 PiB/, "publish", "lines", "--record-bytes", huge)
      yield* refused(/is not a size below 8 PiB/, "demo", "--min-bytes", "9EiB")
      yield* refused(/Expected an integer/, "subscribe", "lines", "--count", huge)
      yield* refused(/Expected: start, end, or the position of a record/, "subscribe", "lines", "--from", huge)
    }))
})
