/**
 * `ringfence doctor` distinguishes served regions from leftovers, and removes only leftovers.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { rmSync, statfsSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { untilStopped } from "../faults/stopped.ts"
import { startActor } from "../processes/harness.ts"
import { filesOf, folder, freshRegion, run, serve, start, untilTrue } from "./harness.ts"

const shared = statfsSync("/dev/shm")
const plentyFree = shared.bavail * shared.bsize > 2 * 1024 ** 3

const look = (region: string, ...args: ReadonlyArray<string>) =>
  Effect.map(run(["doctor", "--region", region, "--json", ...args]), ({ code, text }) => {
    const report = JSON.parse(text)
    return { code, healthy: report.healthy, statuses: report.regions.map((found: { status: string }) => found.status) }
  })

describe.skipIf(process.platform !== "linux")("doctor", () => {
  it.live("leaves what is served alone and discards what a killed server left only when told to", () =>
    Effect.gen(function*() {
      const region = freshRegion("doctor")
      assert.deepStrictEqual(yield* look(region), { code: 3, healthy: true, statuses: ["missing"] })
      const server = yield* serve(region)
      assert.deepStrictEqual(yield* look(region, "--repair"), { code: 0, healthy: true, statuses: ["served"] })
      server.signal("SIGKILL")
      yield* server.ended
      assert.deepStrictEqual(yield* look(region), { code: 1, healthy: false, statuses: ["recoverable"] })
      const said = yield* run(["doctor", "--region", region])
      assert.match(said.text, new RegExp(`${region} +recoverable .*pid ${server.pid} .*/dev/shm/ringfence-${region}`))
      assert.match(said.stderr, /1 log without a server \(`ringfence serve` continues it/)
      const removed = { code: 0, healthy: true, statuses: ["removed"] }
      assert.deepStrictEqual(yield* look(region, "--repair", "--fresh"), removed)
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live.skipIf(!plentyFree)(
    "tells a region that is being created from one that was left half created",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("half")
        const server = yield* start(["serve", "--region", region, "--lane-bytes", "16MiB"])
        yield* untilTrue("the region being created", () => filesOf(region).some((name) => name.includes(".creating-")))
        server.signal("SIGSTOP")
        const creating = yield* look(region, "--repair")
        if (creating.statuses.includes("served")) return
        assert.deepStrictEqual(creating, { code: 0, healthy: true, statuses: ["being created"] })
        server.signal("SIGKILL")
        yield* server.ended
        assert.deepStrictEqual(yield* look(region), { code: 1, healthy: false, statuses: ["half created"] })
        assert.deepStrictEqual(yield* look(region, "--repair"), { code: 0, healthy: true, statuses: ["removed"] })
      })
  )

  it.live("tells what a log keeps, and how far behind each subscriber is", () =>
    Effect.gen(function*() {
      const region = freshRegion("lag")
      yield* serve(region, "--topic", "lines")
      const subscriber = yield* start(["subscribe", "--region", region, "lines", "--follow"])
      const logOf = Effect.map(
        run(["doctor", "--region", region, "--json"]),
        ({ text }) => JSON.parse(text).regions[0].log.topics[0]
      )
      let topic = yield* logOf
      while (topic?.readers.length !== 1) topic = yield* logOf
      subscriber.signal("SIGSTOP")
      yield* untilStopped(subscriber.pid)
      const published = yield* run(["publish", "--region", region, "lines", "-"], { input: "a\nb\nc\n" })
      assert.strictEqual(published.code, 0, published.stderr)
      topic = yield* logOf
      assert.deepStrictEqual(topic.bounds, { start: 0, end: 3 })
      const [{ behindRecords, pid }] = topic.readers
      assert.deepStrictEqual([behindRecords, pid], [3, subscriber.pid])
      const { text } = yield* run(["doctor", "--region", region])
      assert.include(text, `${region}: topic "lines": 3 records kept, from 0 to 3`)
      assert.match(
        text,
        new RegExp(`${region}: topic "lines": subscriber ".*" \\(pid ${subscriber.pid}\\) is 3 records behind`)
      )
      subscriber.signal("SIGCONT")
      do topic = yield* logOf
      while (topic.readers[0]?.behindRecords !== 0)
    }).pipe(Effect.scoped))

  it.live("names the stopped process of an ended session, which keeps its slot while that process lives", () =>
    Effect.gen(function*() {
      const region = freshRegion("quarantine")
      yield* serve(region, "--topic", "lines")
      const liar = yield* startActor("corruptActor.ts", [region])
      const { sessionId } = yield* liar.ready
      liar.signal("SIGSTOP")
      yield* untilStopped(liar.pid)
      const json = yield* run(["doctor", "--region", region, "--json"])
      const [{ log }] = JSON.parse(json.text).regions
      const [{ pid, process: name, topic, sessionId: named }, ...others] = log.quarantined
      assert.deepStrictEqual([pid, name, topic, named, others], [liar.pid, "liar", "lines", sessionId, []])
      const { text } = yield* run(["doctor", "--region", region])
      const line = `${region}: session ${sessionId} of topic "lines" has ended and keeps its slot, because its process `
        + `"liar" (pid ${liar.pid}) lives and may still write there: continue it, if it is stopped, or end it`
      assert.include(text, line)
      liar.signal("SIGKILL")
      yield* liar.exit
      const after = yield* run(["doctor", "--region", region])
      assert.notInclude(after.text, "keeps its slot")
    }).pipe(Effect.scoped))

  it.live("does not take a file that only bears such a name for a leftover, and does not remove it", () =>
    Effect.gen(function*() {
      const region = freshRegion("stranger")
      const path = `/dev/shm/ringfence-${region}`
      yield* Effect.acquireRelease(
        Effect.sync(() => writeFileSync(path, "not a region")),
        () => Effect.sync(() => rmSync(path))
      )
      const found = yield* run(["doctor", "--region", region, "--repair"])
      assert.strictEqual(found.code, 3, found.stderr)
      assert.match(found.stderr, /^ringfence: \/dev\/shm\/.*: it is not a ringfence region\n$/)
      assert.match(found.text, /no region .*it is not a ringfence region\n1 region, nothing is left over/)
      assert.strictEqual(filesOf(region).length, 1)
    }))

  it.live("tells a doorbell whose region is gone, removes it, and keeps quiet of those of a region that is there", () =>
    Effect.gen(function*() {
      const region = freshRegion("bells")
      const server = yield* serve(region)
      const bells = () => filesOf(region).filter((name) => name.includes(".bell-"))
      assert.isAtLeast(bells().length, 1)
      assert.deepStrictEqual(yield* look(region), { code: 0, healthy: true, statuses: ["served"] })
      const used = yield* run(["doctor", "--region", region, "--path", `/dev/shm/${bells()[0]}`])
      assert.match(used.stderr, /it is a doorbell of a process of its region/)
      // What a process leaves that is killed while it removes its region.
      server.signal("SIGKILL")
      yield* server.ended
      rmSync(`/dev/shm/ringfence-${region}`)
      const left = { code: 1, healthy: false, statuses: bells().map(() => "left over") }
      assert.deepStrictEqual(yield* look(region), left)
      const said = yield* run(["doctor", "--path", `/dev/shm/ringfence-${region}`])
      assert.match(said.text, /left over .*it is a doorbell whose region is gone/)
      const removed = { code: 0, healthy: true, statuses: bells().map(() => "removed") }
      assert.deepStrictEqual(yield* look(region, "--repair"), removed)
      assert.deepStrictEqual(filesOf(region), [])
    }))

  it.live("names what lies under a region's name: a link, a folder, nothing", () =>
    Effect.gen(function*() {
      const region = freshRegion("link")
      const path = `/dev/shm/ringfence-${region}`
      const text = join(yield* folder, "text")
      writeFileSync(text, "a text of mine")
      yield* Effect.acquireRelease(
        Effect.sync(() => symlinkSync(text, path)),
        () => Effect.sync(() => rmSync(path))
      )
      const link = yield* run(["doctor", "--region", region, "--repair"])
      assert.strictEqual(link.code, 3, link.stderr)
      assert.match(link.text, new RegExp(`no region .*it is a symbolic link to ${text}, which is not followed`))
      const served = yield* run(["serve", "--region", region])
      assert.strictEqual(served.code, 3)
      assert.match(served.stderr, /it is a symbolic link to .*text, which is not followed \(it is left alone: choose/)
      const at = (where: string) => run(["doctor", "--path", where, "--region", region])
      assert.match((yield* at(join(text, ".."))).text, /no region .*it is a folder/)
      const nothing = yield* at("/nonexistent/x")
      assert.strictEqual(nothing.code, 3)
      assert.match(nothing.text, /missing .*\/nonexistent\/x +there is no such region/)
      assert.match(nothing.stderr, /\/nonexistent\/x: there is no such region\n$/)
      const named = yield* at(text)
      assert.strictEqual(named.code, 3)
      assert.include(named.stderr, `${text}: it is not a ringfence region`)
      assert.strictEqual((yield* run(["doctor", "--path", ""])).code, 2)
      const badName = yield* run(["doctor", "--region", "a b/c"])
      assert.strictEqual(badName.code, 2)
      assert.match(badName.stderr, /the name is not usable/)
    }).pipe(Effect.scoped))

  it.live("looks at a region in a file", () =>
    Effect.gen(function*() {
      const region = freshRegion("other")
      yield* serve(region)
      const path = join(yield* folder, "region")
      const server = yield* start(["serve", "--path", path, "--brokers", "1", "--lane-bytes", "256KiB"])
      yield* server.told(/serving/)
      assert.deepStrictEqual((yield* look(region, "--path", path)).statuses, ["served", "served"])
      server.signal("SIGKILL")
      yield* server.ended
      assert.deepStrictEqual((yield* look(region, "--path", path, "--repair", "--fresh")).statuses, [
        "served",
        "removed"
      ])
    }))
})
