/**
 * Replicas that processes of their own write: killed and started again, twice on one directory, over a takeover of the
 * server.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { filesOf, folder, freshRegion, type Program, removeRegion, run, serve, small, start } from "./harness.ts"
import { digest, historyOf, inputOf, kill, patience, publishing, recordBytes, topic } from "./onDisk.ts"

const replicaOf = (region: string, dir: string, ...flags: ReadonlyArray<string>) =>
  start(["replica", "--region", region, dir, ...flags], { patience })

const inSync = (replica: Program, dir: string) => replica.told(new RegExp(`replica .*${dir}: in sync`))

/** The positions of the oldest record that memory has, and of the next to be committed. */
interface Bounds {
  readonly start: number
  readonly end: number
}

const boundsOf = (region: string) =>
  Effect.map(
    run(["doctor", "--region", region, "--json"]),
    ({ text }) => JSON.parse(text).regions[0].log.topics[0].bounds as Bounds
  )

const untilBounds = (region: string, isEnough: (bounds: Bounds) => boolean) =>
  Effect.gen(function*() {
    while (!isEnough(yield* boundsOf(region))) yield* Effect.sleep(10)
  }).pipe(Effect.timeout(patience))

/** All records that a replica's files have, once nothing else does. */
const verified = (dir: string) =>
  Effect.map(run(["files", "verify", dir, "--json"], { patience }), ({ code, stderr, text }) => {
    assert.strictEqual(code, 0, stderr)
    const report = JSON.parse(text)
    const [found] = report.topics
    return found.segments.reduce((sum: number, { records }: { readonly records: number }) => sum + records, 0)
  })

