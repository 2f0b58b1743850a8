/**
 * Ctrl-C, closed pipes and killed servers: every end is clean, and nothing is left in shared memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { statfsSync } from "node:fs"
import { join } from "node:path"
import { filesOf, folder, freshRegion, isNamed, run, serve, small, start, untilTrue } from "./harness.ts"

const shared = statfsSync("/dev/shm")
const plentyFree = shared.bavail * shared.bsize > 8 * 1024 ** 3

describe.skipIf(process.platform !== "linux")("signals", () => {
  it.live("a server that is interrupted, terminated or hung up removes its region, and ends well when it was stopped", () =>
    Effect.gen(function*() {
      for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 0], ["SIGHUP", 0]] as const) {
        const region = freshRegion("serving")
        const server = yield* serve(region)
        assert.isTrue(isNamed(region))
        server.signal(signal)
        assert.deepStrictEqual(yield* server.ended, { code, signal: null })
        assert.deepStrictEqual(filesOf(region), [])
        assert.strictEqual(server.stderr, "")
      }
    }))

  it.live.skipIf(!plentyFree)(
    "a server that is interrupted while it prefaults leaves nothing",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("prefaulting")
        const server = yield* start(["serve", "--region", region, "--lane-bytes", "128MiB"])
        yield* untilTrue("the region being created", () => filesOf(region).some((name) => name.includes(".creating-")))
        server.signal("SIGINT")
        assert.strictEqual(yield* server.code, 130)
        assert.deepStrictEqual(filesOf(region), [])
        assert.strictEqual(server.text, "")
      })
  )

  it.live("a server can be interrupted at any moment", () =>
    Effect.gen(function*() {
      for (let moment = 0; moment < 10; moment += 1) {
        const region = freshRegion("anytime")
        const server = yield* start(["serve", "--region", region, ...small])
        yield* Effect.sleep(moment * 60)
        server.signal("SIGINT")
        const { code, signal } = yield* server.ended
        // Before there is anything to release, the signal ends the process directly.
        assert.isTrue(code === 130 || signal === "SIGINT", `${code} ${signal} ${server.stderr}`)
        assert.deepStrictEqual(filesOf(region), [])
        assert.strictEqual(server.stderr, "")
      }
    }))

  it.live("a publisher that is interrupted ends its session with what it has published", () =>
    Effect.gen(function*() {
      const region = freshRegion("publishing")
      const server = yield* serve(region, "--json", "--topic", "lines")
      const publisher = yield* start(["publish", "--region", region, "lines"])
      publisher.write("one\ntwo\n")
      const reader = yield* start(["subscribe", "--region", region, "lines", "-f", "--count", "2"])
      assert.strictEqual(yield* reader.code, 0, reader.stderr)
      publisher.signal("SIGINT")
      assert.strictEqual(yield* publisher.code, 130)
      assert.strictEqual(publisher.stderr, "published so far: 2 records, 2 acknowledged\n")
      yield* server.told(/"_tag":"SessionEnded".*"reason":"closed","committedBatches":\d+,"committedMessages":2/)
    }))

  it.live("a publisher that is terminated or hung up says how far it came, and that it was not done", () =>
    Effect.gen(function*() {
      const region = freshRegion("terminated")
      const server = yield* serve(region, "--json", "--topic", "lines")
      for (const [index, [signal, code]] of ([["SIGTERM", 143], ["SIGHUP", 129]] as const).entries()) {
        const publisher = yield* start(["publish", "--region", region, "lines"])
        publisher.write("one\ntwo\n")
        // All that the publishers have sent up to now, including this publisher, so that it runs.
        const count = String(2 * (index + 1))
        const reader = yield* start(["subscribe", "--region", region, "lines", "-f", "--count", count])
        assert.strictEqual(yield* reader.code, 0, reader.stderr)
        publisher.signal(signal)
        assert.deepStrictEqual(yield* publisher.ended, { code, signal: null })
        assert.strictEqual(publisher.stderr, "published so far: 2 records, 2 acknowledged\n")
      }
      yield* server.told(/"_tag":"SessionEnded".*"reason":"closed".*"committedMessages":2/)
    }))

  it.live("a publisher that waits for room can be interrupted", () =>
    Effect.gen(function*() {
      const region = freshRegion("waiting")
      const server = yield* serve(region, "--topic", "lines")
      const reader = yield* start(["subscribe", "--region", region, "lines", "-f"])
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input: "go\n" })).code, 0)
      yield* reader.told(/^go$/m)
      reader.signal("SIGSTOP")
      const input = "y".repeat(15 * 1024).concat("\n").repeat(200)
      const publisher = yield* start(["publish", "--region", region, "lines"], { input })
      yield* server.told(/holds up publishers/)
      publisher.signal("SIGINT")
      assert.strictEqual(yield* publisher.code, 130)
    }))

  it.live("a publisher that waits for a named pipe can be interrupted", () =>
    Effect.gen(function*() {
      const region = freshRegion("pipe")
      const pipe = join(yield* folder, "pipe")
      execFileSync("mkfifo", [pipe])
      const server = yield* serve(region, "--json")
      const publisher = yield* start(["publish", "--region", region, "lines", pipe])
      yield* server.told(/"_tag":"SessionOpened"/)
      publisher.signal("SIGINT")
      assert.strictEqual(yield* publisher.code, 130)
    }))

  it.live("a subscriber can be interrupted while it waits and while no process reads its output", () =>
    Effect.gen(function*() {
      const region = freshRegion("subscribing")
      yield* serve(region, "--topic", "lines")
      const input = "w".repeat(1023).concat("\n").repeat(400)
      const waiting = yield* start(["subscribe", "--region", region, "lines", "-f"])
      const stuck = yield* start(["subscribe", "--region", region, "lines", "-f"])
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input: "go\n" })).code, 0)
      yield* waiting.told(/^go$/m)
      yield* stuck.told(/^go$/m)
      stuck.holdOutput()
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input })).code, 0)
      yield* waiting.until("everything", () => waiting.stdout.length === input.length + 3 ? true : undefined)
      for (const reader of [waiting, stuck]) {
        reader.signal("SIGINT")
        reader.resumeOutput()
        assert.strictEqual(yield* reader.code, 130)
        assert.strictEqual(reader.stderr, "")
      }
    }))

  it.live("a subscriber whose output is closed ends without a word", () =>
    Effect.gen(function*() {
      const region = freshRegion("closed")
      yield* serve(region)
      // More than a pipe holds, and less than the log keeps.
      const input = "v".repeat(1023).concat("\n").repeat(250)
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input })).code, 0)
      const reader = yield* start(["subscribe", "--region", region, "lines"])
      yield* reader.told(/v\n/)
      reader.closeOutput()
      assert.strictEqual(yield* reader.code, 0)
      assert.strictEqual(reader.stderr, "")
    }))

  it.live("a server tells of clients that died", () =>
    Effect.gen(function*() {
      const region = freshRegion("died")
      const server = yield* serve(region, "--topic", "lines")
      const reader = yield* start(["subscribe", "--region", region, "lines", "-f"])
      const publisher = yield* start(["publish", "--region", region, "lines"])
      publisher.write("one\ntwo\n")
      yield* reader.told(/^two$/m)
      publisher.signal("SIGKILL")
      yield* server.told(/session \d+ of "lines" ended \(its process died\): 2 records committed, 0 batches dropped/)
      reader.signal("SIGKILL")
      yield* server.told(new RegExp(`subscriber "subscribe" of "lines" \\(pid ${reader.pid}\\) died`))
    }))

  it.live("a server tells of sessions of order none what they published, for nothing is committed there", () =>
    Effect.gen(function*() {
      const region = freshRegion("died-none")
      const server = yield* serve(region, "--topic", "ticks:none")
      const reader = yield* start(["subscribe", "--region", region, "ticks", "-f"])
      const publisher = yield* start(["publish", "--region", region, "ticks", "--order", "none"])
      publisher.write("one\ntwo\n")
      yield* reader.told(/^two$/m)
      publisher.signal("SIGKILL")
      yield* server.told(/session \d+ of "ticks" ended \(its process died\): 2 records published$/m)
    }))

  it.live("clients of a server that is killed end within a second, and the next server needs no help", () =>
    Effect.gen(function*() {
      const region = freshRegion("killed")
      const atOnce = ["--server-deadline", "0ms"]
      const server = yield* serve(region, "--topic", "lines")
      const reader = yield* start(["subscribe", "--region", region, "lines", "-f", ...atOnce])
      const publisher = yield* start(["publish", "--region", region, "lines", ...atOnce])
      publisher.write("go\n")
      yield* reader.told(/^go$/m)
      server.signal("SIGKILL")
      assert.strictEqual(yield* Effect.timeout(reader.code, "1 second"), 5)
      assert.match(
        reader.stderr,
        /^ringfence: the process that served region ".*" \(pid \d+, "serve"\) died \(start a server of the region/
      )
      publisher.write("more\n")
      publisher.endInput()
      assert.strictEqual(yield* publisher.code, 5)
      const late = yield* run(["subscribe", "--region", region, "lines", ...atOnce])
      assert.strictEqual(late.code, 3)
      assert.match(late.stderr, /no process serves the log .*\(start `ringfence serve --region .*` again\)/)
      yield* serve(region)
      assert.strictEqual((yield* run(["publish", "--region", region, "lines"], { input: "again\n" })).code, 0)
      // What was not acknowledged is undecided: the next server may have found it published.
      assert.match((yield* run(["subscribe", "--region", region, "lines"])).text, /^go\n(?:more\n)?again\n$/)
    }))
})
