/**
 * The output equals the input: lines and binary files through serve, publish and subscribe.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { createWriteStream, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, freshRegion, run, serve, serveWith, small, start } from "./harness.ts"

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const numbers = (count: number): string => Array.from({ length: count }, (_, i) => `line ${i}\n`).join("")

describe.skipIf(process.platform !== "linux")("round trips", () => {
  it.live("publishes the lines of files and of standard input, and gives them back", () =>
    Effect.gen(function*() {
      const region = freshRegion("lines")
      const files = yield* folder
      writeFileSync(join(files, "a"), "one\n\nthree\r\n")
      writeFileSync(join(files, "b"), "four")
      yield* serve(region)
      const published = yield* run(["publish", "--region", region, "lines", join(files, "a"), join(files, "b"), "-"], {
        input: "five\nsix\n"
      })
      assert.deepStrictEqual(published.code, 0, published.stderr)
      assert.match(published.text, /^published 6 records \(\d+ bytes\) to "lines" .*6 acknowledged\n$/)
      const all = yield* run(["subscribe", "--region", region, "lines"])
      assert.strictEqual(all.text, "one\n\nthree\r\nfour\nfive\nsix\n")
      assert.strictEqual(all.code, 0)
      const some = yield* run(["subscribe", "--region", region, "lines", "--from", "2", "--count", "2"])
      assert.strictEqual(some.text, "three\r\nfour\n")
      const joined = yield* run(["subscribe", "--region", region, "lines", "--record-separator", "none", "--from", "4"])
      assert.strictEqual(joined.text, "fivesix")
      const none = yield* run(["subscribe", "--region", region, "lines", "--from", "end"])
      assert.strictEqual(none.text, "")
    }))

  it.live("gives a binary file back byte for byte, many times around the lanes", () =>
    Effect.gen(function*() {
      const region = freshRegion("binary")
      const file = join(yield* folder, "blob")
      const blob = randomBytes(8 * 1024 * 1024 + 777)
      writeFileSync(file, blob)
      yield* serve(region, "--topic", "blobs")
      const records = Math.ceil(blob.length / 1000)
      const args = ["subscribe", "--region", region, "blobs", "--raw", "--follow", "--json"]
      const readers = [
        yield* start([...args, "--count", String(records)]),
        yield* start([...args, "--count", String(records - 1)])
      ]
      yield* attached(region, 2)
      const published = yield* run(["publish", "--region", region, "blobs", "--record-bytes", "1000", file, "--json"])
      assert.strictEqual(published.code, 0, published.stderr)
      const report = JSON.parse(published.text)
      assert.deepStrictEqual(
        [report.records, report.acknowledged, report.bytes],
        [records, records, blob.length]
      )
      for (const [i, reader] of readers.entries()) {
        assert.strictEqual(yield* reader.code, 0, reader.stderr)
        const wanted = i === 0 ? blob : blob.subarray(0, (records - 1) * 1000)
        assert.strictEqual(sha256(reader.stdout), sha256(wanted))
        assert.strictEqual(JSON.parse(reader.stderr).bytes, wanted.length)
      }
    }))

  it.live("gives all of a file to an early subscriber, and tells a late one what is missing", () =>
    Effect.gen(function*() {
      const region = freshRegion("early")
      const blob = randomBytes(5 * 1024 * 1024 + 1)
      const server = yield* serve(region, "--topic", "blobs")
      const early = yield* start(["subscribe", "--region", region, "blobs", "--raw", "--follow"])
      yield* attached(region, 1)
      const publish = ["publish", "--region", region, "blobs", "--record-bytes", "16KiB"]
      assert.strictEqual((yield* run(publish, { input: blob })).code, 0)
      server.signal("SIGINT")
      assert.strictEqual(yield* early.code, 0, early.stderr)
      assert.strictEqual(sha256(early.stdout), sha256(blob))
      assert.strictEqual(early.stderr, "")
      yield* server.ended
      yield* serve(region, "--topic", "blobs")
      assert.strictEqual((yield* run(publish, { input: blob })).code, 0)
      const late = yield* run(["subscribe", "--region", region, "blobs", "--raw"])
      assert.isBelow(late.stdout.length, blob.length)
      assert.strictEqual(sha256(late.stdout), sha256(blob.subarray(-late.stdout.length)))
      const [, missing] = /^(\d+) records before this one are not kept: /.exec(late.stderr) ?? []
      assert.strictEqual(Number(missing) * 16 * 1024, blob.length - late.stdout.length)
    }))

  it.live("under order none: gives an early subscriber every record, in order over one broker, to the end of the log", () =>
    Effect.gen(function*() {
      const blob = randomBytes(5 * 1024 * 1024 + 1)
      for (const brokers of ["1", "2"]) {
        const region = freshRegion(`none-${brokers}`)
        const server = yield* serveWith(small.with(1, brokers), region, "--topic", "blobs:none")
        const early = yield* start(["subscribe", "--region", region, "blobs", "--raw", "--follow"])
        yield* attached(region, 1)
        const publish = ["publish", "--region", region, "blobs", "--record-bytes", "16KiB"]
        const published = yield* run(publish, { input: blob })
        assert.strictEqual(published.code, 0, published.stderr)
        assert.match(published.text, /; this topic has no acknowledgements\n$/)
        assert.strictEqual(published.stderr, "")
        server.signal("SIGINT")
        assert.strictEqual(yield* early.code, 0, early.stderr)
        assert.strictEqual(early.stdout.length, blob.length)
        if (brokers === "1") assert.strictEqual(sha256(early.stdout), sha256(blob))
        yield* server.ended
      }
    }))

  it.live("under order none: says that records without a subscriber are gone, and has no positions", () =>
    Effect.gen(function*() {
      const region = freshRegion("none-unread")
      yield* serve(region)
      const published = yield* run(["publish", "--region", region, "ticks", "--order", "none"], { input: "a\nb\n" })
      assert.match(published.text, /^published 2 records/)
      assert.match(published.stderr, /no subscriber of "ticks" is attached: under order none/)
      const late = yield* run(["subscribe", "--region", region, "ticks"])
      assert.deepStrictEqual([late.code, late.text], [0, ""])
      const positioned = yield* run(["subscribe", "--region", region, "ticks", "--from", "1"])
      assert.strictEqual(positioned.code, 2)
      assert.match(positioned.stderr, /from\.position cannot be 1 .*has order "none"/)
    }))

  it.live("waits for a reader that takes its time", () =>
    Effect.gen(function*() {
      const region = freshRegion("slow")
      const blob = randomBytes(3 * 1024 * 1024)
      const server = yield* serve(region, "--topic", "blobs")
      const reader = yield* start(["subscribe", "--region", region, "blobs", "--raw", "--follow", "--count", "192"])
      yield* attached(region, 1)
      reader.holdOutput()
      const publisher = yield* start(["publish", "--region", region, "blobs", "--record-bytes", "16KiB"], {
        input: blob
      })
      yield* server.told(/subscriber "subscribe" of "blobs" \(pid \d+\) holds up publishers/)
      reader.resumeOutput()
      assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
      assert.strictEqual(yield* reader.code, 0, reader.stderr)
      assert.strictEqual(sha256(reader.stdout), sha256(blob))
    }))

  it.live("reads a named pipe to its end", () =>
    Effect.gen(function*() {
      const region = freshRegion("fifo")
      const pipe = join(yield* folder, "pipe")
      execFileSync("mkfifo", [pipe])
      yield* serve(region)
      const publisher = yield* start(["publish", "--region", region, "lines", pipe])
      createWriteStream(pipe).end(numbers(20_000))
      assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
      const all = yield* run(["subscribe", "--region", region, "lines"])
      assert.strictEqual(all.text, numbers(20_000))
    }))

  it.live("follows: records published later come later, and the end of the log ends the command", () =>
    Effect.gen(function*() {
      const region = freshRegion("follow")
      const server = yield* serve(region, "--topic", "lines:total:ordered")
      const reader = yield* start(["subscribe", "--region", region, "lines", "-f"])
      const publisher = yield* start(["publish", "--region", region, "lines"])
      publisher.write("first\n")
      yield* reader.told(/^first\n$/)
      publisher.endInput("second\n")
      yield* reader.told(/^first\nsecond\n$/)
      assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
      server.signal("SIGTERM")
      assert.strictEqual(yield* reader.code, 0, reader.stderr)
      assert.strictEqual(yield* server.code, 0)
    }))

  it.live("serves a region in a file", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "region")
      const server = yield* start(["serve", "--path", path, "--brokers", "1", "--lane-bytes", "256KiB"])
      yield* server.told(/serving region/)
      assert.strictEqual((yield* run(["publish", "--path", path, "lines"], { input: "hello\n" })).code, 0)
      assert.strictEqual((yield* run(["subscribe", "lines"], { env: { RINGFENCE_PATH: path } })).text, "hello\n")
      server.signal("SIGINT")
      assert.strictEqual(yield* server.code, 130)
    }))
})

/** Waits until that many processes are attached, as `doctor` sees it, the server included. */
const attached = (region: string, subscribers: number) =>
  Effect.gen(function*() {
    while (true) {
      const { text } = yield* run(["doctor", "--region", region, "--json"])
      if (JSON.parse(text).regions[0]?.attached === subscribers + 1) return
    }
  }).pipe(Effect.timeout("20 seconds"))