describe.skipIf(process.platform !== "linux")("replicas in processes of their own", () => {
  it.live(
    "E16 a killed one delays acknowledgements, and catches up from the other's files when it is back",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("own-process")
        const place = yield* folder
        const [first, second, file] = [join(place, "first"), join(place, "second"), join(place, "input")]
        const input = inputOf(3000)
        writeFileSync(file, input.subarray(0, 100 * recordBytes))
        const server = yield* serve(region, ...topic)
        let victim = yield* replicaOf(region, first, "--peer", second)
        const other = yield* replicaOf(region, second, "--peer", first)
        yield* inSync(victim, "first")
        yield* inSync(other, "second")
        assert.strictEqual((yield* run(publishing(region, file))).code, 0)
        yield* kill(victim)
        yield* server.told(/subscriber ".*first" .* died/)
        writeFileSync(file, input.subarray(0, 200 * recordBytes))
        const late = yield* run(publishing(region, file, "--deadline", "300ms"))
        assert.strictEqual(late.code, 4, late.stderr)
        assert.match(late.stderr, /1 of 2 required replicas is attached: .*second/)
        // More than memory keeps: the order goes on, and what the killed one lacks is trimmed.
        writeFileSync(file, input)
        const publisher = yield* start(publishing(region, file), { patience, input: "" })
        yield* untilBounds(region, ({ end, start }) => end === 3000 && start > 200)
        victim = yield* replicaOf(region, first, "--peer", second)
        assert.strictEqual(yield* publisher.code, 0, publisher.stderr)
        assert.strictEqual(digest(yield* historyOf(region, first)), digest(input))
        server.signal("SIGTERM")
        assert.strictEqual(yield* server.code, 0, server.stderr)
        for (const [replica, dir] of [[victim, first], [other, second]] as const) {
          assert.strictEqual(yield* replica.code, 0, replica.stderr)
          assert.match(replica.text, /the log has ended in good order/)
          assert.strictEqual(yield* verified(dir), 3000)
        }
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "the number of copies that the server was told outlives it, and the replicas that would say it",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("own-copies")
        const place = yield* folder
        const [first, second, file] = [join(place, "first"), join(place, "second"), join(place, "input")]
        let server = yield* serve(region, ...topic, "--durable-copies", "2")
        const serveAgain = (...flags: ReadonlyArray<string>) =>
          Effect.gen(function*() {
            yield* kill(server)
            server = yield* serve(region, ...flags)
          })
        let records = 0
        const publishMore = (...flags: ReadonlyArray<string>) =>
          Effect.suspend(() => {
            records += 100
            writeFileSync(file, inputOf(records))
            return run(publishing(region, file, ...flags), { patience })
          })
        const isLate = Effect.map(publishMore("--deadline", "300ms"), ({ code, stderr }) => {
          assert.strictEqual(code, 4, stderr)
          assert.match(stderr, /1 of 2 required replicas is attached: .*first/)
        })
        const isAcknowledged = Effect.map(publishMore(), ({ code, stderr }) => assert.strictEqual(code, 0, stderr))
        // Each says by itself that one is enough.
        const one = yield* replicaOf(region, first, "--peer", second, "--durable-copies", "1")
        yield* inSync(one, "first")
        yield* isLate
        let other = yield* replicaOf(region, second, "--peer", first, "--durable-copies", "1")
        yield* isAcknowledged
        yield* kill(other)
        yield* serveAgain()
        yield* isLate
        const { text } = yield* run(["doctor", "--region", region])
        assert.match(text, /topic "orders": .*1 of 2 required replicas/)
        other = yield* replicaOf(region, second, "--peer", first, "--durable-copies", "1")
        yield* isAcknowledged
        yield* kill(other)
        yield* serveAgain("--durable-copies", "1")
        yield* isAcknowledged
        yield* serveAgain()
        yield* isAcknowledged
        server.signal("SIGTERM")
        assert.strictEqual(yield* server.code, 0, server.stderr)
        assert.strictEqual(yield* one.code, 0, one.stderr)
        assert.strictEqual(yield* verified(first), records)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("goes on over a takeover, and what is published after it is on its disk", () =>
    Effect.gen(function*() {
      const region = freshRegion("own-takeover")
      const place = yield* folder
      const [dir, file] = [join(place, "replica"), join(place, "input")]
      const server = yield* serve(region, ...topic)
      const replica = yield* replicaOf(region, dir)
      yield* inSync(replica, "replica")
      const standby = yield* start(["serve", "--region", region, "--standby"], { patience })
      yield* standby.told(/standing by for region/)
      for (const records of [1000, 2000]) {
        writeFileSync(file, inputOf(records))
        const published = yield* run(publishing(region, file), { patience })
        assert.strictEqual(published.code, 0, published.stderr)
        if (records > 1000) break
        yield* kill(server)
        yield* standby.told(/took over from/)
      }
      standby.signal("SIGTERM")
      assert.strictEqual(yield* standby.code, 0, standby.stderr)
      assert.strictEqual(yield* replica.code, 0, replica.stderr)
      assert.strictEqual(yield* verified(dir), 2000)
    }).pipe(Effect.scoped), 120_000)

  it.live(
    "a directory has one writer, which the second is told; a terminated one frees it",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("own-twice")
        const dir = join(yield* folder, "replica")
        yield* serve(region, ...topic)
        const replica = yield* replicaOf(region, dir)
        yield* inSync(replica, "replica")
        const second = yield* run(["replica", "--region", region, dir, "--json"])
        assert.strictEqual(second.code, 3, second.stderr)
        assert.deepInclude(JSON.parse(second.stderr).error, { _tag: "ReplicaBusy" })
        assert.include(second.stderr, `pid ${replica.pid} writes the replica in ${dir}`)
        replica.signal("SIGTERM")
        assert.strictEqual(yield* replica.code, 0, replica.stderr)
        const third = yield* replicaOf(region, dir)
        yield* inSync(third, "replica")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "ends when the log is lost with its server, and the log is restored from its directory",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("own-lost")
        const place = yield* folder
        const [dir, file] = [join(place, "replica"), join(place, "input")]
        writeFileSync(file, inputOf(500))
        const server = yield* serve(region, ...topic)
        const replica = yield* replicaOf(region, dir, "--server-deadline", "300ms")
        yield* inSync(replica, "replica")
        assert.strictEqual((yield* run(publishing(region, file))).code, 0)
        yield* kill(server)
        assert.strictEqual(yield* replica.code, 5, replica.stderr)
        removeRegion(region)
        const restored = yield* start(["serve", "--region", region, ...small, "--restore", dir], { patience })
        yield* restored.told(/restored from .*"orders" with 500 records, 1 identity/)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("refuses what cannot be, before it writes anything", () =>
    Effect.gen(function*() {
      const region = freshRegion("own-refused")
      const place = yield* folder
      const dir = join(place, "replica")
      const early = yield* run(["replica", "--region", region, dir])
      assert.strictEqual(early.code, 3)
      assert.include(early.stderr, `start \`ringfence serve --region ${region}\``)
      yield* serve(region, ...topic)
      const own = yield* run(["replica", "--region", region, dir, "--peer", dir])
      assert.strictEqual(own.code, 2, own.stderr)
      assert.match(own.stderr, /peers .* different directories/)
      const missing = yield* run(["replica", "--region", region, join(place, "no", "replica")])
      assert.strictEqual(missing.code, 3, missing.stderr)
      assert.match(missing.stderr, /ENOENT/)
    }).pipe(Effect.scoped), 60_000)
})
