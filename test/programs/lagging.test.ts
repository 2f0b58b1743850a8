/**
 * `ringfence subscribe --lag`: one that stands still keeps no publisher waiting, and is told what is missing, or misses nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { filesOf, folder, freshRegion, type Program, run, serveWith, start } from "./harness.ts"

const count = 60_000
const patience = "60 seconds"

/** A few batches a lane: so many lines are several laps. */
const small = ["--lane-bytes", "64KiB", "--batch-bytes", "8KiB", "--lane-slots", "32", "--index-entries", "64"]

const linesOf = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join("")

const publish = (region: string, path: string, from: number, to: number) =>
  Effect.gen(function*() {
    writeFileSync(path, linesOf(from, to))
    const { code, stderr } = yield* run(["publish", "--region", region, "lines", path], { patience })
    assert.strictEqual(code, 0, stderr)
  })

const following = (region: string, ...flags: ReadonlyArray<string>) =>
  start(["subscribe", "--region", region, "lines", "--follow", ...flags], { patience, input: "" })

const stopped = <A, E, R>(program: Program, meanwhile: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    Effect.sync(() => program.signal("SIGSTOP")),
    Effect.ensuring(meanwhile, Effect.sync(() => program.signal("SIGCONT")))
  )

const doctor = (region: string) => Effect.map(run(["doctor", "--region", region]), ({ text }) => text)

/** What is written, with the records that its notices tell as missing. */
const gapsOf = (stderr: string) =>
  [...stderr.matchAll(/(\d+) records? missing here, from (\d+) to (\d+)/g)].map(([, , from, to]) => ({
    from: Number(from),
    to: Number(to) + 1
  }))

const withoutGaps = (stderr: string, end: number): string => {
  let text = ""
  let next = 0
  for (const { from, to } of gapsOf(stderr)) {
    text += linesOf(next, from)
    next = to
  }
  return text + linesOf(next, end)
}

describe.skipIf(process.platform !== "linux")("subscribe --lag", () => {
  it.live(
    "lapped: while it is stopped, and while servers change, publishers go on; it tells what is missing",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("lapped")
        const input = join(yield* folder, "input")
        const server = yield* serveWith(small, region, "--topic", "lines")
        const standby = yield* start(["serve", "--region", region, "--standby"], { patience, input: "" })
        yield* standby.told(/standing by for region/)
        const slow = yield* following(region, "--lag", "lapped")
        yield* publish(region, input, 0, 10)
        yield* slow.told(/line 9\n$/)
        yield* stopped(
          slow,
          Effect.gen(function*() {
            yield* publish(region, input, 10, count)
            assert.match(
              yield* doctor(region),
              /subscriber "subscribe" .* behind, in \d+ batches, and holds nothing back/
            )
          })
        )
        yield* slow.told(new RegExp(`line ${count - 1}\n$`))
        assert.strictEqual(gapsOf(slow.stderr).length, 1, slow.stderr)
        // Another server gives on what it has not read.
        yield* stopped(
          slow,
          Effect.gen(function*() {
            server.signal("SIGKILL")
            yield* server.ended
            yield* publish(region, input, count, 2 * count)
          })
        )
        yield* slow.told(new RegExp(`line ${2 * count - 1}\n$`))
        assert.strictEqual(gapsOf(slow.stderr).length, 2, slow.stderr)
        assert.strictEqual(slow.text, withoutGaps(slow.stderr, 2 * count))
        slow.signal("SIGINT")
        yield* slow.ended
        standby.signal("SIGTERM")
        yield* standby.ended
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "lapped: killed while it stands still, and while it reads, it leaves nothing that anyone waits for",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("lapped")
        const input = join(yield* folder, "input")
        const server = yield* serveWith(small, region, "--topic", "lines")
        const still = yield* following(region, "--lag", "lapped")
        const reading = yield* following(region, "--lag", "lapped")
        yield* publish(region, input, 0, 10)
        yield* Effect.forEach([still, reading], (one) => one.told(/line 9\n$/))
        still.signal("SIGSTOP")
        const publishing = yield* Effect.forkChild(publish(region, input, 10, count))
        yield* reading.told(/line 9\n[^]+\n/)
        reading.signal("SIGKILL")
        still.signal("SIGKILL")
        yield* Fiber.join(publishing)
        yield* Effect.forEach([still, reading], (one) => one.ended)
        yield* publish(region, input, count, 2 * count)
        assert.notMatch(yield* doctor(region), /subscriber "/)
        const other = yield* run(["subscribe", "--region", region, "lines", "--lag", "lapped"])
        assert.match(other.text, new RegExp(`line ${2 * count - 1}\n$`))
        server.signal("SIGTERM")
        yield* server.ended
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "history: it misses nothing, lap after lap, and keeps no publisher waiting",
    () =>
      Effect.gen(function*() {
        const region = freshRegion("lagging")
        const place = yield* folder
        const [replica, input] = [join(place, "replica"), join(place, "input")]
        const server = yield* serveWith(small, region, "--topic", "lines:session:durable", "--replica", replica)
        const slow = yield* following(region, "--lag", "history", "--history", replica)
        yield* publish(region, input, 0, 10)
        yield* slow.told(/line 9\n$/)
        for (let lap = 0; lap < 3; lap += 1) {
          const from = lap === 0 ? 10 : lap * count
          yield* stopped(slow, publish(region, input, from, (lap + 1) * count))
          yield* slow.told(new RegExp(`line ${(lap + 1) * count - 1}\n$`))
        }
        assert.strictEqual(slow.text, linesOf(0, 3 * count))
        slow.signal("SIGINT")
        yield* slow.ended
        const refused = yield* run(["subscribe", "--region", region, "lines", "--lag", "history"])
        assert.notStrictEqual(refused.code, 0)
        assert.match(refused.stderr, /no directory of a replica was given/)
        server.signal("SIGTERM")
        yield* server.ended
        assert.deepStrictEqual(filesOf(region), [])
      }).pipe(Effect.scoped),
    120_000
  )
})
