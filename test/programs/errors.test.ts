/**
 * An impossible command fails with one line and the exit code of its kind, and nothing is half done.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { filesOf, folder, freshRegion, run, serve, start } from "./harness.ts"

/** The program failed with this code, this line, nothing on standard output, and no stack trace. */
const assertRefused = (
  ran: { readonly code: number | null; readonly text: string; readonly stderr: string },
  code: number,
  line: RegExp
) => {
  assert.match(ran.stderr, line)
  assert.strictEqual(ran.code, code, ran.stderr)
  assert.strictEqual(ran.text, "")
  assert.notMatch(ran.stderr, /^\s+at |node:internal/m)
}

describe.skipIf(process.platform !== "linux")("errors", () => {
  it.live("names a region that is not there", () =>
    Effect.gen(function*() {
      const region = freshRegion("missing")
      const line = new RegExp(
        `^ringfence: region "${region}": .*\\(start \`ringfence serve --region ${region}\`.*\\)\\n$`
      )
      assertRefused(yield* run(["publish", "--region", region, "lines"]), 3, line)
      assertRefused(yield* run(["subscribe", "--region", region, "lines"]), 3, line)
      const bad = yield* run(["publish", "--region", "no/name", "lines"])
      assertRefused(bad, 2, /the name is not usable/)
    }))

  it.live("names a region that is no region", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "text")
      writeFileSync(path, "this is a text ".repeat(1000))
      assertRefused(yield* run(["subscribe", "--path", path, "lines"]), 3, /^ringfence: region ".*text": .+\n$/)
      assertRefused(
        yield* run(["serve", "--path", path, "--lane-bytes", "256KiB"]),
        3,
        /^ringfence: region ".*text": .+\n$/
      )
    }))

  it.live("refuses a second server, and the first goes on", () =>
    Effect.gen(function*() {
      const region = freshRegion("twice")
      yield* serve(region)
      assertRefused(
        yield* run(["serve", "--region", region, "--brokers", "1", "--lane-bytes", "256KiB"]),
        3,
        /it is served|is alive|exists already/
      )
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input: "still here\n" })).code, 0)
    }))

  it.live("refuses sizes that do not fit together or do not fit at all, and leaves nothing", () =>
    Effect.gen(function*() {
      const region = freshRegion("sizes")
      assertRefused(
        yield* run(["serve", "--region", region, "--lane-bytes", "100000"]),
        2,
        /--lane-bytes cannot be 100,000 .*power of two/
      )
      const huge = ["--clients", "256", "--lane-bytes", "1GiB"]
      assertRefused(
        yield* run(["serve", "--region", region, ...huge]),
        3,
        /it takes 1\.00 TiB, [\d.]+ [GM]iB are free \(.*--lane-bytes\)/
      )
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live("refuses topics that are unknown, declared otherwise, or cannot be served", () =>
    Effect.gen(function*() {
      const region = freshRegion("topics")
      yield* serve(region, "--topic", "lines:total")
      const at = (command: string, ...args: ReadonlyArray<string>) => run([command, "--region", region, ...args])
      assertRefused(
        yield* at("subscribe", "other"),
        2,
        /^ringfence: unknown topic "other" \(declared here: lines; declare it with .*\)\n$/
      )
      assertRefused(
        yield* at("publish", "lines", "--order", "session"),
        2,
        /is declared as order "total".*leave out --order/
      )
      assertRefused(yield* at("publish", "lines", "--ack", "none"), 2, /is declared as order "total"/)
      assertRefused(yield* at("publish", "new", "--order", "sorted"), 2, /Expected: "session" \| "total" \| "none"\n/)
      assertRefused(
        yield* at("publish", "new", "--order", "none", "--ack", "ordered"),
        2,
        /order "none" has no acknowledgement "ordered".*use ack "none"/
      )
      assertRefused(yield* at("publish", "new", "--ack", "kept"), 2, /Expected: "ordered" \| "durable" \| "none"\n/)
      assertRefused(yield* at("publish", "-bad-"), 2, /Unrecognized flag|name is not usable/)
      assertRefused(
        yield* run(["serve", "--region", `${region}-b`, "--topic", "x:none:ordered"]),
        2,
        /order "none" has no acknowledgement "ordered"/
      )
      assertRefused(
        yield* run(["serve", "--region", `${region}-b`, "--topic", "x:sorted"]),
        2,
        /name\[:order\[:ack\]\] with order session, total, none and ack/
      )
    }))

  it.live("looks at every file before it publishes the first", () =>
    Effect.gen(function*() {
      const region = freshRegion("files")
      const files = yield* folder
      writeFileSync(join(files, "good"), "good\n")
      yield* serve(region, "--topic", "lines")
      const publish = (path: string) => run(["publish", "--region", region, "lines", join(files, "good"), path])
      assertRefused(yield* publish(join(files, "none")), 2, /^ringfence: cannot read .*none: there is no such file\n$/)
      assertRefused(yield* publish(files), 2, /it is a folder/)
      assert.strictEqual((yield* run(["subscribe", "--region", region, "lines"])).text, "")
    }))

  it.live("says how far it came when a record is too large", () =>
    Effect.gen(function*() {
      const region = freshRegion("large")
      yield* serve(region, "--topic", "lines")
      const large = "x".repeat(17 * 1024)
      const publish = ["publish", "--region", region, "lines"]
      const complete = yield* run(publish, { input: `small\n${large}\nafter\n` })
      assertRefused(complete, 2, /a record of 17,408 bytes does not fit topic "lines" \(at most 16,384.*--batch-bytes/)
      assert.match(complete.stderr, /^published so far: 1 record, 1 acknowledged$/m)
      const endless = yield* run(publish, { input: "x".repeat(300 * 1024) })
      assertRefused(endless, 2, /does not fit topic "lines"/)
      const pieces = yield* run([...publish, "--record-bytes", "16385"], { input: "short" })
      assertRefused(pieces, 2, /^ringfence: a record of 16,385 bytes does not fit[^\n]*\n$/)
      assert.strictEqual((yield* run(["subscribe", "--region", region, "lines"])).text, "small\n")
    }))

  it.live("names the subscriber that holds the room", () =>
    Effect.gen(function*() {
      const region = freshRegion("room")
      const server = yield* serve(region, "--topic", "lines")
      const reader = yield* start(["subscribe", "--region", region, "lines", "-f"])
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input: "go\n" })).code, 0)
      yield* reader.told(/^go$/m)
      reader.signal("SIGSTOP")
      const input = "y".repeat(15 * 1024).concat("\n").repeat(100)
      const ran = yield* run(["publish", "--region", region, "lines", "--deadline", "1500ms"], { input })
      assertRefused(ran, 4, new RegExp(`waiting on subscriber "subscribe" \\(pid ${reader.pid}\\).*--deadline`))
      yield* server.told(new RegExp(`subscriber "subscribe" of "lines" \\(pid ${reader.pid}\\) holds up publishers`))
    }))

  it.live("refuses a command line it does not understand", () =>
    Effect.gen(function*() {
      assertRefused(
        yield* run(["publish"]),
        2,
        /^ringfence: Missing required argument: topic\nsee: ringfence publish --help\n$/
      )
      assertRefused(yield* run(["sevre"]), 2, /Unknown subcommand "sevre" .*serve/)
      assertRefused(yield* run(["serve", "--brokers", "33"]), 2, /33 is not between 1 and 32/)
      assertRefused(yield* run(["subscribe", "x", "--from", "middle"]), 2, /start, end, or the position of a record/)
      assertRefused(
        yield* run(["serve"], { env: { RINGFENCE_BROKERS: "many" } }),
        2,
        /RINGFENCE_BROKERS="many" in the environment/
      )
      assertRefused(yield* run(["publish", "x", "--region", "a", "--path", "b"]), 2, /exclude each other/)
    }))

  it.live("says what is wrong with a value: below zero, out of bounds, no folder, no input", () =>
    Effect.gen(function*() {
      const refused = (line: RegExp, ...args: ReadonlyArray<string>) =>
        Effect.map(run(args), (ran) => assertRefused(ran, 2, line))
      yield* refused(/"-1s" is below zero/, "publish", "x", "--deadline", "-1s")
      yield* refused(/-1 is not between 0 and 1,000,000/, "serve", "--epoch-micros", "-1")
      yield* refused(/99,999,999,999 is not between/, "serve", "--epoch-micros", "99999999999")
      yield* refused(/the name is not usable/, "serve", "--region", "a b/c")
      yield* refused(/there is no folder \/nonexistent \(create it first\)/, "serve", "--path", "/nonexistent/x")
      yield* refused(/no file is given/, "serve", "--path", "")
      const region = freshRegion("input")
      yield* serve(region)
      const read = yield* run(["publish", "--region", region, "lines", "/proc/self/mem"])
      assert.strictEqual(read.code, 2)
      assert.match(read.stderr, /^ringfence: cannot read \/proc\/self\/mem: it cannot be read( \(E[A-Z]+\))?$/m)
    }))

  it.live("does not promise to remove a file that is not a region", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "text")
      writeFileSync(path, "a text of mine")
      for (const command of [["subscribe", "--path", path, "lines"], ["serve", "--path", path]]) {
        const { code, stderr } = yield* run(command)
        assert.strictEqual(code, 3)
        assert.match(stderr, /it is not a ringfence region.*\(it is left alone: choose another name or path\)/)
        assert.notInclude(stderr, "doctor")
      }
    }))

  it.live("does not send the clients of a swarm's region to a server that would be refused", () =>
    Effect.gen(function*() {
      const region = freshRegion("swarm")
      const swarm = yield* start(["swarm", "--coordinator", "--region", region])
      yield* swarm.told(/coordinates region/)
      const line = new RegExp(
        `belongs to a swarm, which serves no log \\(join it by \`ringfence swarm --region ${region} --name`
      )
      assertRefused(yield* run(["subscribe", "--region", region, "lines"]), 2, line)
      swarm.signal("SIGTERM")
      assert.strictEqual(yield* swarm.code, 0)
    }))

  it.live("names the flag that makes room for topics", () =>
    Effect.gen(function*() {
      const region = freshRegion("topics")
      yield* serve(region, "--topics", "1", "--topic", "lines")
      const { code, stderr } = yield* run(["publish", "--region", region, "other"], { input: "x\n" })
      assert.strictEqual(code, 3)
      assert.match(stderr, /all 1 topics .* in use .*`ringfence serve --topics` makes room for 64 at most\)/)
    }))

  it.live("reports errors as JSON with the keys that reports begin with", () =>
    Effect.gen(function*() {
      const region = freshRegion("json")
      const missing = JSON.parse((yield* run(["subscribe", "--region", region, "lines", "--json"])).stderr)
      assert.deepStrictEqual(Object.keys(missing), ["program", "ok", "exitCode", "error"])
      assert.deepInclude(missing, { program: "subscribe", ok: false, exitCode: 3 })
      assert.deepInclude(missing.error, { _tag: "RegionError", fault: "missing", region })
      assert.match(missing.error.message, /there is no such region$/)
      assert.match(missing.error.hint, /^start `ringfence serve/)
      const usage = JSON.parse((yield* run(["demo", "barrier", "--members", "x", "--json"])).stderr)
      assert.deepInclude(usage, { program: "demo barrier", ok: false, exitCode: 2 })
      assert.deepInclude(usage.error, { _tag: "UsageInvalid", hint: "see: ringfence demo barrier --help" })
      yield* serve(region, "--topic", "lines")
      const input = "x".repeat(17 * 1024)
      const large = yield* run(["publish", "--region", region, "lines", "--json"], { input })
      const [soFar, tooLarge] = large.stderr.trim().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(soFar, { program: "publish", _tag: "PublishedSoFar", records: 0, acknowledged: 0 })
      assert.deepInclude(tooLarge, { program: "publish", ok: false, exitCode: 2 })
    }))

  it.live("begins every report as it begins every error", () =>
    Effect.gen(function*() {
      const region = freshRegion("reports")
      const keys = ["program", "ok", "exitCode"]
      const begins = (text: string, program: string, exitCode: number) => {
        const report = JSON.parse(text)
        assert.deepStrictEqual(Object.keys(report).slice(0, 3), keys)
        assert.deepInclude(report, { program, ok: exitCode === 0, exitCode })
      }
      const server = yield* serve(region, "--topic", "lines", "--json")
      assert.deepInclude(JSON.parse(server.text.split("\n")[0] ?? ""), { program: "serve", _tag: "Serving" })
      const at = (command: string, ...args: ReadonlyArray<string>) =>
        run([command, "--region", region, ...args, "--json"], { input: "a\n" })
      begins((yield* at("publish", "lines")).text, "publish", 0)
      begins((yield* at("subscribe", "lines")).stderr, "subscribe", 0)
      begins((yield* at("doctor")).text, "doctor", 0)
      begins((yield* at("serve", "--print-config")).text, "serve", 0)
      server.signal("SIGKILL")
      yield* server.ended
      begins((yield* at("doctor")).text, "doctor", 1)
    }))

  it.live("refuses a position that is trimmed away", () =>
    Effect.gen(function*() {
      const region = freshRegion("trimmed")
      yield* serve(region, "--topic", "lines")
      const input = "z".repeat(1000).concat("\n").repeat(3000)
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input })).code, 0)
      assertRefused(
        yield* run(["subscribe", "--region", region, "lines", "--from", "0"]),
        2,
        /position 0 is trimmed away/
      )
    }))
})
