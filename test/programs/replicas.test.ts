/**
 * Programs over a log on disk: the server is killed, a standby takes the same directories over, and a lost region is restored.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { filesOf, folder, freshRegion, type Program, removeRegion, run, serve, small, start } from "./harness.ts"
import { digest, historyOf, inputOf, kill, patience, publishing, recordBytes, topic } from "./onDisk.ts"

/** Committed records of the identity, as `doctor` lists them. */
const committed = (region: string) =>
  Effect.map(run(["doctor", "--region", region, "--json"]), ({ text }) => {
    const [found] = JSON.parse(text).regions
    return (found.log?.identities[0]?.committed ?? 0) as number
  })

const untilCommitted = (region: string, records: number) =>
  Effect.gen(function*() {
    while ((yield* committed(region)) < records) yield* Effect.sleep(10)
  }).pipe(Effect.timeout(patience))

const serveAgain = (region: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(
    start(["serve", "--region", region, ...small, ...args], { patience }),
    (server) => server.told(/serving region|"Serving"/)
  )

/** The counts that a publisher tells when it fails. */
const toldBy = (publisher: Program): { readonly records: number; readonly acknowledged: number } => {
  const line = publisher.stderr.split("\n").find((text) => text.includes("PublishedSoFar"))
  return JSON.parse(line ?? "{}")
}

describe.skipIf(process.platform !== "linux")("the log on disk", () => {
  it.live(
    "--replica-keep-age removes whole segments that are older, and not the last one",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("keep-age")
        const place = yield* folder
        const [dir, file] = [join(place, "replica"), join(place, "input")]
        const wrong = yield* run([
          "serve",
          "--region",
          region,
          ...topic,
          "--replica",
          dir,
          "--replica-keep-age",
          "3 days"
        ])
        assert.strictEqual(wrong.code, 2)
        assert.match(wrong.stderr, /"3 days" is not an age: write 90s, 12h or 30d/)
        const sizes = ["--replica-segment-bytes", "16KiB", "--replica-sync-interval", "0ms"]
        const first = yield* serve(region, ...topic, "--replica", dir, ...sizes)
        for (const records of [25, 50, 75, 100]) {
          writeFileSync(file, inputOf(records))
          const { code, stderr } = yield* run(publishing(region, file), { patience })
          assert.strictEqual(code, 0, stderr)
        }
        const listed = Effect.map(run(["files", "ls", dir, "--json"]), ({ text }) => JSON.parse(text).topics[0])
        first.signal("SIGTERM")
        yield* first.ended
        const before = yield* listed
        assert.deepInclude(before, { start: { index: 0, position: 0 } })
        assert.isAtLeast(before.segments, 4)
        const server = yield* serve(region, "--restore", dir, "--replica-keep-age", "1s", ...sizes)
        const left = Effect.gen(function*() {
          for (;;) {
            const { end, segments, start } = yield* listed
            if (segments === 1 && start.position > 0) return end.position as number
            yield* Effect.sleep(100)
          }
        }).pipe(Effect.timeout(patience))
        assert.strictEqual(yield* left, 100)
        server.signal("SIGTERM")
        yield* server.ended
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "a killed server and a standby with the same directories: every record is acknowledged and in both files",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("standby-disk")
        const place = yield* folder
        const [first, second, file] = [join(place, "first"), join(place, "second"), join(place, "input")]
        const replicas = ["--replica", first, "--replica", second]
        const input = inputOf(20_000)
        writeFileSync(file, input)
        let server = yield* serve(region, ...topic, ...replicas)
        const publisher = yield* start(publishing(region, file), { patience })
        publisher.endInput()
        for (const records of [3000, 9000]) {
          const standby = yield* start(["serve", "--region", region, "--standby", ...replicas], { patience })
          yield* standby.told(/standing by for region/)
          yield* untilCommitted(region, records)
          yield* kill(server)
          yield* standby.told(/took over from/)
          yield* standby.told(/replica .*first: in sync/)
          yield* standby.told(/replica .*second: in sync/)
          server = standby
        }
        assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
        assert.strictEqual(JSON.parse(publisher.text).acknowledged, 20_000)
        assert.strictEqual(digest(yield* historyOf(region, first)), digest(input))
        assert.strictEqual(digest(yield* historyOf(region, second)), digest(input))
        const { text } = yield* run(["doctor", "--region", region])
        assert.match(text, /topic "orders": 20,000 records durable, by 2 of 2 required replicas/)
        server.signal("SIGTERM")
        assert.strictEqual(yield* server.code, 0, server.stderr)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    180_000
  )

  it.live(
    "a server killed with its memory: what was acknowledged is restored, and the publisher goes on",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("restored")
        const place = yield* folder
        const [replica, file] = [join(place, "replica"), join(place, "input")]
        const input = inputOf(20_000)
        writeFileSync(file, input)
        let server = yield* serve(region, ...topic, "--replica", replica)
        let before = 0
        for (const records of [4000, 12_000]) {
          // Its input has no end: it cannot finish before the server is killed.
          const publisher = yield* start(publishing(region, "-", "--server-deadline", "200ms"), { patience })
          publisher.write(input.subarray(0, records * recordBytes).toString("latin1"))
          yield* untilCommitted(region, records)
          publisher.write(input.subarray(records * recordBytes, (records + 4000) * recordBytes).toString("latin1"))
          yield* kill(server)
          publisher.endInput()
          assert.strictEqual(yield* publisher.code, 5, publisher.stderr)
          removeRegion(region)
          server = yield* serveAgain(region, "--restore", replica)
          const [, restored = ""] = yield* server.told(/restored from .*"orders" with ([\d,]+) records, 1 identity/)
          const count = Number(restored.replaceAll(",", ""))
          const found = yield* historyOf(region, replica)
          assert.strictEqual(found.length, count * recordBytes)
          assert.isTrue(found.equals(input.subarray(0, found.length)), "not the records that were published")
          assert.strictEqual(yield* committed(region), count)
          // The publisher counts from where its predecessor's records ended.
          assert.isAtLeast(count, before + toldBy(publisher).acknowledged)
          before = count
        }
        const last = yield* start(publishing(region, file), { patience })
        last.endInput()
        assert.strictEqual(yield* last.code, 0, last.stderr)
        assert.strictEqual(digest(yield* historyOf(region, replica)), digest(input))
        server.signal("SIGTERM")
        assert.strictEqual(yield* server.code, 0, server.stderr)
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    180_000
  )

  it.live(
    "a region that exists is not restored, and the files of a lost one are no replica of a new one",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("kept")
        const place = yield* folder
        const [replica, file] = [join(place, "replica"), join(place, "input")]
        writeFileSync(file, inputOf(100))
        const server = yield* serve(region, ...topic, "--replica", replica)
        assert.strictEqual((yield* run(publishing(region, file))).code, 0)
        const used = yield* run(["serve", "--region", region, ...small, "--restore", replica])
        assert.strictEqual(used.code, 3)
        yield* kill(server)
        const left = yield* run(["serve", "--region", region, ...small, "--restore", replica])
        assert.strictEqual(left.code, 3)
        assert.include(left.stderr, `\`ringfence serve --region ${region}\` continues its log`)
        removeRegion(region)
        const foreign = yield* run(["serve", "--region", region, ...small, "--replica", replica])
        assert.strictEqual(foreign.code, 2, foreign.stderr)
        assert.include(foreign.stderr, `${replica} holds a replica of log`)
        const both = yield* run(["serve", "--region", region, ...small, "--restore", replica, "--standby"])
        assert.strictEqual(both.code, 2)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "a directory that is named twice, and one below nothing, are told with what to do",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("places")
        const place = yield* folder
        const dir = join(place, "replica")
        for (const again of [dir, `${place}/./replica/`]) {
          const twice = yield* run(["serve", "--region", region, ...topic, "--replica", dir, "--replica", again])
          assert.strictEqual(twice.code, 2, twice.text)
          assert.match(twice.stderr, /replicas cannot be .*must be different directories/)
        }
        const server = yield* serve(region, ...topic, "--replica", join(place, "none/replica"))
        yield* server.told(
          /: failing: cannot make directory .*ENOENT \(the directory above it is not there: create that one/
        )
        server.signal("SIGTERM")
        yield* server.ended
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("without a replica nothing is acknowledged as durable, and publish says why", () =>
    Effect.gen(function*() {
      const region = freshRegion("unreplicated")
      const place = yield* folder
      const file = join(place, "input")
      writeFileSync(file, inputOf(10))
      yield* serve(region, ...topic)
      const late = yield* run(publishing(region, file, "--deadline", "300ms"))
      assert.strictEqual(late.code, 4, late.stderr)
      assert.match(late.stderr, /no replica is attached/)
      // Started again it has nothing more to send, and nothing is on a disk yet.
      const again = yield* run(publishing(region, file, "--deadline", "300ms"))
      assert.strictEqual(again.code, 4, again.text)
      assert.match(again.stderr, /no replica is attached/)
    }).pipe(Effect.scoped), 60_000)
})
